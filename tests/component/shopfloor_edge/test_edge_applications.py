"""The application's venvs: installed offline, tried by a launcher, and what a broken one leaves."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from fakes import applications as fake
from shopfloor_contracts.errors import ArchiveError
from shopfloor_contracts.site import parse_site
from shopfloor_contracts.targets import UpdateKind
from shopfloor_contracts.wheelsets import read_wheel_set, verify_wheel_set
from shopfloor_edge.agent.updater.selftest import application_test
from shopfloor_edge.agent.updater.switching import Switching
from shopfloor_edge.errors import BundleError
from shopfloor_edge.slots.applications import LAUNCHER, Home
from shopfloor_edge.slots.domain import (
    Attempt,
    Release,
    Step,
    advance,
    cancel,
    commit,
    restore,
    stage,
)
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.wheels import install_wheels

OLD, NEW, OTHER = ("a" * 64, "b" * 64, "c" * 64)
SITE = parse_site(
    'site = "s1"\ndevice = "d1"\n[[cameras]]\nname = "door"\nuri = "x.avi"\n', source="test"
)


def release(digest):
    return Release(UpdateKind.WHEELS, digest, 10, "wheels/app/2/any", "app", "2")


class Machine:
    """A home whose venvs say who they are, and the slots."""

    def __init__(self, folder: Path) -> None:
        self.home, self.file = Home(folder / "home"), SlotsFile(folder / "state")
        for digest in (OLD, NEW, OTHER):
            self.put(digest)
        (self.home.folder / "current").symlink_to(f"app/{OLD}")
        self.home.launcher.write_bytes(LAUNCHER.read_bytes())
        self.home.launcher.chmod(0o755)

    def put(self, digest: str) -> None:
        program = self.home.venv(digest) / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho {digest[0]} $@\necho $SHOPFLOOR_LAUNCHER\n")
        program.chmod(0o755)
        self.home.mark_whole(digest)

    def start(self, *command: str) -> str:
        """Start a process; return the letter of the venv that it runs."""
        done = subprocess.run(
            [self.home.launcher, *command], capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout[:1]

    def try_(self, digest: str) -> None:
        attempt = Attempt(release(digest), "1", 0.0, 1.0)
        self.file.change(lambda slots: advance(stage(slots, attempt), Step.TRIAL))
        self.home.follow(self.file)

    @property
    def current(self) -> str:
        return (self.home.folder / "current").resolve().name


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_launcher_hands_the_command_on(machine):
    command = [machine.home.launcher, "agent", "--site", "a b"]

    said = subprocess.check_output(command, text=True)

    assert said == f"a -I -m shopfloor_edge.main agent --site a b\n{machine.home.launcher}\n"


def test_three_starts_of_one_command_are_on_trial_and_the_fourth_goes_back(machine):
    machine.try_(NEW)

    starts = [machine.start("agent", "--site", "x") for _ in range(5)]

    assert starts == ["b", "b", "b", "a", "a"]
    assert machine.start("vision") == "a"
    slots = machine.home.follow(machine.file)
    assert slots.attempt is None
    assert slots.quarantine == (NEW,)
    assert slots.last.reason == "agent ended badly 3 times"
    assert machine.current == OLD
    assert not (machine.home.folder / "failed").exists()


def test_each_command_is_counted_by_itself(machine):
    machine.try_(NEW)

    starts = [machine.start(command) for command in ("agent", "vision", "console") * 3]

    assert starts == ["b"] * 9
    assert machine.home.follow(machine.file).attempt.loads == 3


def test_a_start_that_cannot_be_counted_is_not_on_trial(machine):
    machine.try_(NEW)
    # A folder where the file should be: the disk refuses, to root as well.
    key = subprocess.check_output(["cksum"], input=b"agent").split()[0].decode()
    (machine.home.folder / "trial" / f"starts.{key}").mkdir()

    assert machine.start("agent") == "a"
    assert machine.start("vision") == "b"


def test_a_commit_makes_it_current_and_a_rollback_leads_back(machine):
    machine.try_(NEW)
    machine.file.change(commit)
    machine.home.follow(machine.file)
    after_commit = machine.current, machine.start("agent")
    machine.try_(OTHER)
    machine.file.change(lambda slots: cancel(slots, "not wanted"))
    machine.home.follow(machine.file)

    assert after_commit == (NEW, "b")
    assert (machine.current, machine.start("agent")) == (NEW, "b")
    assert not (machine.home.folder / "trial").exists()


@pytest.mark.parametrize("left", ["trial.new", "trial.old", "failed.old", "current.new"])
def test_what_an_interruption_left_is_in_nobodys_way(machine, left):
    place = machine.home.folder / left
    if left == "current.new":
        place.symlink_to("app")
    else:
        (place / "app").mkdir(parents=True)

    machine.try_(NEW)
    machine.file.change(commit)
    machine.home.follow(machine.file)

    assert (machine.current, machine.start("agent")) == (NEW, "b")


def test_a_power_cut_between_the_commit_and_the_link_is_made_good(machine):
    machine.try_(NEW)
    machine.file.change(commit)

    assert machine.start("agent") == "b"
    machine.home.follow(machine.file)

    assert machine.current == NEW


def test_a_venv_that_a_person_made_current_stays(machine):
    machine.try_(NEW)
    machine.file.change(commit)
    machine.home.follow(machine.file)
    link = machine.home.folder / "current"
    link.unlink()
    link.symlink_to(f"app/{OTHER}")

    machine.home.follow(machine.file)

    assert machine.current == OTHER


def test_a_campaign_can_ask_for_what_was_provisioned_by_its_digest_only(machine):
    switching = Switching(machine.home, machine.file)
    machine.try_(NEW)
    machine.file.change(commit)
    machine.home.follow(machine.file)
    before = switching.provisioned(UpdateKind.WHEELS)

    machine.file.change(lambda now: restore(now, UpdateKind.WHEELS, OLD, provisioned=before))
    machine.home.follow(machine.file)

    assert (machine.current, before) == (OLD, OLD)
    assert switching.active(machine.file.read(), UpdateKind.WHEELS) == OLD


def test_a_provisioned_venv_whose_name_is_no_digest_is_told_to_nobody(machine):
    venv = machine.home.folder / "app" / "0123456789abcdef"
    venv.mkdir()
    link = machine.home.folder / "current"
    link.unlink()
    link.symlink_to("app/0123456789abcdef")

    machine.try_(NEW)
    machine.home.keep_only(())

    assert machine.home.provisioned() == ""
    assert venv.is_dir()


def test_good_venvs_are_never_removed(machine):
    machine.try_(NEW)
    machine.file.change(commit)
    machine.home.follow(machine.file)

    machine.home.keep_only(machine.file.read().kept)

    assert machine.home.is_whole(OLD)
    assert machine.home.is_whole(NEW)
    assert not machine.home.venv(OTHER).exists()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A set of wheels, installed once."""
    folder = tmp_path_factory.mktemp("application")
    archive, home = folder / "set.tar", Home(folder / "home")
    archive.write_bytes(fake.application())
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    made = install_wheels(archive, digest, home)
    return archive, home, digest, made


@pytest.mark.timeout(180)
def test_a_set_of_wheels_becomes_a_venv_that_passes_its_self_test(good):
    _, home, digest, made = good

    test = application_test(home.venv(digest), SITE, None, ["--threads", "1"])

    assert home.is_whole(digest)
    assert made.path == f"wheels/shopfloor-edge/2.0/{made.platform}"
    assert test.passed, test.detail
    assert list(home.venv(digest).glob("lib/python*/site-packages/shopfloor_edge/salt.py"))


def test_an_installed_set_is_not_installed_again(good):
    archive, home, digest, made = good
    before = home.venv(digest).stat().st_ino

    assert install_wheels(archive, digest, home) == made
    assert home.venv(digest).stat().st_ino == before


@pytest.mark.timeout(180)
def test_an_application_that_cannot_be_loaded_fails_its_self_test(good):
    _, home, digest, _ = good
    (module,) = home.venv(digest).glob("lib/python*/site-packages/shopfloor_edge/vision/app.py")
    text = module.read_text()
    module.write_text(text + fake.FLAVOURS["broken"]["vision/app.py"])

    test = application_test(home.venv(digest), SITE, None, [])

    module.write_text(text)
    assert not test.passed
    assert "a module of the wrong version" in test.detail


@pytest.mark.attack("a wheel that nobody signed")
def test_a_wheel_that_is_not_what_the_manifest_says_is_not_installed(good, tmp_path):
    content = bytearray(good[0].read_bytes())
    entry = read_wheel_set(good[0]).entries[1]
    content[entry.offset + 100] ^= 1
    archive, home = tmp_path / "set.tar", Home(tmp_path / "home")
    archive.write_bytes(content)

    with pytest.raises(BundleError, match="the manifest says"):
        install_wheels(archive, NEW, home)
    with pytest.raises(ArchiveError, match="manifest says"):
        verify_wheel_set(archive)

    assert not home.is_whole(NEW)


def test_a_wheel_for_another_interpreter_is_not_installed(tmp_path):
    other = fake.wheel(tmp_path, "thing", {"thing.py": b""})
    other = other.rename(tmp_path / "thing-1-cp27-cp27m-win32.whl")
    archive, home = tmp_path / "set.tar", Home(tmp_path / "home")
    said = {"name": "app", "version": "1", "python": fake.PYTHON, "machine": fake.machine()}
    fake.write_wheel_set([other], archive, **said)

    with pytest.raises(BundleError, match="not a supported wheel"):
        install_wheels(archive, NEW, home)

    assert not home.is_whole(NEW)


def test_the_slots_tell_of_applications_as_of_models(machine):
    machine.try_(NEW)
    machine.file.change(commit)

    told = json.loads((machine.file.folder / "slots.json").read_text())

    assert told["wheels"]["b"]["digest"] == NEW
    assert told["wheels"]["good"] == "b"
