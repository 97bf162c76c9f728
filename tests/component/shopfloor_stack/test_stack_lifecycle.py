"""The whole stack of real programs: up twice, a part that dies, down without harm to others."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from cryptography import x509

from fakes.cloud import cloud, wants_cloud
from shopfloor_demo.processes import wait_until
from shopfloor_stack.daemon import leftovers
from shopfloor_stack.layout import Layout

pytestmark = [wants_cloud, pytest.mark.broker, pytest.mark.timeout(180)]
PARTS = [
    "broker",
    "database",
    "ingest",
    "registry",
    "campaigns",
    "identity",
    "alertmanager",
    "prometheus",
]


def healthy(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.split()[1:2] == ["healthy"]]


def pid_of(here, part: str) -> int:
    # The part is the child of supervisor that carries its command.
    record = json.loads((here.folder / "stack.json").read_text())
    children = psutil.Process(record["pid"]).children()
    names = {"ingest": "shopfloor_ingest.app", "broker": "mosquitto"}
    return next(c.pid for c in children if any(names[part] in word for word in c.cmdline()))


def test_up_status_up_again_and_down(tmp_path):
    with cloud() as here:
        assert here.run("status").returncode == 3
        first = here.run("up")
        status = here.run("status")
        again = here.run("up")
        modes = {p.stat().st_mode & 0o777 for p in (here.folder / "secrets").iterdir()}
        down = here.run("down")
        kept = (here.folder / "data" / "database").is_dir()
        left = list(leftovers(here.folder))
        wiped = here.run("down", "--wipe")

        assert first.returncode == 0, first.stderr
        assert healthy(first.stdout) == healthy(status.stdout) == healthy(again.stdout) == PARTS
        assert again.stdout.count("runs already") == len(PARTS)
        assert modes == {0o600}
        assert (down.stdout, kept, left) == ("ended\n", True, [])
        assert wiped.returncode == 0
        assert not here.folder.exists()


def test_services_have_a_token_and_dashboards_a_role_that_reads_ingest_alone(tmp_path):
    with cloud() as here:
        up = here.run("up")

        held = {
            service: (here.folder / "secrets" / f"{service}-token").read_text()
            for service in ("registry", "campaigns")
        }
        answers = {
            (service, bool(headers)): httpx.get(
                f"http://{here.address(service)}/api/v1/{path}", headers=headers
            ).status_code
            for service, path in (("registry", "devices"), ("campaigns", "campaigns"))
            for headers in ({}, {"authorization": f"Bearer {held[service]}"})
        }
        rows, refused = as_reader(here, "ingest"), as_reader(here, "registry")

        assert up.returncode == 0, up.stderr
        assert answers == {
            ("registry", False): 401,
            ("registry", True): 200,
            ("campaigns", False): 401,
            ("campaigns", True): 200,
        }
        assert (rows.returncode, rows.stdout) == (0, "0\n"), rows.stderr
        assert "permission denied" in refused.stderr


def as_reader(here, database: str) -> subprocess.CompletedProcess[str]:
    host, port = here.address("database").split(":")
    secrets = here.folder / "secrets"
    query = "SELECT count(*) FROM rollup_inspection"
    argv = ["psql", "-X", "-A", "-t", "-h", host, "-p", port, "-U", "shopfloor_reader"]
    return subprocess.run(
        [*argv, "-d", database, "-c", query],
        env={**os.environ, "PGPASSFILE": str(secrets / "shopfloor_reader.pgpass")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_part_that_is_killed_comes_back_and_a_killed_supervisor_leaves_nothing_running(tmp_path):
    with cloud() as here:
        assert here.run("up").returncode == 0
        victim = pid_of(here, "ingest")
        os.kill(victim, signal.SIGKILL)
        url = f"http://{here.address('ingest')}/healthz"

        def is_back() -> bool:
            try:
                return httpx.get(url).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(is_back, timeout_s=30, what="ingest after it was killed")
        assert pid_of(here, "ingest") != victim
        os.kill(json.loads((here.folder / "stack.json").read_text())["pid"], signal.SIGKILL)

        down = here.run("down")

        assert down.returncode == 0, down.stderr
        assert list(leftovers(here.folder)) == []


def test_down_leaves_a_stranger_alone_that_has_the_old_process_id(tmp_path):
    with cloud() as here:
        layout = Layout(here.folder)
        layout.make()
        stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        record = {"pid": stranger.pid, "created_at": 1.0, "socket": "/nowhere", "ports": {}}
        layout.record.write_text(json.dumps(record | {"parts": []}))

        down = here.run("down")

        assert (down.returncode, down.stdout) == (0, "nothing ran\n")
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_a_taken_port_is_named_with_the_way_out(tmp_path):
    with cloud() as here, socket.create_server(("127.0.0.1", here.ports["ingest"])):
        up = here.run("up")

        assert up.returncode == 2
        assert up.stderr.splitlines() == [
            f"shopfloor-cloud: ingest: port {here.ports['ingest']} of 127.0.0.1 is taken by "
            "another program; end it, or take another: SHOPFLOOR_PORTS=ingest=PORT"
        ]


def test_a_folder_with_other_things_is_neither_used_nor_removed(tmp_path):
    with cloud() as here:
        here.folder.mkdir()
        (here.folder / "letter").write_text("mine")

        up, down = here.run("up"), here.run("down", "--wipe")

        assert (up.returncode, down.returncode) == (2, 0)
        assert "holds other things" in up.stderr
        assert (here.folder / "letter").read_text() == "mine"


def test_a_device_gets_a_certificate_and_the_port_that_runs(tmp_path):
    with cloud() as here:
        assert here.run("up").returncode == 0

        issued = here.run("device", "oslo", "door", SHOPFLOOR_PORTS="")
        refused = here.run("device", "../oslo", "#")

        uplink = tomllib.loads(issued.stdout)["uplink"]
        held = x509.load_pem_x509_certificate(Path(uplink["cert_file"]).read_bytes())
        assert held.subject.rfc4514_string() == "CN=oslo/door"
        assert uplink["port"] == here.ports["broker"]
        assert refused.returncode == 2
        assert "'../oslo' is no name of a site or device" in refused.stderr


CONNECT = bytes.fromhex("100e 0004 4d515454 05 02 003c 00 0001 78")
"""MQTT 5, clean start, client ``x``."""
CONNACK = b"\x20"


def answer(here, context: ssl.SSLContext) -> bytes:
    """Return the first byte of the broker's answer; nothing when it hangs up."""
    with socket.create_connection(("127.0.0.1", here.ports["broker"]), timeout=10) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as line:
                line.sendall(CONNECT)
                return line.recv(1)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_the_broker_answers_who_has_a_certificate_and_nobody_else(tmp_path):
    with cloud() as here:
        assert here.run("up").returncode == 0
        pki = here.folder / "pki"
        stranger = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        known = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        known.load_cert_chain(pki / "ingest.crt", pki / "ingest.key")

        answers = answer(here, stranger), answer(here, known)

        assert answers == (b"", CONNACK)


GRAFANA = """\
#!{python}
import http.server, json, os, pathlib, sys
pathlib.Path({told!r}).write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
address = os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"])
http.server.HTTPServer(address, Handler).serve_forever()
"""


def test_a_grafana_on_the_path_is_provisioned_and_started(tmp_path):
    with cloud() as here:
        told, program = here.folder.parent / "told.json", here.folder.parent / "grafana"
        program.write_text(GRAFANA.format(python=sys.executable, told=str(told)))
        program.chmod(0o755)
        here.environment["PATH"] = f"{program.parent}:{os.environ['PATH']}"

        up = here.run("up")

        arguments, environment = json.loads(told.read_text())
        provisioning = Path(environment["GF_PATHS_PROVISIONING"])
        sources = yaml.safe_load((provisioning / "datasources" / "shopfloor.yml").read_text())
        boards = yaml.safe_load((provisioning / "dashboards" / "shopfloor.yml").read_text())
        points = yaml.safe_load((provisioning / "alerting" / "shopfloor.yml").read_text())
        assert healthy(up.stdout) == [*PARTS, "grafana"], up.stderr
        assert arguments[0] == "server"
        assert len(Path(environment["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text()) >= 32
        assert {s["name"]: s["url"] for s in sources["datasources"]}.items() >= {
            ("Prometheus", f"http://{here.address('prometheus')}"),
            ("Alertmanager", f"http://{here.address('alertmanager')}"),
            ("Shopfloor", here.address("database")),
        }
        [shopfloor] = [s for s in sources["datasources"] if s["name"] == "Shopfloor"]
        password = shopfloor["secureJsonData"]["password"]
        assert shopfloor["jsonData"]["database"] == "ingest"
        assert Path(password.removeprefix("$__file{").removesuffix("}")).read_text()
        assert list(Path(boards["providers"][0]["options"]["path"]).glob("*.json"))
        [receiver] = points["contactPoints"][0]["receivers"]
        assert receiver["settings"]["url"] == f"http://{here.address('alertmanager')}"
