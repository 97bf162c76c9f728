"""``make eval-shelf``: taken from the shelf and put back, on real footage, against what was seen.

The thresholds of ``shopfloor_edge.analytics.shelf`` were chosen on the first half of the clip; the
second half is reported by itself as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from shopfloor_contracts.site import ModelSpec
from shopfloor_demo.clips import verified
from shopfloor_demo.errors import DemoError, OperatorError
from shopfloor_demo.replay import RUNTIMES, Look, replay
from shopfloor_demo.settings import REPOSITORY, read_settings
from shopfloor_demo.stack import fetch_model
from shopfloor_edge.analytics.shelf import Objects, ShelfMonitor, Slot
from shopfloor_edge.errors import EdgeError

PERSON = "person"
LATE_MAX_S = 5.0
"""A change told later than this is another change."""
EARLY_MAX_S = 0.2
"""The truth is read by eye, to within some frames."""


@dataclass(frozen=True, slots=True)
class Change:
    """A product taken from a slot, or put there."""

    slot: str
    removal: bool
    at_s: float


@dataclass(frozen=True, slots=True)
class ShelfTruth:
    """What really happened on the clip."""

    clip: str
    sha256: str
    fps: float
    frames: int
    slots: tuple[Slot, ...]
    changes: tuple[Change, ...]

    @property
    def half_s(self) -> float:
        """Where the half begins on which no threshold was chosen."""
        return self.frames / 2 / self.fps


def kept_truth() -> ShelfTruth:
    """Return the truth of ``bottle-detection.mp4`` that is kept here."""
    kept = json.loads(files("shopfloor_demo").joinpath("bottle_shelf.json").read_text())
    return ShelfTruth(
        kept["clip"],
        kept["clip_sha256"],
        kept["fps"],
        kept["frames"],
        tuple(Slot(slot["name"], tuple(slot["box"]), slot["expects"]) for slot in kept["slots"]),
        tuple(
            Change(change["slot"], change["change"] == "removal", change["frame"] / kept["fps"])
            for change in kept["changes"]
        ),
    )


def watch(looks: Iterable[Look], slots: tuple[Slot, ...]) -> list[Change]:
    """Return the removals and returns that the device's analytic finds."""
    monitor, found = ShelfMonitor(slots), []
    for look in looks:
        changes = monitor.update(
            _objects(look, people=False),
            _objects(look, people=True),
            size=look.size,
            at_s=look.at_s,
        )
        found += [
            Change(change.slot, change.removal, change.at_s)
            for change in changes
            if change.removal or change.returned
        ]
    return found


def delays_s(truth: Iterable[Change], found: Iterable[Change]) -> list[float | None]:
    """Return by how much each true change was found late, or None for those that were not.

    The first that fits, in order of time, is taken; each once.
    """
    left = sorted(found, key=lambda change: change.at_s)
    delays: list[float | None] = []
    for true in sorted(truth, key=lambda change: change.at_s):
        fitting = [c for c in left if (c.slot, c.removal) == (true.slot, true.removal)]
        late = [c for c in fitting if -EARLY_MAX_S <= c.at_s - true.at_s <= LATE_MAX_S]
        if late:
            left.remove(late[0])
        delays.append(late[0].at_s - true.at_s if late else None)
    return delays


def score(truth: list[Change], found: list[Change]) -> dict[str, object]:
    """Return what goes into ``shelf.json`` for one stretch of the clip."""
    told = [delay for delay in delays_s(truth, found) if delay is not None]
    return {
        "changes_truth": len(truth),
        "changes_found": len(told),
        "false_changes": len(found) - len(told),
        "delay_s_max": round(max(told), 2) if told else None,
        "delay_s_mean": round(sum(told) / len(told), 2) if told else None,
    }


def evaluate(model: ModelSpec, every: int) -> dict[str, object]:
    """Watch the clip, compare, and return what goes into ``shelf.json``.

    Raises:
        OperatorError: the mirror is absent, or the runtime does not work here.
    """
    truth = kept_truth()
    mirror = read_settings(os.environ).footage.mirror
    clip = None if mirror is None else mirror / "data" / "video" / truth.clip
    if clip is None or not clip.is_file():
        raise OperatorError(f"{truth.clip} is in no mirror: set SHOPFLOOR_MIRROR")
    fetch_model(model.bundle)
    wanted = (PERSON, *sorted({slot.expects for slot in truth.slots}))
    looks = replay(verified(clip, truth.sha256), model, wanted)
    found = watch((look for number, look in enumerate(looks) if number % every == 0), truth.slots)

    def of_second_half(changes: Iterable[Change]) -> list[Change]:
        return [change for change in changes if change.at_s >= truth.half_s]

    return {
        **score(list(truth.changes), found),
        "second_half": score(of_second_half(truth.changes), of_second_half(found)),
        "frames_per_s": round(truth.fps / every, 2),
        "detector": model.bundle,
        "backend": model.backend,
    }


def evaluate_each(bundle: str, every: int) -> dict[str, object]:
    """Return the default runtime's result, and that of every other which works here."""
    results: list[dict[str, object]] = []
    # Motion tells no product from another.
    for runtime in RUNTIMES[:-1]:
        try:
            results.append(evaluate(ModelSpec(bundle=bundle, backend=runtime), every))
        except (OperatorError, EdgeError) as e:
            results.append({"backend": runtime, "not_run": str(e)})
    return {**results[0], "backends": results}


def main() -> int:
    """Run the evaluation and print the result."""
    parser = argparse.ArgumentParser(prog="make eval-shelf", description=__doc__)
    parser.add_argument("--bundle", default="yolox-nano", help="detector of the zoo")
    parser.add_argument("--backend", default="auto", choices=["auto", *RUNTIMES[:-1], "all"])
    parser.add_argument("--every", type=int, default=1, help="look at every n-th frame only")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "var/eval/shelf.json")
    arguments = parser.parse_args()
    try:
        if arguments.backend == "all":
            result = evaluate_each(arguments.bundle, arguments.every)
        else:
            model = ModelSpec(bundle=arguments.bundle, backend=arguments.backend)
            result = evaluate(model, arguments.every)
    except (DemoError, EdgeError) as e:
        print(f"eval-shelf: {e}", file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    arguments.out.write_text(text)
    print(f"{text}written to {arguments.out}")
    return 0


def _objects(look: Look, *, people: bool) -> Objects:
    rows = [n for n, label in enumerate(look.labels) if (label == PERSON) is people]
    return Objects(look.boxes[rows], look.scores[rows], [look.labels[n] for n in rows])


if __name__ == "__main__":
    sys.exit(main())
