"""The updater against a campaigns' server and a registry on loopback: other people's complaints."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes.ota import Cloud, TufRepository, bundle, custom, light_model
from shopfloor_contracts.ddi import ConfigData
from shopfloor_contracts.deltas import apply_delta
from shopfloor_contracts.evidence import SelfTest
from shopfloor_contracts.site import parse_site
from shopfloor_contracts.targets import UpdateKind, delta_path
from shopfloor_edge.agent.updater import download
from shopfloor_edge.agent.updater.campaigns import Campaigns
from shopfloor_edge.agent.updater.desk import Desk
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.agent.updater.install import Device, Installer
from shopfloor_edge.agent.updater.os_images import OsHandler
from shopfloor_edge.agent.updater.parts import Limit, Parts
from shopfloor_edge.agent.updater.reports import Reports
from shopfloor_edge.agent.updater.repositories import WebRepository
from shopfloor_edge.agent.updater.switching import Switching
from shopfloor_edge.agent.updater.trying import Trying
from shopfloor_edge.agent.updater.updater import Updater
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.slots.domain import Attempt, Release, Step, advance, commit, stage
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.store import Store

TARGET = "model/person-nano/1.0.0/onnx-fp32"
ARCHIVE = bundle(light_model(), padding=150)
SITE = parse_site(
    'site = "s1"\ndevice = "d1"\n[[cameras]]\nname = "door"\nuri = "x.avi"\n', source="test"
)


class Rig:
    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder, self.cloud = folder, cloud
        self.slots, self.trials = SlotsFile(folder), Trials(folder)
        self.passes, self.https = True, []
        self.limit = Limit(None, 0, 0.0, 0.0, lambda _now: True)
        self.store = Store(self.slots.folder)
        self.home, self.os_handler = None, None
        self.updater = self.boot()

    def boot(self):
        self.https.append(Http())
        http, folder = self.https[-1], self.slots.folder
        self.store.prepare()
        repository = WebRepository(http, self.cloud.url, folder, self.cloud.repository.root)
        device = Device(
            SITE,
            frozenset({"onnx-fp32", "x86-64"}),
            lambda _folder: SelfTest(passed=self.passes, frames=2, detail="told"),
            lambda _venv, _bundle: SelfTest(passed=self.passes, frames=0, detail="told"),
            home=self.home,
            handles_os=self.os_handler is not None,
        )
        parts = Parts(
            Campaigns(http, self.cloud.url, "s1.d1", None),
            repository,
            Installer(self.store, device, patch=apply_delta),
            self.store,
            self.slots,
            Switching(self.home, self.slots),
            self.os_handler,
            Trying(self.slots, self.trials, 0.5),
            Desk(folder / "job.json"),
            Reports(self.trials, self.slots),
            ConfigData(data={}),
            lambda: datetime.now(UTC),
            self.limit,
        )
        return Updater(parts, stopping=lambda: False)

    def step(self, times=1):
        for _ in range(times):
            self.updater.step()

    @property
    def attempt(self):
        return self.slots.read().attempt

    def ending(self, action):
        (ending,) = self.cloud.endings(action)
        return ending["execution"], ending["result"]["finished"], " ".join(ending["details"])


@pytest.fixture
def cloud(tmp_path):
    repository = TufRepository(tmp_path / "repository")
    cloud = Cloud(repository)
    cloud.sleep = "00:00:00"
    cloud.digest = repository.publish(TARGET, ARCHIVE, custom())
    with cloud.served():
        yield cloud


@pytest.fixture
def rig(tmp_path, cloud, monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    rig = Rig(tmp_path / "state", cloud)
    yield rig
    rig.trials.close()
    for http in rig.https:
        http.close()


def test_a_good_bundle_is_handed_to_vision_for_a_shadow(rig):
    rig.cloud.offer("1", TARGET, chunk={"shopfloor.shadow_s": 60})

    rig.step(3)

    assert rig.attempt.step is Step.SHADOW
    assert rig.attempt.release.digest == rig.cloud.digest


def test_a_4xx_ends_the_job_and_the_next_one_is_taken(rig):
    rig.cloud.refuse = {rig.cloud.digest + ".onnx-fp32": 404}
    rig.cloud.offer("1", TARGET)
    rig.step(3)
    rig.cloud.refuse = {}
    rig.cloud.offer("2", TARGET)

    rig.step(3)

    execution, finished, details = rig.ending("1")
    assert (execution, finished) == ("rejected", "failure")
    assert "404" in details
    assert rig.attempt.action == "2"


def test_a_download_goes_on_where_it_was_cut(rig):
    rig.cloud.cut_after = 4000
    rig.cloud.offer("1", TARGET)

    rig.step(3)

    assert rig.cloud.ranges == list(range(0, len(ARCHIVE), 4000))
    assert rig.attempt.action == "1"


def test_a_resume_that_gives_up_reports_failure_and_polls_again(rig):
    rig.cloud.cut_after = 0
    rig.cloud.offer("1", TARGET)
    rig.step(3)
    rig.cloud.cut_after = None
    rig.cloud.offer("2", TARGET)

    rig.step(3)

    execution, finished, details = rig.ending("1")
    assert (execution, finished) == ("closed", "failure")
    assert "gave up" in details
    assert rig.attempt.action == "2"


def test_a_missing_delta_base_is_told_and_the_whole_is_fetched(rig):
    rig.cloud.offer("1", TARGET)

    rig.step(3)

    said = [b["status"]["details"] for p, b in rig.cloud.said if p.endswith("feedback")]
    assert [f"full, {len(ARCHIVE)} bytes: no base for a delta"] in said


def test_a_damaged_delta_falls_back_to_the_whole_and_says_so(rig, tmp_path):
    old = bundle(light_model(salt=5))
    (tmp_path / "old").write_bytes(old)
    digest = rig.cloud.repository.publish("model/person-nano/0.9/onnx-fp32", old, custom())
    rig.store.take(tmp_path / "old", digest)
    release = Release(
        UpdateKind.MODEL, digest, len(old), "model/person-nano/0.9/onnx-fp32", "m", "0.9"
    )
    begun = Attempt(release, "0", 0.0, 0.0)
    rig.slots.change(lambda slots: commit(advance(stage(slots, begun), Step.TRIAL)))
    path = delta_path(digest, rig.cloud.digest)
    said = custom("delta", base=digest, result=rig.cloud.digest)
    rig.cloud.repository.publish(path, b"no delta at all", said)
    rig.cloud.offer("1", TARGET)

    rig.step(3)

    notes = [b["status"].get("details", []) for p, b in rig.cloud.said if p.endswith("feedback")]
    assert any("full" in n and "delta failed" in n for note in notes for n in note)
    assert rig.attempt.release.digest == rig.cloud.digest


def test_a_disk_that_is_too_small_is_said_before_the_download(rig):
    rig.limit = replace(rig.limit, reserve_bytes=10**15)
    rig.updater = rig.boot()
    rig.cloud.offer("1", TARGET)

    rig.step(3)

    assert "disk has" in rig.ending("1")[2]
    assert rig.cloud.ranges == []


def test_a_cancellation_reaches_a_device_in_mid_download(rig):
    rig.cloud.offer("1", TARGET)
    reached = []

    def mangle(name, content):
        if name.startswith("targets/") and not reached:
            reached.append(name)
            rig.cloud.cancel = "1"
        return content

    rig.cloud.mangle = mangle
    rig.step(4)

    cancelled = [b for p, b in rig.cloud.said if p == "cancelAction/1/feedback"]
    assert [b["status"]["result"]["finished"] for b in cancelled] == ["success"]
    assert rig.attempt is None
    assert not rig.store.archive(rig.cloud.digest).exists()


def test_a_target_for_other_hardware_is_rejected_with_the_reason(rig):
    path = "model/person-nano/2.0.0/tpu"
    rig.cloud.repository.publish(path, ARCHIVE, custom(hardware=["edge-tpu"]))
    rig.cloud.offer("1", path)

    rig.step(3)

    execution, _, details = rig.ending("1")
    assert execution == "rejected"
    assert "is for edge-tpu; this device is onnx-fp32, x86-64" in details


SITE_FILE = """site = "s1"
device = "{device}"
[[cameras]]
name = "door"
uri = "x.avi"
"""
SITE_TARGET = "config/s1.d1/2/any"


def publish_site(rig, device="d1"):
    text = SITE_FILE.format(device=device).encode()
    return rig.cloud.repository.publish(SITE_TARGET, text, custom("config", "2", hardware=["any"]))


def test_a_site_file_is_handed_to_vision(rig):
    digest = publish_site(rig)
    rig.cloud.offer("1", SITE_TARGET)

    rig.step(3)

    assert rig.attempt.release.digest == digest


@pytest.mark.attack("a site file that was changed on its way")
def test_a_changed_site_file_is_refused(rig):
    publish_site(rig)
    rig.cloud.mangle = lambda name, content: (
        content.replace(b"x.avi", b"y.avi") if name.startswith("targets/") else content
    )
    rig.cloud.offer("1", SITE_TARGET)

    rig.step(4)

    execution, finished, details = rig.ending("1")
    assert (execution, finished) == ("rejected", "failure")
    assert "not what is signed" in details
    assert rig.attempt is None


@pytest.mark.attack("another device's site file")
def test_a_site_file_of_another_device_is_refused(rig):
    publish_site(rig, device="d2")
    rig.cloud.offer("1", SITE_TARGET)

    rig.step(4)

    execution, _, details = rig.ending("1")
    assert execution == "rejected"
    assert "d2" in details
    assert rig.attempt is None


def test_a_failed_self_test_ends_the_job(rig):
    rig.passes = False
    rig.cloud.offer("1", TARGET)

    rig.step(3)

    assert rig.ending("1")[2].endswith("self-test: told")
    assert rig.attempt is None


def test_an_ending_is_told_once_and_again_when_asked(rig):
    rig.passes = False
    rig.cloud.offer("1", TARGET)
    rig.step(4)
    once = len(rig.cloud.endings("1"))
    rig.cloud.offer("1", TARGET)

    rig.step(2)

    endings = rig.cloud.endings("1")
    assert once == 1
    assert len(endings) == 2
    assert endings[0] == endings[1]


def test_reports_wait_for_a_server_and_keep_their_order(rig):
    rig.cloud.refuse = {"feedback": 503, "evidence": 503}
    rig.passes = False
    rig.cloud.offer("1", TARGET)
    rig.step(3)
    rig.cloud.refuse = {}
    rig.updater = rig.boot()

    rig.step(2)

    assert [report["seq"] for report in rig.cloud.evidence("1")] == [1]
    assert rig.ending("1")[1] == "failure"


def test_an_update_that_is_not_to_be_made_now_waits_in_the_store(rig):
    rig.cloud.offer("1", TARGET, update="skip")
    rig.step(3)
    waiting = rig.attempt
    rig.cloud.deployment["deployment"]["update"] = "forced"

    rig.step(3)

    assert waiting is None
    assert rig.store.archive(rig.cloud.digest).is_file()
    assert rig.attempt.action == "1"


IMAGE = "os/device/12.7/board"


def publish_image(rig):
    return rig.cloud.repository.publish(IMAGE, b"image", custom("os", "12.7", hardware=["any"]))


SWUPDATE = """echo "$@" > {folder}/called
[ -e {folder}/deaf ] && exit 3
touch "$TMPDIR/sockinstctrl"
exec sleep 60
"""
"""SWUpdate listens, and its client hands the image over."""


def handler(folder, monkeypatch, name, script):
    """Put programs of those names first on the path; the one that installs runs ``script``."""
    programs = folder / "bin"
    programs.mkdir()
    noting = f'echo "$@" >> {folder}/called\n{script}'
    scripts = {"rauc": noting}
    if name == "swupdate":
        scripts = {"swupdate": SWUPDATE.format(folder=folder), "swupdate-client": noting}
    for program, text in scripts.items():
        (programs / program).write_text(f"#!/bin/sh\n{text}\n")
        (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return OsHandler(name, ("-k", "os.pem"))


@pytest.mark.parametrize(
    ("name", "called"),
    [("swupdate", "-l 3 -k os.pem\n-v {image}"), ("rauc", "install -k os.pem {image}")],
)
def test_an_image_of_the_os_is_handed_to_its_program(rig, tmp_path, monkeypatch, name, called):
    rig.os_handler = handler(tmp_path, monkeypatch, name, "exit 0")
    digest = publish_image(rig)
    rig.updater = rig.boot()
    rig.cloud.offer("1", IMAGE)

    rig.step(4)

    image = rig.store.archive(digest)
    assert (tmp_path / "called").read_text() == called.format(image=image) + "\n"
    execution, finished, details = rig.ending("1")
    assert (execution, finished) == ("closed", "success")
    assert f"installed by {name}" in details
    assert [report["phase"] for report in rig.cloud.evidence("1")] == ["committed"]


def test_a_swupdate_that_does_not_start_is_told(rig, tmp_path, monkeypatch):
    rig.os_handler = handler(tmp_path, monkeypatch, "swupdate", "exit 0")
    (tmp_path / "deaf").touch()
    publish_image(rig)
    rig.updater = rig.boot()
    rig.cloud.offer("1", IMAGE)

    rig.step(4)

    assert "swupdate does not start" in rig.ending("1")[2]


def test_an_image_that_its_program_refuses_is_rejected_with_what_it_said(
    rig, tmp_path, monkeypatch
):
    script = 'echo "[ERROR] : signature is wrong"; exit 1'
    rig.os_handler = handler(tmp_path, monkeypatch, "swupdate", script)
    publish_image(rig)
    rig.updater = rig.boot()
    rig.cloud.offer("1", IMAGE)

    rig.step(4)

    execution, finished, details = rig.ending("1")
    assert (execution, finished) == ("rejected", "failure")
    assert "swupdate ended with 1: [ERROR] : signature is wrong" in details


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [(IMAGE, "os", "os_handler"), ("wheels/app/2/x86-64-cp311", "wheels", "launcher")],
)
def test_what_a_device_has_no_means_for_is_refused_before_the_download(rig, path, kind, said):
    rig.cloud.repository.publish(path, b"x" * 100, custom(kind, "2", hardware=["any"]))
    rig.cloud.offer("1", path)

    rig.step(3)

    execution, finished, details = rig.ending("1")
    assert (execution, finished) == ("rejected", "failure")
    assert said in details
    assert rig.cloud.ranges == []
