"""An update, whole: commands, registry, campaigns, agent and vision, each a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest

from fakes import ota
from fakes.campaign_devices import Device
from fakes.kept_device import KeptDevice
from fakes.update_cloud import UpdateCloud, wait_for
from shopfloor_campaigns.domain.waves import assign_waves
from shopfloor_edge.slots.file import SlotsFile

ME = "s1.d1"
OTHERS = ("s2.d1", "s3.d1", "s4.d1")
COUNT_GATE = {"gate": "count-difference", "limit": 0.2, "minimum": 4}
pytestmark = pytest.mark.timeout(600)


class Shop:
    """The services, and one real device that got version 1 and then 2 by campaigns."""

    def __init__(self, folder, cloud: UpdateCloud, camera: str) -> None:
        self.cloud, self.state = cloud, folder / "state"
        cloud.start()
        tokens = cloud.enrol(ME, *OTHERS)
        (folder / "token").write_text(tokens[ME])
        self.others = [Device(cloud, name, tokens[name]) for name in OTHERS]
        ota.write_site(
            folder / "site.toml",
            camera=camera,
            cloud=cloud.registry,
            campaigns=cloud.campaigns,
            root=cloud.root,
            extra=f'token_file = "{folder / "token"}"',
        )
        environment = os.environ | ota.write_zoo(folder / "zoo", ota.light_model())
        self.device = KeptDevice(folder, environment)
        self.first = cloud.release("1.0.0", ota.light_model(salt=1))
        self.second = cloud.release("2.0.0", ota.light_model(salt=2))
        for command in ("vision", "agent"):
            self.device.keep(command)
        wait_for(self._described, "the device tells its capabilities")
        for number, build in (("1", self.first), ("2", self.second)):
            name = f"nano-{number}"
            cloud.campaign(name, f"{number}.0.0", build)
            wait_for(lambda name=name: cloud.show(name)["status"] == "done", f"{name} is done")

    def active(self) -> str:
        return SlotsFile(self.state).read().model.active.digest

    def endings(self, campaign: str) -> list[dict]:
        said = self.cloud.history(campaign, ME)
        return [one for one in said if one["finished"] != "none"]

    def _described(self) -> bool:
        found = self.cloud.api.get("/devices").json()["devices"]
        return any(one["name"] == ME and one["attributes"].get("capabilities") for one in found)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    cloud, shop = UpdateCloud(folder), None
    with ota.light_camera() as camera:
        try:
            shop = Shop.__new__(Shop)
            shop.__init__(folder, cloud, camera)
            yield shop
        finally:
            if hasattr(shop, "device"):
                shop.device.stop()
            for log in folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}")
            cloud.stop()


def test_an_update_goes_from_the_upload_to_a_commit_by_a_delta(shop):
    (first,), (second,) = shop.endings("nano-1"), shop.endings("nano-2")

    assert shop.active() == shop.second["digest"]
    assert (first["finished"], second["finished"]) == ("success", "success")
    assert "full," in first["detail"]
    assert "no base for a delta" in first["detail"]
    assert "delta," in second["detail"]
    assert second["detail"].endswith("committed")
    assert shop.cloud.states("nano-2") == {ME: "committed"}


def test_who_says_which_device_runs_a_digest(shop):
    wait_for(lambda: told_digest(shop) == shop.second["digest"], "the device tells what runs")

    synced = shop.cloud.told("devices sync")
    who = shop.cloud.told(f"models who {shop.second['digest']}")

    assert synced["devices"] == 1 + len(OTHERS)
    assert who == [{"site": "s1", "device": "d1", "part": "model"}]
    assert shop.cloud.told(f"models who {shop.first['digest']}") == []
    shown = shop.cloud.told("devices show s1/d1")
    assert "onnx-fp32" in shown["capabilities"]
    assert shown["labels"] == {"lab": "yes"}


def test_the_devices_commands_tell_what_runs_and_reach_both_services(shop):
    site = ["--site", str(shop.state.with_name("site.toml"))]

    status = run_edge("update", "status", "--state", str(shop.state), "--json")
    check = run_edge("update", "check", *site, "--state", str(shop.state))

    assert shop.second["digest"] in status.stdout
    assert (status.returncode, check.returncode) == (0, 0), check.stderr


def run_edge(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shopfloor_edge.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_labels_of_the_registry_reach_the_campaigns(shop):
    shop.cloud.told("devices sync")
    shop.cloud.ctl("devices label s4/d1 region=emea")

    synced = shop.cloud.told("devices sync")

    assert synced["labelled"] == 1
    found = shop.cloud.api.get("/devices").json()["devices"]
    (labels,) = (one["labels"] for one in found if one["name"] == "s4.d1")
    assert labels == {"lab": "yes", "region": "emea"}


def test_a_worse_counting_version_is_stopped_in_shadow_and_never_reaches_the_next_wave(shop):
    build = shop.cloud.release("3.0.0", ota.light_model(sees="left", salt=3))
    for other in shop.others:
        said = {"mode": "merge", "data": {"capabilities": "onnx-fp32"}}
        assert other.put("configData", said).status_code == 200
    name = first_to(ME)

    shop.cloud.campaign(
        name,
        "3.0.0",
        build,
        waves=[1, "100%"],
        gates=[COUNT_GATE],
        timing={"shadow_s": 14, "trial_s": 2},
    )
    wait_for(lambda: shop.cloud.show(name)["status"] == "stopped", "the gate stops it")

    told = shop.cloud.show(name)
    failed = [one for one in told["waves"][0]["verdicts"] if one["answer"] == "fail"]
    assert [one["gate"] for one in failed] == ["count-difference"]
    assert failed[0]["figure"] < -0.5
    assert "crossings" in failed[0]["explanation"]
    assert shop.cloud.told(f"campaigns verdicts {name}")[-1]["explanation"]
    assert [wave["status"] for wave in told["waves"]] == ["failed", "waiting"]
    assert all(other.action() is None for other in shop.others)
    wait_for(lambda: shop.endings(name), "the device tells how it ended")
    assert shop.active() == shop.second["digest"]
    assert not any(r["phase"] == "trial" for r in reports(shop, name))


def test_an_abort_reaches_a_device_in_mid_download(shop):
    build = shop.cloud.release(
        "4.0.0", ota.light_model(salt=4), golden=ota.golden_clip() + os.urandom(600_000)
    )
    name = "nano-4"
    timing = {"bytes_per_s": 4096, "shadow_s": 0, "trial_s": 1}

    shop.cloud.campaign(name, "4.0.0", build, selector="lab=yes", timing=timing)
    partial = shop.state / "updates/partial"
    wait_for(lambda: any(p.stat().st_size for p in partial.glob("*.part")), "the download begins")
    shop.cloud.ctl(f"campaigns abort {name} --reason typo")

    wait_for(lambda: shop.cloud.states(name)[ME] == "cancelled", "the device stops", within_s=30)
    assert shop.cloud.show(name)["status"] == "aborted"
    assert shop.cloud.history(name, ME)[-1]["about"] == "cancel"
    assert shop.active() == shop.second["digest"]


def told_digest(shop: Shop) -> str | None:
    found = shop.cloud.api.get("/devices").json()["devices"]
    return next(one["attributes"].get("model") for one in found if one["name"] == ME)


def first_to(device: str) -> str:
    """Return a campaign's name whose first wave of one is ``device``."""
    names = (f"nano-3-{number}" for number in itertools.count())
    return next(n for n in names if assign_waves([ME, *OTHERS], [1, 1.0], n)[device] == 0)


def reports(shop: Shop, campaign: str) -> list[dict]:
    """Return the evidence that the service keeps of a campaign's first device."""
    from sqlalchemy import create_engine, text  # noqa: PLC0415

    engine = create_engine(shop.cloud.environment["SHOPFLOOR_CAMPAIGNS_DATABASE"])
    query = "SELECT body FROM evidence JOIN actions ON actions.id = action WHERE campaign = :c"
    with engine.connect() as connection:
        rows = connection.execute(text(query), {"c": campaign}).scalars().all()
    engine.dispose()
    return [json.loads(row) for row in rows]
