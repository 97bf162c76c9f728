"""Attacks on the device's trust: each changes what the registry serves, and must be refused."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fakes.ota import Cloud, TufRepository, custom
from shopfloor_edge.agent.updater.download import Download, Limits
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.agent.updater.repositories import WebRepository
from shopfloor_edge.errors import UpdateError

PATH = "model/person-nano/1.0.0/onnx-fp32"
CONTENT = b"weights " * 4096


class Victim:
    """A device's trust and download against one repository."""

    def __init__(self, folder):
        self.folder = folder
        self.repository = TufRepository(folder / "repository")
        self.repository.publish(PATH, CONTENT, custom())
        self.cloud = Cloud(self.repository)
        self.now = datetime.now(UTC)
        (folder / "partial").mkdir()

    def fetch(self, path=PATH):
        http = Http()
        try:
            return self._fetched(http, path)
        finally:
            http.close()

    def _fetched(self, http, path):
        web = WebRepository(http, self.cloud.url, self.folder, self.repository.root)
        signed = web.refresh(self.now).find(path)
        if signed is None:
            raise UpdateError(f"{path}: not signed")
        download = Download(
            web.source, self.folder / "partial", Limits(), sleep=lambda _seconds: None
        )
        return download.fetch(signed, lambda *_: None).read_bytes()


def _metadata(victim, name):
    return victim.repository.folder / "metadata" / name


def tampered_target(victim):
    victim.cloud.mangle = lambda name, content: (
        content[:100] + b"x" + content[101:] if name.startswith("targets/") else content
    )


def truncated_target(victim):
    victim.cloud.mangle = lambda name, content: (
        content[:100] if name.startswith("targets/") else content
    )


def tampered_metadata(victim):
    path = _metadata(victim, f"{victim.repository.version}.targets.json")
    path.write_bytes(path.read_bytes().replace(b'"version": ', b'"version":  '))
    told = json.loads(path.read_bytes())
    told["signed"]["version"] += 1
    path.write_text(json.dumps(told))


def replayed_metadata(victim):
    old = _metadata(victim, "timestamp.json").read_bytes()
    victim.repository.write()
    with victim.cloud.served():
        assert victim.fetch() == CONTENT
    _metadata(victim, "timestamp.json").write_bytes(old)


def frozen_metadata(victim):
    victim.now += timedelta(days=2)


def clock_set_back(victim):
    """What expired yesterday, by the time that the device has seen before."""
    victim.repository.expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    victim.repository.write()
    from shopfloor_edge.agent.updater.clock import LastKnownTime  # noqa: PLC0415

    kept = victim.folder / "clock"
    LastKnownTime(kept, lambda: datetime.now(UTC) + timedelta(days=30)).now()
    victim.now = LastKnownTime(kept, lambda: datetime(1970, 1, 1, tzinfo=UTC)).now()


def endless_metadata(victim):
    victim.cloud.mangle = lambda name, content: (
        b" " * 20_000_000 if name.endswith("timestamp.json") else content
    )


def endless_snapshot(victim):
    victim.cloud.mangle = lambda name, content: (
        content + b" " * 20_000_000 if name.endswith("snapshot.json") else content
    )


def endless_target(victim):
    """More bytes than signed, of which the first are not those that were signed."""
    victim.cloud.mangle = lambda name, content: (
        b"y" + content[1:] + b"x" * 20_000_000 if name.startswith("targets/") else content
    )


def wrong_key(victim):
    with tempfile.TemporaryDirectory() as name:
        other = TufRepository(Path(name) / "other")
        other.publish(PATH, b"forged", custom())
        for file in (other.folder / "metadata").iterdir():
            if "root" not in file.name:
                _metadata(victim, file.name).write_bytes(file.read_bytes())


def other_root(victim):
    """A next root that the pinned one has not signed."""
    with tempfile.TemporaryDirectory() as name:
        other = TufRepository(Path(name) / "other")
        forged = json.loads(other.root)
        forged["signed"]["version"] = 2
        _metadata(victim, "2.root.json").write_text(json.dumps(forged))


def mix_and_match(victim):
    """A bin of an earlier version under a later snapshot."""
    repository = victim.repository
    role = repository.succinct.get_role_for_target(PATH)
    old = _metadata(victim, f"{repository.version}.{role}.json").read_bytes()
    repository.publish(PATH, CONTENT * 2, custom())
    _metadata(victim, f"{repository.version}.{role}.json").write_bytes(old)


def unsigned_target(victim):
    """A campaign names what the registry never signed."""
    victim.path = "model/person-nano/6.6.6/onnx-fp32"


ATTACKS = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        tampered_target,
        truncated_target,
        tampered_metadata,
        replayed_metadata,
        frozen_metadata,
        clock_set_back,
        endless_metadata,
        endless_snapshot,
        endless_target,
        wrong_key,
        other_root,
        mix_and_match,
        unsigned_target,
    )
}


def mount(name):
    """Return why the device refused an attack; empty where it did not."""
    with tempfile.TemporaryDirectory() as folder:
        victim = Victim(Path(folder))
        victim.path = PATH
        ATTACKS[name](victim)
        with victim.cloud.served():
            try:
                victim.fetch(victim.path)
            except UpdateError as e:
                return str(e)[-160:]
    return ""
