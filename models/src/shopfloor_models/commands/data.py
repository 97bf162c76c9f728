"""``data check``, ``data split`` and ``data frames``."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shopfloor_models.data.dataset import load_dataset
from shopfloor_models.data.formats import write_coco
from shopfloor_models.data.problems import Severity
from shopfloor_models.data.quality import check
from shopfloor_models.data.scan import Scan, scan_dataset
from shopfloor_models.data.video import extract

SHOWN = 50
"""Problems printed before the rest is only counted; --json has all."""


def read_dataset(path: Path) -> Scan:
    """Read a dataset file and all that it names.

    Raises:
        DataError: it cannot be used.
    """
    return scan_dataset(load_dataset(path), path.parent)


def data_check(options: Namespace, out: Console, err: Console) -> int:
    """Print every problem; 2 if one of them refuses training."""
    scan = read_dataset(options.data)
    with err.status(f"reading {len(scan.items)} pictures"):
        problems = check(scan)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    counts = {split: len(scan.samples(split)) for split in ("train", "val")}
    if options.json:
        content = {
            "dataset": scan.dataset.name,
            "version": scan.dataset.version,
            "data_sha256": scan.data_sha256(),
            "pictures": counts,
            "problems": [
                {"gate": p.gate, "severity": p.severity, "where": p.where, "message": p.message}
                for p in problems
            ],
        }
        out.print_json(json.dumps(content))
        return 2 if errors else 0
    for problem in problems[:SHOWN]:
        out.print(problem.line(), markup=False, highlight=False, soft_wrap=True)
    if len(problems) > SHOWN:
        out.print(f"… and {len(problems) - SHOWN} more; --json has all")
    out.print(
        f"{scan.dataset.name} {scan.dataset.version}: {counts['train']} pictures to train, "
        f"{counts['val']} to validate, {errors} errors, {len(problems) - errors} warnings, "
        f"data_sha256 {scan.data_sha256()}",
        highlight=False,
        soft_wrap=True,
    )
    return 2 if errors else 0


def data_split(options: Namespace, out: Console, _err: Console) -> int:
    """Print the scenes; write COCO files where asked."""
    scan = read_dataset(options.data)
    table = Table("scene", "split", "pictures", "boxes")
    pictures = Counter((item.scene, item.split) for item in scan.items)
    for (scene, split), count in sorted(pictures.items()):
        boxes = sum(len(item.sample.boxes) for item in scan.items if item.scene == scene)
        table.add_row(scene, split, str(count), str(boxes))
    out.print(table)
    if options.coco is not None:
        options.coco.mkdir(parents=True, exist_ok=True)
        write_coco(scan.samples("train"), scan.dataset.classes, options.coco / "train.json")
        write_coco(scan.samples("val"), scan.dataset.classes, options.coco / "val.json")
    return 0


def data_frames(options: Namespace, out: Console, _err: Console) -> int:
    """Write frames."""
    written = extract(options.footage, options.out, every_s=options.every)
    out.print(f"{len(written)} pictures in {options.out}", highlight=False, soft_wrap=True)
    return 0
