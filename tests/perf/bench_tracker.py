"""``make bench-tracker``: our tracker beside the ``trackers`` library's, on MOT15 with trackeval.

Every tracker gets the same detections from memory, on one thread; the library's run with their
defaults. A round shows every sequence to every tracker in turn, so that a busy machine slows them
alike; speed is CPU time of the update alone, its ratio the median over the rounds.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from shopfloor_demo.settings import REPOSITORY, read_settings
from shopfloor_edge.tracking.bytetrack import ByteTracker

F64 = NDArray[np.float64]
Shown = tuple[NDArray[np.int64], F64]
"""Track numbers and xyxy boxes of one frame."""
Tracked = dict[str, list[Shown]]
"""Frames by sequence."""
Step = Callable[[int], Shown]
"""Takes the number of a frame, from 0."""

OURS, REFERENCE = "shopfloor", "bytetrack"
ROUNDS = 7
REPORT = REPOSITORY / "var" / "bench" / "tracker.json"


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence's public detections."""

    name: str
    fps: float
    frames: list[tuple[F64, F64]]
    """``(N, 4)`` xyxy and ``(N,)`` scores."""


def read_sequences(folder: Path) -> list[Sequence]:
    """Read every sequence of a folder in MOT15's layout."""
    sequences = []
    for info in sorted(folder.glob("*/seqinfo.ini")):
        config = configparser.ConfigParser()
        config.read(info)
        about = config["Sequence"]
        rows = np.loadtxt(info.parent / "det" / "det.txt", delimiter=",", ndmin=2)
        frames = []
        for number in range(1, int(about["seqLength"]) + 1):
            found = rows[rows[:, 0] == number]
            boxes = np.concatenate([found[:, 2:4], found[:, 2:4] + found[:, 4:6]], axis=1)
            frames.append((boxes, found[:, 6].copy()))
        sequences.append(Sequence(info.parent.name, float(about["frameRate"]), frames))
    return sequences


def ours(sequence: Sequence) -> Step:
    """Return our tracker over ``sequence``, as a device runs it."""
    tracker = ByteTracker(fps=sequence.fps)

    def step(number: int) -> Shown:
        boxes, scores = sequence.frames[number]
        tracks = tracker.update(boxes, scores, at_s=number / sequence.fps)
        return tracks.ids, tracks.boxes

    return step


def peer(kind: str) -> Callable[[Sequence], Step]:
    """Return a tracker of the ``trackers`` library with its defaults."""
    # Not in the environment: see tracker-bench-requirements.txt.
    import supervision  # noqa: PLC0415
    import trackers  # noqa: PLC0415

    def begin(sequence: Sequence) -> Step:
        tracker = getattr(trackers, kind)()
        inputs = [
            supervision.Detections(
                xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int)
            )
            for boxes, scores in sequence.frames
        ]

        def step(number: int) -> Shown:
            tracks = tracker.update(inputs[number])
            known = tracks.tracker_id >= 0
            return tracks.tracker_id[known], tracks.xyxy[known]

        return step

    return begin


def race(
    contenders: Mapping[str, Callable[[Sequence], Step]], sequences: list[Sequence]
) -> tuple[dict[str, Tracked], dict[str, list[float]]]:
    """Return what each tracker showed, and its frames per CPU second in each round."""
    shown: dict[str, Tracked] = {name: {} for name in contenders}
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        spent = dict.fromkeys(contenders, 0.0)
        for sequence in sequences:
            for name, begin in contenders.items():
                step = begin(sequence)
                begun_s = time.process_time()
                tracked = [step(number) for number in range(len(sequence.frames))]
                spent[name] += time.process_time() - begun_s
                shown[name][sequence.name] = tracked
        frames = sum(len(sequence.frames) for sequence in sequences)
        for name, seconds in spent.items():
            speeds[name].append(frames / seconds)
    return shown, speeds


class Judge:
    """trackeval's HOTA, CLEAR and Identity against MOT15's truth."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        import trackeval  # noqa: PLC0415

        config = {
            "GT_FOLDER": str(folder),
            "TRACKERS_FOLDER": str(folder),
            "TRACKERS_TO_EVAL": [],
            "SKIP_SPLIT_FOL": True,
            "BENCHMARK": "MOT15",
            "PRINT_CONFIG": False,
            "SEQ_INFO": dict.fromkeys(names),
        }
        self._data = trackeval.datasets.MotChallenge2DBox(config)
        quiet = {"PRINT_CONFIG": False, "THRESHOLD": 0.5}
        kinds = trackeval.metrics
        self._metrics = [kinds.HOTA(), kinds.CLEAR(quiet), kinds.Identity(quiet)]
        self._truth = {name: self._data._load_raw_file(None, name, True) for name in names}

    def figures(self, tracked: Tracked) -> dict[str, float]:
        """Return HOTA, MOTA and IDF1 in percent, over all sequences of ``tracked`` together."""
        # The evaluator prints its progress.
        with contextlib.redirect_stdout(io.StringIO()):
            each = {name: self._sequence(name, frames) for name, frames in tracked.items()}
            hota, clear, identity = (
                metric.combine_sequences({name: rows[place] for name, rows in each.items()})
                for place, metric in enumerate(self._metrics)
            )
        return {
            "hota": round(100 * float(hota["HOTA"].mean()), 2),
            "mota": round(100 * float(clear["MOTA"]), 2),
            "idf1": round(100 * float(identity["IDF1"]), 2),
        }

    def perfect(self) -> Tracked:
        """Return the truth as if it were a tracker's output."""
        return {
            name: [
                (ids[kept], _corners(boxes[kept]))
                for ids, boxes, extras in zip(
                    truth["gt_ids"], truth["gt_dets"], truth["gt_extras"], strict=True
                )
                for kept in [extras["zero_marked"] != 0]
            ]
            for name, truth in self._truth.items()
        }

    def _sequence(self, name: str, frames: list[Shown]) -> list[dict[str, F64]]:
        raw = dict(self._truth[name])
        raw["tracker_ids"] = [ids for ids, _ in frames]
        raw["tracker_dets"] = [
            np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
            for _, boxes in frames
        ]
        raw["tracker_classes"] = [np.ones(len(ids), int) for ids, _ in frames]
        raw["tracker_confidences"] = [np.ones(len(ids)) for ids, _ in frames]
        raw["similarity_scores"] = [
            self._data._calculate_similarities(true, found)
            for true, found in zip(raw["gt_dets"], raw["tracker_dets"], strict=True)
        ]
        data = self._data.get_preprocessed_seq_data(raw, "pedestrian")
        return [metric.eval_sequence(data) for metric in self._metrics]


def _corners(boxes: F64) -> F64:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def machine() -> str:
    """Return processor and cores."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def report(folder: Path) -> dict[str, object]:
    """Run all trackers over a folder in MOT15's layout.

    Raises:
        ValueError: the evaluator does not give the truth itself 100 percent.
    """
    sequences = read_sequences(folder)
    judge = Judge(folder, [sequence.name for sequence in sequences])
    perfect = judge.figures(judge.perfect())
    if set(perfect.values()) != {100.0}:
        raise ValueError(f"truth against itself is {perfect}, expected 100 each")
    contenders = {
        OURS: ours,
        REFERENCE: peer("ByteTrackTracker"),
        "ocsort": peer("OCSORTTracker"),
        "sort": peer("SORTTracker"),
    }
    shown, speeds = race(contenders, sequences)
    trackers = {}
    for name, tracked in shown.items():
        pairs = zip(speeds[name], speeds[REFERENCE], strict=True)
        trackers[name] = {
            "fps": round(statistics.median(speeds[name])),
            **judge.figures(tracked),
            "fps_ratio": round(statistics.median(own / other for own, other in pairs), 2),
            "sequences": {one: judge.figures({one: tracked[one]}) for one in tracked},
        }
    return {"machine": machine(), "rounds": ROUNDS, "trackers": trackers}


def show(result: dict[str, object], console: Console) -> None:
    """Print the table."""
    table = Table(title=f"MOT15 train, public detections; {result['machine']}, one thread")
    for column in ("tracker", "updates per CPU second", "to bytetrack", "HOTA", "MOTA", "IDF1"):
        table.add_column(column)
    for name, row in result["trackers"].items():  # type: ignore[attr-defined]
        figures = (row["fps"], row["fps_ratio"], row["hota"], row["mota"], row["idf1"])
        table.add_row(name, *map(str, figures))
    console.print(table)


def main() -> int:
    """Measure, print and write ``var/bench/tracker.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=Path, help="folder in MOT15's layout")
    folder = parser.parse_args().sequences
    if folder is None:
        mirror = read_settings(os.environ).footage.mirror
        folder = mirror / "data" / "mot15" if mirror else None
    if folder is None or not any(folder.glob("*/seqinfo.ini")):
        print("MOT15 is not there: SHOPFLOOR_MIRROR names the mirror", file=sys.stderr)
        return 2
    result = report(folder)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(result, indent=2) + "\n")
    show(result, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
