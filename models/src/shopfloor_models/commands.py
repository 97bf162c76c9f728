"""What each command of ``shopfloor-models`` does; arguments are parsed in ``main``."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from shopfloor_contracts.bundles import Manifest
from shopfloor_models import bundle
from shopfloor_models.data.dataset import load_dataset
from shopfloor_models.data.formats import slug, write_coco
from shopfloor_models.data.problems import Severity
from shopfloor_models.data.quality import check
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.scan import Scan, scan_dataset
from shopfloor_models.data.video import extract
from shopfloor_models.delivery import Order, deliver, refuse_unknown
from shopfloor_models.errors import DataError
from shopfloor_models.judgement import judge_builds
from shopfloor_models.runs import run_training
from shopfloor_models.training import distil
from shopfloor_models.training.parents import Parent
from shopfloor_models.training.ports import TRAINERS, Plan
from shopfloor_models.training.teacher import (
    Known,
    OnnxTeacher,
    find_model,
    manifest_json,
    read_manifest,
)

SHOWN = 50
"""Problems printed before the rest is only counted; --json has all."""
DEFAULT_PARENTS = ("person-nano", "yolox-nano")


def data_check(options: Namespace, out: Console, err: Console) -> int:
    """Print every problem; 2 if one of them refuses training."""
    scan = _scan(options.data)
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
    scan = _scan(options.data)
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


def label(options: Namespace, out: Console, err: Console) -> int:
    """Write pictures and YOLO files, and a dataset file that names them."""
    samples = _label(options, [find_model(name) for name in options.teacher], err)
    boxes = sum(len(sample.boxes) for sample in samples)
    empty = sum(len(sample.boxes) == 0 for sample in samples)
    out.print(
        f"{len(samples)} pictures, {boxes} boxes, {empty} pictures that show nothing: "
        f"{options.out / 'dataset.toml'}",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def train(options: Namespace, out: Console, err: Console) -> int:
    """Train on a dataset and write the bundle."""
    refuse_unknown(_targets(options))
    _train(options, _scan(options.data), _parent(options.inherit, err), (out, err))
    return 0


def specialise(options: Namespace, out: Console, err: Console) -> int:
    """Label footage, train on it from the first teacher's weights, write the bundle."""
    refuse_unknown(_targets(options))
    teachers = [find_model(name) for name in options.teacher]
    # A second start finds the labels and goes on with the training.
    if not (options.out / "dataset.toml").exists():
        _label(options, teachers, err)
    inherit = options.inherit
    parent = teachers[0] if inherit is None else _parent(inherit, err)
    _train(options, _scan(options.out / "dataset.toml"), parent, (out, err))
    return 0


def inspect(options: Namespace, out: Console, _err: Console) -> int:
    """Show a bundle's manifest."""
    path = options.bundle
    unpacked = path / "manifest.json"
    manifest = read_manifest(unpacked) if path.is_dir() else bundle.verify(path)
    if options.json:
        out.print_json(manifest_json(manifest))
        return 0
    show(manifest, out)
    return 0


def show(manifest: Manifest, out: Console) -> None:
    """Print a manifest as tables."""
    spec = manifest.preprocess
    about = Table(title=f"{manifest.name} {manifest.version}", show_header=False)
    about.add_row("licence", manifest.licence)
    about.add_row("classes", ", ".join(manifest.classes))
    about.add_row("input", f"{spec.width_px}x{spec.height_px} {spec.layout} {spec.colour}")
    if manifest.provenance is not None:
        about.add_row("recipe", manifest.provenance.recipe)
        about.add_row("inherits", manifest.provenance.inherits or "nothing")
        about.add_row("data", manifest.provenance.data_sha256 or "")
        for source in manifest.provenance.sources:
            about.add_row(
                "source", f"{source.name}: {source.images} pictures, {source.licence_class}"
            )
    for measure in manifest.evaluation:
        about.add_row(
            f"{measure.metric} {measure.target or ''}", f"{measure.value:g} on {measure.data}"
        )
    out.print(about)
    builds = Table("target", "file", "bytes", "sha256")
    for build in manifest.builds:
        builds.add_row(build.target, build.file, f"{build.size_bytes:,}", build.sha256[:16])
    out.print(builds)


def _scan(path: Path) -> Scan:
    return scan_dataset(load_dataset(path), path.parent)


def _targets(options: Namespace) -> tuple[str, ...]:
    return tuple(part for part in options.target.split(",") if part)


def _parent(name: str | None, err: Console) -> Known | None:
    """Return the weights to begin with; without a wish, those that are at hand."""
    if name == "none":
        return None
    if name is not None:
        return find_model(name)
    for default in DEFAULT_PARENTS:
        try:
            return find_model(default)
        except DataError:
            continue
    err.print("no weights to begin with are at hand: training begins from nothing")
    return None


def _label(options: Namespace, found: list[Known], err: Console) -> list[Sample]:
    classes = tuple(options.classes or ("person",))
    for known in found:
        missing = [name for name in classes if name not in known.manifest.classes]
        if missing:
            raise DataError(f"teacher {known.manifest.name} does not know class {missing[0]!r}")
    bands = distil.Bands(options.sure, options.ignore)
    teachers = [OnnxTeacher(known, score_min=options.ignore) for known in found]
    pictures = extract(options.footage, options.out / "frames", every_s=options.every)
    samples = distil.label(
        list(track(pictures, "labelling", console=err)),
        teachers,
        classes,
        out=options.out,
        bands=bands,
    )
    names = " and ".join(known.manifest.name for known in found)
    distil.write_dataset(options.out, classes, labelled_by=f"teacher {names}")
    return samples


def _train(
    options: Namespace, scan: Scan, parent: Known | None, consoles: tuple[Console, Console]
) -> None:
    out, err = consoles
    trainer = TRAINERS[options.trainer]
    plan = Plan(
        classes=tuple(scan.dataset.classes),
        input_px=options.input,
        epochs=options.epochs,
        seed=options.seed,
        threads=options.threads,
        parent=Parent(parent.path, tuple(parent.manifest.classes)) if parent else None,
    )
    inherits = f"{parent.manifest.name} ({parent.manifest.licence})" if parent else ""
    run = run_training(scan, trainer, plan, out=options.out, console=err, inherits=inherits)
    order = Order(
        name=slug(scan.dataset.name),
        version=scan.dataset.version,
        licence=trainer.licence,
        classes=plan.classes,
        input_px=plan.input_px,
        targets=_targets(options),
        provenance=run.provenance,
    )
    pictures = [sample.image for sample in scan.samples("train")]
    manifest = deliver(run.network, order, calibration=pictures, out=options.out / "bundle")
    manifest = judge_builds(
        manifest, options.out / "bundle", scan, say=lambda line: err.print(line, markup=False)
    )
    (options.out / "bundle" / "manifest.json").write_text(manifest_json(manifest))
    path = options.out / f"{manifest.name}-{slug(manifest.version)}.bundle"
    digest = bundle.pack(manifest, options.out / "bundle", path)
    show(manifest, out)
    out.print(f"{path} sha256 {digest}", highlight=False, soft_wrap=True)
