"""A pattern planted in the frames is in no byte that leaves the device.

The device's processes run in a network namespace of their own. They speak to the cloud in the clear
through relays on their loopback address, which write down every byte; the cable is watched, so that
nothing goes around the relays, nor by DNS. A tablet in the store reads every page of the console
meanwhile: whatever it is shown there of a person is coarse.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fakes import canary, ota
from fakes.certificates import certify
from fakes.console_site import PIN, csrf, write_staff
from fakes.kept_device import KeptDevice
from fakes.notice_servers import http_server
from fakes.store_network import StoreNetwork, why_not
from fakes.update_cloud import UpdateCloud, wait_for
from shopfloor_demo.site import Device
from shopfloor_demo.stack import Stack

ME = "s1.d1"
TAP = Path(__file__).parents[1] / "fakes" / "tap.py"
REPORT = Path(__file__).parents[2] / "var" / "e2e" / "canary.json"
REST = """
[[cameras.zones]]
name = "view"
polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]
analytics = ["occupancy", "dwell", "queue"]
[evidence]
enabled = true
before_s = 1
after_s = 1
[[rules]]
name = "somebody"
camera = "door"
metric = "people"
zone = "view"
above = 0
for_s = 0
cooldown_s = 1
severity = "critical"
"""

CONSOLE_PORT = 8480
CONSOLE = """
[console]
host = "{host}"
port = {port}
cert_file = "{folder}/cert.pem"
key_file = "{folder}/key.pem"
[audits]
enabled = true
[notify]
digest_s = 1
[[notify.targets]]
name = "phones"
kind = "ntfy"
hosts = ["127.0.0.1"]
url_file = "{folder}/ntfy"
"""
SEEN = {"pictures", "now"}
"""Live and empty pictures, clips of alerts."""
ENOUGH_PICTURES = 10

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.broker,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


class Tablet:
    """Somebody of the staff who looks at everything; keeps what the console sent."""

    def __init__(self, url: str, trusted: Path) -> None:
        trust = ssl.create_default_context(cafile=trusted)
        self._client = httpx.Client(base_url=url, verify=trust, timeout=20)
        self.words: dict[str, bytes] = {}
        self.pictures: dict[str, bytes] = {}

    def sign_in(self) -> None:
        form = {"csrf": csrf(self.look("/sign-in").text), "name": "Ines", "pin": PIN}
        assert self._client.post("/sign-in", data=form).status_code == 303

    def look(self, path: str) -> httpx.Response:
        answer = self._client.get(path)
        kind = answer.headers.get("content-type", "")
        known = self.pictures if kind.startswith("image/") and "svg" not in kind else self.words
        known[f"{path} at {len(self.words) + len(self.pictures)}"] = answer.content
        return answer

    def look_around(self) -> None:
        """Every page of the menu, and every picture that one of them names."""
        home = self.look("/").text
        for page in sorted(set(re.findall(r'href="(/[a-z]*)"', home)) - {"/sign-out"}):
            text = self.look(page).text
            # A clip has "&amp;" in no address; icons of the app are files that we ship.
            for address in set(re.findall(r'(?:src|href)="(/[^"]+)"', text)):
                if re.match(r"/(pictures|now/clip|audit/clips|today/heat|zones/camera)/", address):
                    self.look(address)

    def listen(self, for_s: float) -> None:
        """Follow the live stream for a while."""
        until_s, heard = time.monotonic() + for_s, b""
        asked = self._client.stream("GET", "/live", timeout=for_s)
        with contextlib.suppress(httpx.ReadTimeout), asked as live:
            for part in live.iter_raw():
                heard += part
                if time.monotonic() > until_s:
                    break
        self.words["/live"] = heard

    def close(self) -> None:
        self._client.close()


class Watched:
    """The device behind its relays, and what they wrote down."""

    def __init__(self, folder: Path, network: StoreNetwork, ports: list[int]) -> None:
        self.sent = folder / "sent"
        self.sent.mkdir()
        self.wire = folder / "wire.json"
        self._network = network
        doors = [str(port) for port in ports]
        self._processes = [
            self._start([], "doors", network.here, *doors),
            self._start(
                network.command("device", []), "relay", str(self.sent), network.here, *doors
            ),
            self._start(network.command("router", []), "wire", str(self.wire), "device"),
        ]

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate()

    @staticmethod
    def _start(inside: list[str], *words: str) -> subprocess.Popen[str]:
        command = [*inside, sys.executable, str(TAP), *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


@pytest.fixture
def network():
    network = StoreNetwork()
    yield network
    network.close()


@pytest.fixture
def cloud(tmp_path):
    cloud = UpdateCloud(tmp_path)
    yield cloud
    cloud.stop()


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def test_no_byte_of_a_picture_leaves_the_device(tmp_path, network, cloud):
    cloud.start()
    (tmp_path / "token").write_text(cloud.enrol(ME)[ME])
    stack = Stack(tmp_path / "cloud", Device(site="s1", device="d1"))
    certify(tmp_path, network.device)
    write_staff(tmp_path / "state")
    tablet = Tablet(f"https://{network.device}:{CONSOLE_PORT}", tmp_path / "cert.pem")
    with (
        stack,
        http_server() as (ntfy, letters),
        contextlib.closing(tablet),
        ota.light_camera(finish=canary.plant) as camera,
    ):
        stack.start_cloud()
        ota.write_site(
            tmp_path / "site.toml", camera=camera, cloud=cloud.registry,
            campaigns=cloud.campaigns, root=cloud.root,
            extra=f'token_file = "{tmp_path / "token"}"\n'
            f'[uplink]\nport = {stack.broker.port}\nusername = "s1/d1"\nbatch_s = 1\n'
            f'heartbeat_s = 1\npassword_file = "{stack.broker.password_file("s1/d1")}"',
        )  # fmt: skip
        with (tmp_path / "site.toml").open("a") as file:
            file.write(REST)
            file.write(CONSOLE.format(host=network.device, port=CONSOLE_PORT, folder=tmp_path))
        (tmp_path / "ntfy").write_text(f"ntfy://127.0.0.1:{ntfy}/store\n")
        services = [stack.broker.port, port_of(cloud.registry), port_of(cloud.campaigns), ntfy]
        watched = Watched(tmp_path, network, [*services, port_of(camera)])
        environment = os.environ | ota.write_zoo(tmp_path / "zoo", ota.light_model())
        device = KeptDevice(tmp_path, environment, inside=network.command("device", []))
        try:
            for command in ("vision", "agent", "console", "notify"):
                device.keep(command)
            wait_for(lambda: answers(tablet), "the console answers")
            tablet.sign_in()
            tablet.look_around()
            run_an_update(cloud)
            wait_for(lambda: clips(tmp_path), "clips of alerts are kept")
            wait_for(
                lambda: seen(tablet) >= SEEN and len(tablet.pictures) > ENOUGH_PICTURES,
                "the tablet has seen every kind of picture",
            )
            tablet.listen(3)
            letters.wait(1)
            wait_for(lambda: kinds(stack) >= {"alert", "traffic", "dwell"}, "figures are stored")
        finally:
            device.stop()
            watched.close()
            for log in tmp_path.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")

    told = account(watched, camera=port_of(camera)) | shown(tablet)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(told, indent=2) + "\n")

    assert told["hits"] == 0, told["found"]
    assert told["shown_unmasked"] == []
    assert told["pictures_shown"] > ENOUGH_PICTURES
    assert told["frames_shown"] > told["pictures_shown"]  # a clip is more than one
    assert told["connections"].keys() == {str(port) for port in services}
    assert min(told["connections"].values()) > 250
    assert told["packets"].keys() <= {f"tcp to {network.here}", "arp", "ipv6"}
    # The search can find: what the camera sends, and what stays on the device.
    assert canary.shows_the_person(canary.plant(ota.light_frame(5, 14)))
    assert canary.hits(clips(tmp_path)[0].read_bytes(), "a clip that stayed")


def answers(tablet: Tablet) -> bool:
    try:
        return tablet.look("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def seen(tablet: Tablet) -> set[str]:
    """Look once more; return the kinds of pictures that have been shown until now."""
    tablet.look_around()
    return {path.split("/")[1] for path in tablet.pictures}


def shown(tablet: Tablet) -> dict:
    """Return what the console sent: no pattern in words, no stripes in pictures."""
    found = [hit for path, data in tablet.words.items() for hit in canary.hits(data, path)]
    frames = [
        (path, frame) for path, data in tablet.pictures.items() for frame in canary.frames_of(data)
    ]
    bare = [path for path, frame in frames if canary.shows_the_person(frame)]
    return {
        "console_bytes_inspected": sum(map(len, (tablet.words | tablet.pictures).values())),
        "pictures_shown": len(tablet.pictures),
        "frames_shown": len(frames),
        "shown_unmasked": [f"{hit.where}: {hit.what}" for hit in found] + bare,
    }


def run_an_update(cloud: UpdateCloud) -> None:
    build = cloud.release("1.0.0", ota.light_model(salt=1))
    known = cloud.api.get
    wait_for(
        lambda: known("/devices").json()["devices"][0]["attributes"].get("capabilities"),
        "the device tells its capabilities",
    )
    cloud.campaign("nano-1", "1.0.0", build)
    wait_for(lambda: cloud.show("nano-1")["status"] == "done", "the update is done")


def clips(folder: Path) -> list[Path]:
    return sorted((folder / "state" / "evidence").glob("*.webp"))


def kinds(stack: Stack) -> set[str]:
    import sqlite3  # noqa: PLC0415

    connection = sqlite3.connect(stack.files.database)
    found = {kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM events")}
    connection.close()
    return found


def account(watched: Watched, *, camera: int) -> dict:
    """Return what left by each door, and what of a picture was in it."""
    sent: Counter[str] = Counter()
    found = []
    for path in sorted(watched.sent.iterdir()):
        data = path.read_bytes()
        if path.name.startswith(f"{camera}."):
            continue  # what the device asks of its own camera
        sent[path.name.split(".")[0]] += len(data)
        found += canary.hits(data, path.name)
    wire = json.loads(watched.wire.read_text())
    return {
        "bytes_inspected": sum(sent.values()),
        "hits": len(found),
        "found": [f"{hit.where}: {hit.what}" for hit in found],
        "connections": dict(sent),
        "bytes_on_the_wire": wire["bytes"],
        "packets": wire["packets"],
    }
