"""``make faults-ota``: updates that are killed, broken, worse or forged, and what runs afterwards.

The real agent and the real vision, a camera that shows a drawn light, a TUF repository and a
campaigns' server on loopback. Each run installs one of five bundles while agent or vision is
killed by SIGKILL around one of its durable steps, then lets both run on and looks at the end
state. Then every attack of the list is mounted on the updater. Writes
``var/bench/faults-ota.json``; ends with 1 when an end state is wrong or an attack succeeds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from fakes import ota  # noqa: E402
from fakes.kept_device import KeptDevice  # noqa: E402
from fakes.ota_attacks import ATTACKS, mount  # noqa: E402
from shopfloor_edge.journal.state import read_state  # noqa: E402
from shopfloor_edge.slots.domain import Slots  # noqa: E402
from shopfloor_edge.slots.file import SlotsFile  # noqa: E402

PATIENCE_S = 90.0
TARGET = "model/person-nano/1.0.0/onnx-fp32"
SHADOW_S = {"good": 3, "crashing": 0, "worse": 12}
BUNDLES = ("good", "crashing", "worse", "tampered", "truncated")


@dataclass(frozen=True, slots=True)
class Run:
    """One update and how it ended."""

    bundle: str
    victim: str
    step: int
    killed: bool
    right: bool
    end: str
    seconds: float


def archive_of(bundle: str) -> bytes:
    """Return the archive that is published."""
    model = {
        "crashing": lambda: ota.light_model(crashes=True, salt=2),
        "worse": lambda: ota.light_model(sees="left", salt=3),
    }.get(bundle, lambda: ota.light_model(salt=1))()
    # Larger than one chunk, so that a download has a middle.
    return ota.bundle(model, padding=100)


@contextmanager
def world(folder: Path, bundle: str, camera: str) -> Iterator[tuple[ota.Cloud, KeptDevice, str]]:
    """Make a cloud that offers ``bundle`` to a device; yields them and the bundle's digest."""
    repository = ota.TufRepository(folder / "repository")
    (folder / "root.json").write_bytes(repository.root)
    cloud = ota.Cloud(repository)
    content = archive_of(bundle)
    digest = repository.publish(TARGET, content, ota.custom())
    place = repository.place(TARGET, digest)
    if bundle == "tampered":
        place.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    if bundle == "truncated":
        place.write_bytes(content[: len(content) // 2])
    environment = os.environ | ota.write_zoo(folder / "zoo", ota.light_model())
    with cloud.served():
        ota.write_site(
            folder / "site.toml", camera=camera, cloud=cloud.url, root=folder / "root.json"
        )
        device = KeptDevice(folder, environment)
        trial = {"shopfloor.shadow_s": SHADOW_S.get(bundle, 0), "shopfloor.trial_s": 1.5}
        cloud.offer("7", TARGET, chunk=trial)
        try:
            yield cloud, device, digest
        finally:
            device.stop()


def run_once(bundle: str, victim: str, step: int, camera: str, log: str = "-") -> Run:
    """Install ``bundle``, kill ``victim`` at ``step`` (0: nobody), judge what runs at the end."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with world(folder, bundle, camera) as (cloud, device, digest):
            for command in ("vision", "agent"):
                mine = command == victim
                device.keep(command, step if mine else 0, log if mine else "-")
            until(lambda: bool(cloud.endings("7")))
            slots = SlotsFile(folder / "state").read()
            right, end = judge(bundle, digest, slots, cloud)
            if right and not counts(folder / "state"):
                right, end = False, f"{end}, but vision infers nothing"
            kills = device.kills
        if not right:
            print((folder / "agent.log").read_text()[-2000:], file=sys.stderr)
    seconds = time.monotonic() - begun_s
    return Run(bundle, victim, step, kills > 0, right, end, round(seconds, 1))


def judge(bundle: str, digest: str, slots: Slots, cloud: ota.Cloud) -> tuple[bool, str]:
    """Say whether the slots and what the campaigns were told are right for a bundle."""
    active = slots.model.active
    endings = cloud.endings("7")
    success = any(ending["result"]["finished"] == "success" for ending in endings)
    end = "new" if active and active.digest == digest else "old"
    seqs = [report["seq"] for report in cloud.evidence("7")]
    ordered = sorted(set(seqs)) == list(range(1, len(set(seqs)) + 1))
    told = f"{end}, told {'success' if success else 'failure' if endings else 'nothing'}"
    if slots.attempt is not None or not ordered or not endings:
        return False, f"{told}, attempt {slots.attempt}, reports {seqs}"
    if bundle == "good":
        return end == "new" and success, told
    trials = [report for report in cloud.evidence("7") if report["phase"] == "trial"]
    tried = bundle == "worse" and bool(trials)
    banned = bundle in ("tampered", "truncated") or digest in slots.quarantine
    return end == "old" and not success and banned and not tried, told


def counts(state: Path) -> bool:
    """Wait until vision infers frames now."""
    asked_s = time.time()

    def inferred() -> bool:
        rows = read_state(state).cameras
        return any(row.frames > 5 and row.updated_at > asked_s and row.fps > 0 for row in rows)

    return until(inferred, patience_s=20.0)


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Wait for something; return whether it came."""
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.1)
    return False


def steps_of(bundle: str, victim: str, camera: str) -> tuple[int, Run]:
    """Count the durable steps of an update that nobody kills; return them and that run."""
    with tempfile.NamedTemporaryFile() as log:
        run = run_once(bundle, victim, 0, camera, log.name)
        return 2 * len(Path(log.name).read_text().splitlines()), run


def kill_runs(bundles: list[str], stride: int, camera: str) -> Iterator[Run]:
    """Give every run: each bundle, each victim, killed at every ``stride``-th step."""
    for bundle in bundles:
        for victim in ("agent", "vision"):
            steps, run = steps_of(bundle, victim, camera)
            yield run
            for step in range(1, steps + 1, stride):
                yield run_once(bundle, victim, step, camera)


def report(runs: list[Run], refused: dict[str, str], stride: int) -> dict[str, object]:
    """Return what is written; after each run, since all of them take hours."""
    return {
        "runs": len(runs),
        "wrong_end_states": sum(not run.right for run in runs),
        "killed": sum(run.killed for run in runs),
        "stride": stride,
        "attacks": len(refused),
        "refused_attacks": sum(bool(reason) for reason in refused.values()),
        "refusals": refused,
        "bundles": dict(Counter(run.bundle for run in runs)),
        "wrong": [asdict(run) for run in runs if not run.right],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def main() -> int:
    """Run everything, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="kill at every n-th step only")
    parser.add_argument("--bundle", choices=BUNDLES, action="append", help="only these")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/faults-ota.json")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    refused = {name: mount(name) for name in ATTACKS}
    for name, reason in refused.items():
        print(f"{name:28} {'refused: ' + reason if reason else 'ACCEPTED'}")
    runs: list[Run] = []
    with ota.light_camera() as camera:
        for run in kill_runs(arguments.bundle or list(BUNDLES), arguments.stride, camera):
            runs.append(run)
            told = report(runs, refused, arguments.stride)
            arguments.out.write_text(json.dumps(told, indent=2) + "\n")
            word = "right" if run.right else "WRONG"
            print(
                f"{run.bundle:10} {run.victim:7} step {run.step:3}  {word}  {run.end}"
                f"  {run.seconds:5.1f} s",
                flush=True,
            )
    wrong = sum(not run.right for run in runs)
    accepted = sum(not reason for reason in refused.values())
    print(f"{len(runs)} runs, {wrong} wrong; {accepted} of {len(refused)} attacks accepted")
    return 1 if wrong or accepted else 0


if __name__ == "__main__":
    sys.exit(main())
