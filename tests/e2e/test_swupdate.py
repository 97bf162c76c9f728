"""Debian's swupdate, unmodified, is rolled out to by our campaigns."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time

import pytest

from fakes.campaign_devices import Cloud, plan
from shopfloor_edge.agent.updater.os_images import OsHandler
from shopfloor_edge.errors import UpdateRefusedError

SWUPDATE = shutil.which("swupdate")
MISSING = [name for name in ("swupdate", "cpio", "openssl") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"wants {', '.join(MISSING)}: apt-get install"
)


class Image:
    """A signed .swu archive that puts one file into ``folder``."""

    def __init__(self, folder, content: bytes, *, hardware: str = "1.0") -> None:
        self.folder = folder
        folder.mkdir()
        self.key, self.certificate = folder / "key.pem", folder / "cert.pem"
        self.installed = folder / "installed.txt"
        (folder / "payload.txt").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        (folder / "sw-description").write_text(
            f'software = {{ version = "12.7"; hardware-compatibility: [ "{hardware}" ];\n'
            f'files: ( {{ filename = "payload.txt"; path = "{self.installed}"; '
            f'sha256 = "{digest}"; }} ); }}\n'
        )
        self._sign()
        self.bytes = self._pack()

    def _sign(self) -> None:
        subject = ["-subj", "/CN=shopfloor test", "-addext", "extendedKeyUsage=emailProtection"]
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
        _run(*make, "-keyout", self.key, "-out", self.certificate)
        sign = ["openssl", "cms", "-sign", "-in", self.folder / "sw-description", "-nosmimecap"]
        sign += ["-binary", "-outform", "DER", "-out", self.folder / "sw-description.sig"]
        _run(*sign, "-signer", self.certificate, "-inkey", self.key)

    def _pack(self) -> bytes:
        names = b"sw-description\nsw-description.sig\npayload.txt\n"
        packed = subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "crc"],
            cwd=self.folder,
            input=names,
            capture_output=True,
            check=True,
        )
        return packed.stdout


class Client:
    """The program itself, with a folder of its own for everything that it writes."""

    def __init__(self, folder, cloud: Cloud, image: Image, token: str, confirm: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.image, self.log = image, folder / "log"
        config = folder / "swupdate.cfg"
        config.write_text("globals : { verbose = true; };\nidentify : ();\n")
        suricata = f"-t default -u {cloud.url} -i s0.d -k {token} -p 1 -r 1 -w 1{confirm}"
        command = [SWUPDATE, "-f", config, "-H", "board:1.0", "-k", image.certificate, "-m"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-l", "5", "-u", suricata],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "TMPDIR": str(folder)},
                start_new_session=True,
            )

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


@pytest.fixture
def rig(tmp_path):
    """Return a function that rolls ``content`` out to swupdate."""
    folder = tmp_path / "artefacts"
    folder.mkdir()
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db", folder, poll_s=1)
    clients = []

    def restart(device) -> None:
        """Come back after the reboot that ends an installation, and confirm it."""
        clients[-1].stop()
        image = clients[-1].image
        clients.append(Client(tmp_path / "client", cloud, image, device.token, " -c 2"))

    def roll_out(image: Image, served: bytes, **changes):
        (device,) = cloud.add(1)
        digest = hashlib.sha256(served).hexdigest()
        (folder / digest).write_bytes(served)
        build = {
            "path": "os/base/12.7/x86",
            "hardware": ["any"],
            "sha256": digest,
            "sha1": hashlib.sha1(served, usedforsecurity=False).hexdigest(),
            "size_bytes": len(served),
        }
        update = {"kind": "os", "name": "base", "version": "12.7", "builds": [build]}
        cloud.create(plan(waves=["100%"], update=update, retries={"attempts": 1}, **changes))
        cloud.ordered("nano-2", "approve", "start")
        clients.append(Client(tmp_path / "client", cloud, image, device.token))
        return cloud, device

    roll_out.restart = restart
    yield roll_out
    for client in clients:
        client.stop()
        print(client.log.read_text(errors="replace")[-9000:])
    cloud.close()


def test_a_good_image_is_installed_and_reported_closed_with_success(tmp_path, rig):
    image = Image(tmp_path / "image", b"new system\n")

    cloud, device = rig(image, image.bytes)
    wait_for(lambda: any("Installed" in said["detail"] for said in history(cloud, device)))
    rig.restart(device)

    wait_for(lambda: cloud.states("nano-2")[device.name] == "committed")
    assert image.installed.read_bytes() == b"new system\n"
    said = history(cloud, device)
    assert (said[-1]["execution"], said[-1]["finished"]) == ("closed", "success")
    cloud.settle()
    assert cloud.show("nano-2")["status"] == "done"


def test_a_tampered_image_is_refused_and_reported_as_failed(tmp_path, rig):
    image = Image(tmp_path / "image", b"new system\n")
    tampered = image.bytes.replace(b"new system\n", b"bad system\n")

    cloud, device = rig(image, tampered)

    wait_for(lambda: cloud.states("nano-2")[device.name] == "failed")
    assert history(cloud, device)[-1]["finished"] == "failure"
    assert not image.installed.exists() or image.installed.read_bytes() != b"bad system\n"


def test_an_image_of_another_signer_is_refused(tmp_path, rig):
    ours = Image(tmp_path / "image", b"new system\n")
    theirs = Image(tmp_path / "other", b"bad system\n")

    cloud, device = rig(ours, theirs.bytes)

    wait_for(lambda: cloud.states("nano-2")[device.name] == "failed")
    assert not theirs.installed.exists()


def test_an_abort_is_honoured(tmp_path, rig):
    image = Image(tmp_path / "image", b"new system\n")
    # Outside of its window the client knows of the action, and may not install it.
    window = {"begin": "02:00", "end": "03:00"}
    cloud, device = rig(image, image.bytes, window=window)
    wait_for(lambda: job(cloud)["state"] == "offered" and fetched(cloud))

    cloud.ordered("nano-2", "abort")

    wait_for(lambda: cloud.states("nano-2")[device.name] == "cancelled")
    assert history(cloud, device)[-1]["about"] == "cancel"
    assert not image.installed.exists()


def handler(tmp_path, image: Image) -> OsHandler:
    """Return our agent's handler of the real program, with what a device's site file gives it."""
    config = tmp_path / "swupdate.cfg"
    config.write_text("globals : { verbose = true; };\nidentify : ();\n")
    options = ("-f", str(config), "-H", "board:1.0", "-k", str(image.certificate), "-m")
    return OsHandler("swupdate", options)


def test_our_agent_hands_an_image_to_swupdate(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    image = Image(tmp_path / "image", b"new system\n")
    file = tmp_path / "image.swu"
    file.write_bytes(image.bytes)

    said = handler(tmp_path, image).install(file)

    assert said == "installed by swupdate, runs after the next boot"
    assert image.installed.read_bytes() == b"new system\n"


def test_an_image_that_swupdate_refuses_is_refused_by_our_agent(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    image = Image(tmp_path / "image", b"new system\n")
    file = tmp_path / "image.swu"
    file.write_bytes(image.bytes.replace(b"new system\n", b"bad system\n"))

    with pytest.raises(UpdateRefusedError, match="swupdate ended with"):
        handler(tmp_path, image).install(file)

    assert not image.installed.exists() or image.installed.read_bytes() != b"bad system\n"


def job(cloud: Cloud) -> dict:
    return cloud.ask("GET", "/campaigns/nano-2/devices").json()["devices"][0]


def fetched(cloud: Cloud) -> bool:
    with cloud.engine.connect() as connection:
        return bool(connection.exec_driver_sql("SELECT fetched FROM jobs").scalar())


def history(cloud: Cloud, device) -> list[dict]:
    answer = cloud.ask("GET", f"/campaigns/nano-2/devices/{device.name}/history")
    return answer.json()["history"]


def wait_for(condition, *, within_s: float = 40) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"did not happen within {within_s} s"
        time.sleep(0.1)


def _run(*command) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
