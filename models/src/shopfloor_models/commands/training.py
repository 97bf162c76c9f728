"""``label``, ``train`` and ``specialise``."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Console
from rich.progress import Progress

from shopfloor_models import bundle
from shopfloor_models.commands.bundles import show
from shopfloor_models.commands.data import read_dataset
from shopfloor_models.data.formats import slug
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.scan import Scan
from shopfloor_models.data.video import extract
from shopfloor_models.delivery import Order, deliver, refuse_unknown
from shopfloor_models.errors import DataError
from shopfloor_models.files import write_whole
from shopfloor_models.golden_choice import with_golden
from shopfloor_models.judgement import judge_builds, warn_of_licence
from shopfloor_models.runs import RunLog, log_packed, run_training
from shopfloor_models.training import distil
from shopfloor_models.training.consistency import TrackRules
from shopfloor_models.training.mlflow import MlflowJournal
from shopfloor_models.training.network import YOLOX_NANO
from shopfloor_models.training.parents import Parent, own_weights
from shopfloor_models.training.ports import TRAINERS, Plan
from shopfloor_models.training.teacher import Known, OnnxTeacher, find_model, manifest_json
from shopfloor_models.unpacked import known_model

DEFAULT_PARENTS = ("person-nano", "yolox-nano")


def label(options: Namespace, out: Console, err: Console) -> int:
    """Write pictures and YOLO files, and a dataset file that names them."""
    samples = _label(options, _teachers(options), err)
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
    _train(options, read_dataset(options.data), _begin(options, None, err), (out, err))
    return 0


def specialise(options: Namespace, out: Console, err: Console) -> int:
    """Label footage, train on it from the first teacher's weights, write the bundle."""
    refuse_unknown(_targets(options))
    teachers = _teachers(options)
    # A second start finds the labels and goes on with the training.
    if not (options.out / "dataset.toml").exists():
        _label(options, teachers, err)
    parent = _begin(options, teachers[0], err)
    _train(options, read_dataset(options.out / "dataset.toml"), parent, (out, err))
    return 0


def _targets(options: Namespace) -> tuple[str, ...]:
    return tuple(part for part in options.target.split(",") if part)


def _teachers(options: Namespace) -> list[Known]:
    return [known_model(name, options.out) for name in options.teacher]


def _begin(options: Namespace, teacher: Known | None, err: Console) -> Parent | None:
    """Return what the chosen trainer begins with: of its own kind, or a model that is known."""
    trainer = TRAINERS[options.trainer]()
    if options.width != YOLOX_NANO:
        _refuse_what_no_other_width_takes(options)
        return None
    if trainer.weights_suffix != ".onnx":
        suffix, licence = trainer.weights_suffix, trainer.licence
        return own_weights(options.inherit, suffix=suffix, licence=licence)
    known = teacher if teacher and options.inherit is None else _parent(options, err)
    if known is None:
        return None
    about = known.manifest
    return Parent(known.path, tuple(about.classes), f"{about.name} ({about.licence})")


def _refuse_what_no_other_width_takes(options: Namespace) -> None:
    if options.trainer != "yolox":
        raise DataError(f"--width is for the trainer yolox, not for {options.trainer}")
    if options.inherit not in (None, "none"):
        raise DataError(
            f"--width {options.width:g} has other channels than {options.inherit}: "
            "weights can be inherited at 0.25 only"
        )


def _parent(options: Namespace, err: Console) -> Known | None:
    """Return the weights to begin with; without a wish, those that are at hand."""
    if options.inherit == "none":
        return None
    if options.inherit is not None:
        return known_model(options.inherit, options.out)
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
    rules = TrackRules() if options.tracks else None
    bands = distil.Bands(options.sure, options.ignore, tracks=rules)
    teachers = [OnnxTeacher(known, score_min=options.ignore) for known in found]
    pictures = extract(options.footage, options.out / "frames", every_s=options.every)
    if options.tracks and all(len(run) == 1 for run in distil.neighbours(pictures)):
        raise DataError(
            f"--tracks: no two of {len(pictures)} pictures are frames of one video at most "
            f"{distil.MAX_STEP_MS} ms apart; take more with --every {distil.MAX_STEP_MS / 1000:g}"
        )
    with Progress(console=err, transient=True) as progress:
        labelling = progress.add_task("labelling", total=len(pictures))
        samples = distil.label(
            pictures,
            teachers,
            classes,
            out=options.out,
            bands=bands,
            tell=lambda done: progress.update(labelling, completed=done),
        )
    names = " and ".join(known.manifest.name for known in found)
    distil.write_dataset(options.out, classes, labelled_by=f"teacher {names}")
    return samples


def _train(
    options: Namespace, scan: Scan, parent: Parent | None, consoles: tuple[Console, Console]
) -> None:
    out, err = consoles
    trainer = TRAINERS[options.trainer]()
    plan = Plan(
        classes=tuple(scan.dataset.classes),
        input_px=options.input,
        epochs=options.epochs,
        seed=options.seed,
        threads=options.threads,
        parent=parent,
        soft_scores=options.soft_scores,
        network_width=options.width,
    )
    log = _log(options, scan)
    run = run_training(scan, trainer, plan, out=options.out, console=err, log=log)
    order = Order(
        name=slug(scan.dataset.name),
        version=scan.dataset.version,
        licence=trainer.licence,
        classes=plan.classes,
        input_px=plan.input_px,
        targets=_targets(options),
        provenance=run.provenance,
        head=run.trained.head,
    )
    folder = options.out / "bundle"
    pictures = [sample.image for sample in scan.samples("train")]

    def say(line: str) -> None:
        err.print(line, markup=False, highlight=False, soft_wrap=True)

    warn_of_licence(order.name, order.licence, say=say)
    manifest = deliver(run.trained.network, order, calibration=pictures, out=folder, say=say)
    manifest = judge_builds(manifest, folder, scan, say=say)
    if options.golden:
        samples = scan.samples("val") or scan.samples("train")
        manifest = with_golden(manifest, folder, samples, say=say)
    write_whole(folder / bundle.MANIFEST, manifest_json(manifest).encode())
    path = options.out / f"{manifest.name}-{slug(manifest.version)}.bundle"
    digest = bundle.pack(manifest, folder, path)
    log_packed(log, manifest, path, sha256=digest)
    show(manifest, out)
    out.print(f"{path} sha256 {digest}", highlight=False, soft_wrap=True)


def _log(options: Namespace, scan: Scan) -> RunLog:
    others = []
    if options.mlflow is not None:
        others.append(MlflowJournal(options.mlflow, slug(scan.dataset.name), out=options.out))
    return RunLog(options.out / "run.jsonl", others)
