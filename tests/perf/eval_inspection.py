"""``make eval-inspection``: how well each judge finds what is wrong, on DeepPCB's val list.

The rule is the paper's: a box is right at an intersection over union of at least 0.33, one to
one; for the trained judge of the right class too. No weight and no setting comes from the val
list; the train list stands beside it. Good parts are the references, moved and made noisy.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from inspection_judges import (
    NO_BUNDLE,
    NO_ONE_CLASS,
    Entry,
    anomaly,
    data_folder,
    entries,
    machine,
)
from own_product import learner
from rich.console import Console
from rich.table import Table

from shopfloor_demo.errors import OperatorError
from shopfloor_demo.pcb import CLASSES, Pair, pairs
from shopfloor_demo.pcb_good import as_seen
from shopfloor_demo.pcb_scores import Marks, matched, mean_average_precision, score
from shopfloor_demo.settings import REPOSITORY
from shopfloor_edge.inspection.judges.cascade import Cascade
from shopfloor_edge.inspection.judges.trained import Band
from shopfloor_edge.inspection.ports import Finding, Verdict

FOLDER = REPOSITORY / "var" / "eval"
PAPER = {"f": 0.982, "map": 0.986}
"""Tang et al., 2019, with classes; trained on 1,000 pairs, measured on 500 others."""
SURE = Band().fail_at
"""Findings with this score count for F: a part is failed for them. Lower ones a person sees."""
PICTURES = 6
OWN = "anomaly-own"
"""Learns each board's own good part; nothing of it comes from the train list."""


@dataclass(slots=True)
class Figures:
    """What one judge did on one list."""

    parts: list[tuple[Marks, Marks]] = field(default_factory=list)
    """Found and labelled."""
    lenient: list[tuple[Marks, Marks]] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)
    """Verdicts on the parts with defects; a pass is an escape."""
    good: Counter[str] = field(default_factory=Counter)
    """Verdicts on the good parts; a fail is a false reject."""
    asked: int = 0
    """Bad and good parts that a cascade's stronger judge has seen."""
    wrong: list[tuple[Pair, Marks]] = field(default_factory=list)
    """Parts with a finding or a label that has no match."""

    def row(self) -> dict[str, object]:
        """Return the figures as they are written."""
        found = score(self.parts)
        return {
            "f": found.f,
            "precision": found.precision,
            "recall": found.recall,
            "map": mean_average_precision(self.lenient),
            "defects": found.labelled,
            "verdicts_on_bad_parts": dict(self.bad),
            "verdicts_on_good_parts": dict(self.good),
            "stronger_judge_asked": self.asked,
        }


def evaluate(entry: Entry, data: list[Pair]) -> Figures:
    """Judge each pair's part, and its reference as a good part."""
    figures, random = Figures(), np.random.default_rng(3)
    for pair in data:
        judge = entry.make(pair.reference)
        judgement = judge.judge(pair.part)
        labels = _labels(pair, entry)
        sure = tuple(finding for finding in judgement.findings if finding.score >= SURE)
        found = _marks(sure, entry)
        figures.parts.append((found, labels))
        figures.lenient.append(
            (_marks(entry.lenient(pair.reference).judge(pair.part).findings, entry), labels)
        )
        figures.bad[judgement.verdict] += 1
        figures.good[judge.judge(as_seen(pair.reference, random)).verdict] += 1
        figures.asked += judge.asked if isinstance(judge, Cascade) else 0
        if not len(found.boxes) == len(labels.boxes) == len(matched(found, labels)):
            figures.wrong.append((pair, found))
    return figures


def _labels(pair: Pair, entry: Entry) -> Marks:
    classes = pair.classes if entry.names_classes else np.zeros_like(pair.classes)
    return Marks(pair.boxes, classes, np.ones(len(classes), np.float32))


def _marks(findings: tuple[Finding, ...], entry: Entry) -> Marks:
    classes = [CLASSES.index(f.defect) if entry.names_classes else 0 for f in findings]
    return Marks(
        np.array([f.box for f in findings], np.float32).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array([f.score for f in findings], np.float32),
    )


def draw(figures: Figures, path: Path) -> None:
    """Draw the parts that a judge is most wrong about: labels green, findings red."""
    worst = sorted(figures.wrong, key=lambda one: _mistakes(*one), reverse=True)[:PICTURES]
    tiles = []
    for pair, found in worst:
        tile = cv2.cvtColor(pair.part // 2 + 40, cv2.COLOR_GRAY2BGR)
        for marks, colour, by in ((_plain(pair), (80, 220, 80), 0), (found, (60, 60, 255), 3)):
            for box, kind in zip(marks.boxes.astype(int), marks.classes, strict=True):
                cv2.rectangle(tile, box[:2] + by, box[2:] - by, colour, 2)
                place = (int(box[0]), int(box[1] - 4 if by else box[3] + 14))
                cv2.putText(tile, CLASSES[kind], place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
        cv2.putText(tile, pair.name, (8, 632), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
        tiles.append(tile)
    if tiles:
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 3)
        rows = [np.hstack(tiles[at : at + 3]) for at in range(0, len(tiles), 3)]
        cv2.imwrite(str(path), np.vstack(rows))


def _plain(pair: Pair) -> Marks:
    return Marks(pair.boxes, pair.classes, np.ones(len(pair.classes), np.float32))


def _mistakes(pair: Pair, found: Marks) -> int:
    right = len(matched(found, _plain(pair)))
    return len(found.boxes) + len(pair.boxes) - 2 * right


def main() -> int:
    """Evaluate, print and write."""
    console = Console()
    try:
        folder = data_folder(dict(os.environ))
        data = {split: list(pairs(folder, split)) for split in ("val", "train")}
    except OperatorError as e:
        print(f"eval-inspection: {e}", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, dict[str, object]]] = {"val": {}, "train": {}}
    table = Table("judge", "list", "F", "precision", "recall", "mAP", "bad", "good")
    with TemporaryDirectory() as scratch:
        judges = _judges(Path(scratch))
        for name, split in product(judges, data):
            if (name, split) == (OWN, "train"):
                continue
            entry, some = judges[name], data[split]
            figures = evaluate(entry, some)
            row = rows[split][name] = figures.row()
            table.add_row(
                name, split,
                *(f"{row[key]:.4f}" for key in ("f", "precision", "recall", "map")),
                _verdicts(figures.bad), _verdicts(figures.good),
            )  # fmt: skip
            if split == "val" and entry.names_classes:
                draw(figures, FOLDER / "inspection.png")
    console.print(table)
    console.print("bad and good parts: pass/fail/review; trained: with classes")
    if "trained" not in rows["val"]:
        console.print(NO_BUNDLE)
    if "anomaly" not in rows["val"]:
        console.print(NO_ONE_CLASS)
    report = {
        "machine": machine(),
        "judges": rows["val"],
        "train": rows["train"],
        "paper": PAPER,
        "rule": "IoU >= 0.33, one to one; classes for the trained judge only; F of scores >= 0.5",
        "parts": {split: len(some) for split, some in data.items()},
    }
    (FOLDER / "inspection.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    console.print(
        f"paper, with classes: F {PAPER['f']}, mAP {PAPER['map']}; var/eval/inspection.json"
    )
    return 0


def _judges(scratch: Path) -> dict[str, Entry]:
    """Return those that are measured; beside the anomaly judge one that knows each product."""
    judges = entries()
    if "anomaly" in judges:
        judges[OWN] = anomaly(learner(scratch))
    return judges


def _verdicts(counted: Counter[str]) -> str:
    return "/".join(str(counted[verdict]) for verdict in Verdict)


if __name__ == "__main__":
    sys.exit(main())
