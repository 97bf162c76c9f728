"""``make faults-ota``: updates that are killed, broken, worse or forged, and what runs afterwards.

The real agent and the real vision, a camera that shows a drawn light, a TUF repository and a
campaigns' server on loopback. First each of five bundles is installed undisturbed, and every step
that makes something durable is noted: an fsync or a rename, by the chain of functions that leads
to it. Then it is installed again and again while agent or vision gets SIGKILL at those steps,
several of them in one run, each once; they are started again at once, and the end state is judged.
Of the writes of a file (fsync, rename, fsync of the folder) a run of the default kills at one,
another one for each bundle; ``--points all`` kills before and after each. An application's wheels
(``app-…``) are installed in the same way, by processes that the launcher starts: a good set, one
that cannot be loaded, one whose agent crashes, and a tampered one. Then every attack of two
lists is mounted on the updater and on python-tuf's own client. Writes
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
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from fakes import applications, ota  # noqa: E402
from fakes.kept_device import KeptDevice  # noqa: E402
from fakes.ota_attacks import ATTACKS, mount  # noqa: E402
from fakes.tuf_attacks import ATTACKS as TUF_ATTACKS  # noqa: E402
from fakes.tuf_attacks import run_attacks  # noqa: E402
from shopfloor_edge.agent.updater.fit import platform_name  # noqa: E402
from shopfloor_edge.journal.state import read_state  # noqa: E402
from shopfloor_edge.slots.domain import Slots  # noqa: E402
from shopfloor_edge.slots.file import SlotsFile  # noqa: E402

PATIENCE_S, PER_KILL_S = 180.0, 30.0
TARGET = "model/person-nano/1.0.0/onnx-fp32"
APP_TARGET = f"wheels/shopfloor-edge/2.0/{platform_name()}"
KILLS = {"agent": 5, "vision": 1}
"""In one run. Vision's count as loads that ended badly, and after three of them a device rightly
goes back."""
ON_TRIAL = 2
"""Kills of an application's agent in one run, once it is on trial: they count as well."""
DURABLE = ("fsync", "rename", "replace", "durable.")
SHADOW_S = {"good": 3, "crashing": 0, "worse": 12}
BUNDLES = ("good", "crashing", "worse", "tampered", "truncated")
APPS = {"app-good": "good", "app-broken": "broken", "app-crashing": "crashing"}
APPS["app-tampered"] = "good"
ALL = (*BUNDLES, *APPS)


@dataclass(frozen=True, slots=True)
class Task:
    """One run: which bundle, and who is killed at which points."""

    bundle: str
    victim: str = ""
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One update and how it ended."""

    task: Task
    kills: int
    right: bool
    end: str
    seconds: float


def archive_of(bundle: str) -> bytes:
    """Return the archive that is published."""
    if bundle in APPS:
        return applications.application(APPS[bundle], salt=len(bundle))
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
    target, custom, home = TARGET, ota.custom(), None
    if bundle in APPS:
        target = APP_TARGET
        custom = ota.custom("wheels", "2.0", hardware=[platform_name()])
        home = applications.provision(folder / "home")
    digest = repository.publish(target, content, custom)
    place = repository.place(target, digest)
    if bundle in ("tampered", "app-tampered"):
        place.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    if bundle == "truncated":
        place.write_bytes(content[: len(content) // 2])
    environment = os.environ | ota.write_zoo(folder / "zoo", ota.light_model())
    with cloud.served():
        ota.write_site(
            folder / "site.toml", camera=camera, cloud=cloud.url, root=folder / "root.json"
        )
        if home is not None:
            environment |= {"KILLED_LAUNCHER": str(home.launcher)}
        device = KeptDevice(folder, environment)
        trial = {"shopfloor.shadow_s": SHADOW_S.get(bundle, 0), "shopfloor.trial_s": 1.5}
        cloud.offer("7", target, chunk=trial)
        try:
            yield cloud, device, digest
        finally:
            device.stop()


def run_once(task: Task, camera: str, logs: dict[str, Path] | None = None) -> Run:
    """Install a bundle, kill at each point of the task, judge what runs at the end.

    Args:
        logs: where the steps of agent and vision are noted.
    """
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        points = folder / "points"
        points.write_text("".join(f"{point}\n" for point in task.points))
        with world(folder, task.bundle, camera) as (cloud, device, digest):
            for command in ("vision", "agent"):
                log = str(logs[command]) if logs else "-"
                device.keep(command, str(points) if command == task.victim else "-", log)
            until(lambda: bool(cloud.endings("7")), PATIENCE_S + PER_KILL_S * len(task.points))
            slots = SlotsFile(folder / "state").read()
            right, end = judge(task.bundle, digest, slots, cloud)
            if right and not counts(folder / "state"):
                right, end = False, f"{end}, but vision infers nothing"
            if right and task.bundle in APPS and not until(lambda: runs(folder, end, digest)):
                right, end = False, f"{end}, but the launcher would start something else"
            kills = device.kills
        if not right:
            print((folder / "agent.log").read_text()[-2000:], file=sys.stderr)
    return Run(task, kills, right, end, round(time.monotonic() - begun_s, 1))


def judge(bundle: str, digest: str, slots: Slots, cloud: ota.Cloud) -> tuple[bool, str]:
    """Say whether the slots and what the campaigns were told are right for a bundle."""
    active = (slots.wheels if bundle in APPS else slots.model).active
    endings = cloud.endings("7")
    success = any(ending["result"]["finished"] == "success" for ending in endings)
    end = "new" if active and active.digest == digest else "old"
    seqs = [report["seq"] for report in cloud.evidence("7")]
    ordered = sorted(set(seqs)) == list(range(1, len(set(seqs)) + 1))
    told = f"{end}, told {'success' if success else 'failure' if endings else 'nothing'}"
    if slots.attempt is not None or not ordered or not endings:
        return False, f"{told}, attempt {slots.attempt}, reports {seqs}"
    if bundle in ("good", "app-good"):
        return end == "new" and success, told
    trials = [report for report in cloud.evidence("7") if report["phase"] == "trial"]
    tried = bundle == "worse" and bool(trials)
    refused = ("tampered", "truncated", "app-tampered", "app-broken")
    banned = bundle in refused or digest in slots.quarantine
    return end == "old" and not success and banned and not tried, told


def counts(state: Path) -> bool:
    """Wait until vision infers frames now."""
    asked_s = time.time()

    def inferred() -> bool:
        rows = read_state(state).cameras
        return any(row.frames > 5 and row.updated_at > asked_s and row.fps > 0 for row in rows)

    return until(inferred, patience_s=20.0)


def runs(folder: Path, end: str, digest: str) -> bool:
    """Say whether the launcher starts what the end state says, and nothing is on trial."""
    home = folder / "home"
    is_new = (home / "current").resolve().name == digest
    return is_new is end.startswith("new") and not (home / "trial").exists()


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Wait for something; return whether it came."""
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.1)
    return False


def survey(bundle: str, camera: str) -> tuple[Run, dict[str, list[str]]]:
    """Run an update that nobody kills; return it and the durable steps of agent and vision."""
    with tempfile.TemporaryDirectory() as name:
        logs = {victim: Path(name) / victim for victim in KILLS}
        run = run_once(Task(bundle), camera, logs)
        texts = {victim: log.read_text() if log.exists() else "" for victim, log in logs.items()}
        return run, {victim: list(dict.fromkeys(text.split())) for victim, text in texts.items()}


def points_of(steps: list[str], *, every: bool, turn: int) -> list[str]:
    """Return where to kill: at one step of each write, or before and after each step.

    Args:
        turn: which of a write's steps; every bundle takes another.
    """
    if every:
        return [f"{side} {step}" for step in steps for side in ("before", "after")]
    writes: dict[str, list[str]] = {}
    for step in steps:
        parts = step.split("<")
        where = "<".join(part for part in parts if not part.startswith(DURABLE))
        # What comes after a rename and before the folder's fsync is the same moment.
        side = "after" if "sync_folder" in step else "before"
        writes.setdefault(where, []).append(f"{side} {step}")
    return [found[(turn + n) % len(found)] for n, found in enumerate(writes.values())]


def tasks_of(bundle: str, steps: dict[str, list[str]], *, every: bool) -> Iterator[Task]:
    """Spread the points over runs."""
    for victim, most in KILLS.items():
        points = points_of(steps[victim], every=every, turn=ALL.index(bundle))
        # Points come in the order in which they were first reached.
        whole = [n for n, point in enumerate(points) if "mark_whole" in point]
        tried = whole[-1] + 1 if whole else len(points)
        for begin in range(0, tried, most):
            yield Task(bundle, victim, tuple(points[begin : min(begin + most, tried)]))
        for begin in range(tried, len(points), ON_TRIAL):
            yield Task(bundle, victim, tuple(points[begin : begin + ON_TRIAL]))


def all_runs(bundles: list[str], jobs: int, camera: str, *, every: bool) -> Iterator[Run]:
    """Give every run, ``jobs`` of them at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        tasks: list[Task] = []
        surveys = [(bundle, pool.submit(survey, bundle, camera)) for bundle in bundles]
        for bundle, future in surveys:
            run, steps = future.result()
            yield run
            tasks += tasks_of(bundle, steps, every=every)
        for done in as_completed([pool.submit(run_once, task, camera) for task in tasks]):
            yield done.result()


def attacks() -> dict[str, str]:
    """Mount every attack; return what each was refused with, empty where it was not."""
    refused = {name: mount(name) for name in ATTACKS}
    with tempfile.TemporaryDirectory() as folder:
        answers = run_attacks(Path(folder))
    expected = {name: word for name, (_, word) in TUF_ATTACKS.items()}
    for name, answer in answers.items():
        refused[f"client: {name}"] = answer if answer == expected[name] else ""
    return refused


def report(runs: list[Run], refused: dict[str, str], points: str) -> dict[str, object]:
    """Return what is written; after each run."""
    named = {point for run in runs for point in run.task.points}
    return {
        "runs": len(runs),
        "wrong_end_states": sum(not run.right for run in runs),
        "kills": sum(run.kills for run in runs),
        "points": points,
        "steps": len({point.partition(" ")[2] for point in named}),
        "attacks": len(refused),
        "refused_attacks": sum(bool(reason) for reason in refused.values()),
        "refusals": refused,
        "bundles": dict(Counter(run.task.bundle for run in runs)),
        "wrong": [asdict(run) for run in runs if not run.right],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def main() -> int:
    """Run everything, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", choices=("one", "all"), default="one", help="of each write")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--bundle", choices=ALL, action="append", help="only these")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/bench/faults-ota.json")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    refused = attacks()
    for name, reason in refused.items():
        print(f"{name:28} {'refused: ' + reason if reason else 'ACCEPTED'}")
    runs: list[Run] = []
    bundles, every = arguments.bundle or list(ALL), arguments.points == "all"
    with ota.light_camera() as camera:
        for run in all_runs(bundles, arguments.jobs, camera, every=every):
            runs.append(run)
            told = report(runs, refused, arguments.points)
            arguments.out.write_text(json.dumps(told, indent=2) + "\n")
            word = "right" if run.right else "WRONG"
            print(
                f"{run.task.bundle:12} {run.task.victim or '-':7} {run.kills} of "
                f"{len(run.task.points)} kills  {word}  {run.end}  {run.seconds:5.1f} s",
                flush=True,
            )
    wrong = sum(not run.right for run in runs)
    accepted = sum(not reason for reason in refused.values())
    kills = sum(run.kills for run in runs)
    print(f"{len(runs)} runs, {kills} kills, {wrong} wrong; ", end="")
    print(f"{accepted} of {len(refused)} attacks accepted")
    return 1 if wrong or accepted else 0


if __name__ == "__main__":
    sys.exit(main())
