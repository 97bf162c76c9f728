"""A store from a bare machine to acknowledged alerts, by ``make e2e-store``.

The device is a bootstrapped Debian with sshd and systemd in a network namespace, the cloud is in
another one behind TLS 1.3, and the tablet is a real Chromium in the store's own network. It takes
minutes and wants root, so it runs when it is asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from socket import SHUT_RDWR, SHUT_WR, create_connection, create_server

import pytest

from fakes import bare_device, store_network
from fakes.bare_device import MIRROR, BareDevice
from fakes.store_cloud import StoreCloud
from fakes.store_network import StoreNetwork
from fakes.update_cloud import wait_for
from shopfloor_demo.clips import places
from shopfloor_demo.footage import vtest_h264

ASKED = os.environ.get("SHOPFLOOR_E2E_STORE", "")
WHY_NOT = store_network.why_not() or bare_device.why_not()
ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "var" / "e2e" / "store.json"
CACHE = Path(os.environ.get("SHOPFLOOR_CACHE", Path.home() / ".cache" / "shopfloor")) / "e2e"
PIN = "493027"
CUTS = int(os.environ.get("SHOPFLOOR_E2E_CUTS", "10"))
ALERTS = 5
SITE = """
schema_version = 1
site = "oslo"
time_zone = "Europe/Oslo"

[cloud]
broker_host = "{cloud}"
identity_url = "{identity}"
ingest_url = "{ingest}"
ca_file = "{root}"

[site_file]
window_s = 5
uplink = {{ heartbeat_s = 2, batch_s = 1 }}
evidence = {{ enabled = true, before_s = 1, after_s = 1 }}

[site_file.console]
host = "{device}"
cert_file = "/etc/shopfloor/identity/device.crt"
key_file = "/etc/shopfloor/identity/device.key"

[[staff]]
name = "manager"
role = "manager"
pin_secret = "MANAGER_PIN"

[[devices]]
name = "door"
connector = "ssh"
address = "{device}"
user = "{user}"
key_file = "{key}"

[[devices.cameras]]
name = "entrance"
uri = "{camera}"
fps = 10.0
lines = [{{ name = "walkway", a = [0.45, 0.24], b = [0.45, 0.56] }}]

[[devices.cameras.zones]]
name = "square"
polygon = [[0.47, 0.33], [0.80, 0.28], [0.94, 0.62], [0.62, 0.70], [0.47, 0.57]]
analytics = ["occupancy", "dwell"]

[[devices.rules]]
name = "somebody"
camera = "entrance"
metric = "people"
zone = "square"
above = 0
for_s = 0
cooldown_s = 2
"""
FIRST_SEEN = """
window.firstSeen = {};
const look = () => {
  for (const one of document.querySelectorAll('li.alert[id]'))
    window.firstSeen[one.id] ??= Date.now();
};
addEventListener('DOMContentLoaded', () => {
  look(); new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
});
"""

pytestmark = [
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not ASKED, reason="takes minutes: make e2e-store"),
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]


class Store:
    """One store and its cloud; ``apply`` is what the installer types."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.network = folder, StoreNetwork()
        self.cloud = StoreCloud(self.network, folder / "cloud")
        self._packages = PackageProxy(self.network.here)
        self.device: BareDevice | None = None
        self._camera: subprocess.Popen[bytes] | None = None
        self.told: dict[str, object] = {"device": "debootstrap, systemd and sshd in a namespace"}

    def start(self) -> None:
        self.cloud.start()
        clip = vtest_h264(places(os.environ, ROOT), say=print).path
        address = self.folder / "camera.address"
        command = [
            sys.executable,
            "-m",
            "shopfloor_demo.camera",
            str(clip),
            "--host",
            self.network.here,
        ]
        self._camera = subprocess.Popen([*command, "--address-file", str(address)])
        wait_for(address.exists, "the camera plays")
        self.camera = address.read_text().strip()
        self.unbox()

    def unbox(self) -> BareDevice:
        """Put a bare machine in the place of the device; boot it."""
        if self.device is not None:
            self.device.close()
        shutil.rmtree(self.folder / "device", ignore_errors=True)
        self.device = BareDevice(
            self.network, self.folder / "device", cache=CACHE, mirror_port=self._packages.port
        )
        self.device.boot()
        self.site = self.folder / "oslo.toml"
        self.site.write_text(
            SITE.format(
                cloud=self.network.cloud,
                device=self.network.device,
                identity=self.cloud.identity_url,
                root=self.cloud.root,
                ingest=self.cloud.ingest_url,
                user=self.device.user,
                key=self.device.key,
                camera=self.camera,
            )
        )
        return self.device

    def command(self, *words: str) -> list[str]:
        module = [sys.executable, "-m", "shopfloor_provisioning.app", words[0], str(self.site)]
        return [*module, "--var", str(self.folder / "var"), *words[1:]]

    @property
    def environment(self) -> dict[str, str]:
        secrets = {"IDENTITY_OPERATOR": self.cloud.operator, "MANAGER_PIN": PIN}
        return os.environ | {f"SHOPFLOOR_SECRET_{name}": value for name, value in secrets.items()}

    def apply(self, *words: str) -> str:
        done = subprocess.run(
            self.command("apply", *words), env=self.environment, cwd=ROOT,
            capture_output=True, text=True, timeout=1800, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert self.cloud.operator not in done.stdout + done.stderr
        assert PIN not in done.stdout + done.stderr
        return done.stdout

    def alerts(self) -> dict[str, float]:
        """Return when each alert was raised, as the device's journal says."""
        path = self.device.root / "var/lib/shopfloor/state.db"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return dict(connection.execute("SELECT alert_id, raised_at FROM alerts"))
        finally:
            connection.close()

    def committed(self) -> int:
        """Return how many numbered events the device has committed."""
        path = self.device.root / "var/lib/shopfloor/state.db"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return int(connection.execute("SELECT next_seq - 1 FROM stream").fetchone()[0])
        finally:
            connection.close()

    def close(self) -> None:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(self.told, indent=2) + "\n")
        for one in (self.device, self.cloud, self.network, self._packages):
            if one is not None:
                one.close()
        if self._camera is not None:
            self._camera.terminate()
            self._camera.wait(20)


class PackageProxy:
    """The store's way to Debian's packages: passes connections on to the mirror."""

    def __init__(self, host: str) -> None:
        self._host, self._server = host, None

    @property
    def port(self) -> int:
        if self._server is None:
            self._server = create_server((self._host, 0))
            threading.Thread(target=self._accept, daemon=True).start()
        return int(self._server.getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown(SHUT_RDWR)  # wakes the thread that waits for the next one
            self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    @classmethod
    def _pass_on(cls, near) -> None:
        with near:
            try:
                far = create_connection(MIRROR, timeout=60)
            except OSError:
                return
            with far:
                back = threading.Thread(target=cls._pump, args=(far, near), daemon=True)
                back.start()
                cls._pump(near, far)
                back.join()

    @staticmethod
    def _pump(source, target) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(SHUT_WR)
        except OSError:
            # The other way is of no use any more either.
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(SHUT_RDWR)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    try:
        store.start()
        yield store
    finally:
        store.close()


@pytest.fixture(scope="module")
def deployed(store):
    began_s = time.monotonic()
    store.apply()
    store.told["deploy_s"] = round(time.monotonic() - began_s, 1)
    return store


def test_a_bare_machine_counts_people_after_one_command(deployed):
    wait_for(lambda: sum(deployed.cloud.events("traffic")) > 0, "people are counted", within_s=120)

    units = deployed.device.run("systemctl is-active shopfloor-vision shopfloor-agent")
    assert units.split() == ["active", "active"]


def test_a_second_run_changes_nothing(deployed):
    said = deployed.apply("--no-report")

    changes = re.findall(r"(\d+) changes?", said)
    deployed.told["second_run_changes"] = int(changes[-1])
    assert set(changes) == {"0"}, said


def test_alerts_reach_the_staff_while_the_wan_is_down_and_the_cloud_after(deployed):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("wants chromium")
    known = set(deployed.alerts())
    deployed.network.cut_wan()
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.add_init_script(FIRST_SEEN)
        page.goto(f"https://{deployed.network.device}:8480/")
        page.fill("#name", "manager")
        page.fill("#pin", PIN)
        page.click("button.main")
        page.wait_for_selector("#alerts")
        opened_s = time.time()
        wait_for(
            lambda: sum(at > opened_s for at in deployed.alerts().values()) >= ALERTS,
            "alerts are raised",
            within_s=240,
        )
        page.wait_for_timeout(2500)
        seen = page.evaluate("window.firstSeen")
        button = page.locator("li.alert button.main").first
        alert_id = button.get_attribute("id").removeprefix("ack-")
        button.click()
        page.wait_for_selector(f"#undo-{alert_id}")
        page.screenshot(path=str(REPORT.with_name("console.png")))
        browser.close()
    late = {
        alert: seen[f"alert-{alert}"] / 1000 - at
        for alert, at in deployed.alerts().items()
        if at > opened_s and alert not in known and f"alert-{alert}" in seen
    }
    deployed.told["alert_to_console_s_max"] = round(max(late.values()), 3)
    deployed.told["alerts_timed"] = len(late)
    committed = deployed.committed()
    deployed.told["stored_while_cut"] = deployed.cloud.stored(committed)
    deployed.network.mend_wan()
    wait_for(
        lambda: deployed.cloud.stored(committed) == committed, "events are stored", within_s=180
    )
    wait_for(lambda: deployed.cloud.events("feedback"), "the tap is known to operators")
    deployed.told["committed"] = committed
    deployed.told["stored_after_wan_return"] = deployed.cloud.stored(committed)

    assert deployed.told["stored_while_cut"] < committed
    assert len(late) >= ALERTS
    assert max(late.values()) <= 2.0
    assert deployed.cloud.doubled() == 0


def test_a_run_that_is_cut_is_finished_by_the_next(deployed):
    """Kill the installer at random moments of a whole installation; the next run ends it."""
    wanted = fingerprint(deployed)
    duration_s = float(deployed.told["deploy_s"])
    rng = random.Random(7)
    deployed.unbox()
    for number in range(CUTS):
        after_s = rng.uniform(0.3, max(2.0, duration_s / CUTS * 2))
        cut_at(deployed, after_s)
        print(f"cut {number + 1} after {after_s:.1f} s")
    deployed.apply("--no-report")
    again = deployed.apply("--no-report")

    assert set(re.findall(r"(\d+) changes?", again)) == {"0"}
    assert fingerprint(deployed) == wanted
    deployed.told["cut_points_recovered"] = CUTS


def cut_at(store: Store, after_s: float) -> None:
    """Start the installer and kill it, and all that it started here, after a while."""
    process = subprocess.Popen(
        store.command("apply", "--no-report"), env=store.environment, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


def fingerprint(store: Store) -> str:
    """Return what an installation has left: programs, settings and units, without keys."""
    folders = "/opt/shopfloor /etc/shopfloor /etc/systemd/system"
    listing = (
        f'find {folders} -xdev -not -path "*/identity/*" -not -name "*.pyc" '
        '-not -name __pycache__ -printf "%y %m %u:%g %p %l\\n" | sort; '
        "sha256sum /etc/shopfloor/site.toml /etc/systemd/system/shopfloor-*.service; "
        "systemctl is-active shopfloor-vision shopfloor-agent shopfloor-console"
    )
    return store.device.run(listing)
