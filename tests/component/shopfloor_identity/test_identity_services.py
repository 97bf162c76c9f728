"""Campaigns, registry and identity as processes with TLS settings: certificates are asked for."""

import importlib
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

import httpx
import pytest

from fakes.identity import House

COMMANDS = {
    "campaigns": ["shopfloor_campaigns.app"],
    "registry": ["shopfloor_registry.app", "serve"],
    "identity": ["shopfloor_identity.app", "serve"],
}


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path / "house")
    yield house
    house.parts.close()


def settings_of(house, folder, service):
    tls = house.settings
    values = {
        "database": f"sqlite:///{folder}/{service}.db",
        "http_port": 0,
        "tls_cert_file": tls.tls_cert_file,
        "tls_key_file": tls.tls_key_file,
        "tls_ca_file": tls.tls_ca_file,
        "crl_file": house.authority.lists,
    }
    if service == "identity":
        values["authority"] = house.authority.online
    if service == "registry":
        values["folder"] = folder / "artefacts"
    lines = [f"{k} = {v if isinstance(v, int) else repr(str(v))}" for k, v in values.items()]
    file = folder / f"{service}.toml"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("service", COMMANDS)
def test_a_service_speaks_tls_with_holders_of_a_certificate(house, tmp_path, service):
    file, address = settings_of(house, tmp_path, service), tmp_path / "address"
    argv = [sys.executable, "-m", *COMMANDS[service], "--config", str(file)]
    process = subprocess.Popen([*argv, "--address-file", str(address)], env={**os.environ})
    try:
        end_s = time.monotonic() + 40
        while not address.exists():
            assert process.poll() is None
            assert time.monotonic() < end_s
            threading.Event().wait(0.05)
        url = f"https://{address.read_text().strip()}/healthz"
        pair = house.authority.client("prober", "prober")
        known = house.context()
        known.load_cert_chain(pair.certificate, pair.key)

        answer = httpx.get(url, verify=known, timeout=20)

        assert answer.status_code == 200
        if service == "identity":
            # A device that enrols has no certificate yet.
            assert httpx.get(url, verify=house.context()).status_code == 200
        else:
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                httpx.get(url, verify=house.context())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("service", ["campaigns", "registry"])
@pytest.mark.parametrize(
    ("lost", "said"), [("crl_file", "ca.crl"), ("tls_key_file", "belong together")]
)
def test_a_missing_file_or_setting_is_one_line(house, tmp_path, capsys, service, lost, said):
    file = settings_of(house, tmp_path, service)
    if lost == "crl_file":
        house.authority.lists.unlink()
    else:
        kept = [line for line in file.read_text().splitlines() if not line.startswith(lost)]
        file.write_text("\n".join(kept))
    module, *command = COMMANDS[service]

    code = importlib.import_module(module).main([*command, "--config", str(file)])

    assert code == 2
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1]
    assert error.splitlines()[-1].startswith(f"shopfloor-{service}: ")
