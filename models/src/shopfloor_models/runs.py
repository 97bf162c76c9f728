"""One training run in a folder: what it learns from, how it goes, and what it leaves behind.

``checkpoint.pt`` lets a killed run go on, ``run.jsonl`` is its log, ``data.tsv`` the digests of
what it saw, ``network.onnx`` the trained network, ``bundle/`` what is delivered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shopfloor_contracts.bundles import Manifest, Provenance
from shopfloor_models.bundle import digest_of
from shopfloor_models.data.quality import check, refuse
from shopfloor_models.data.scan import Scan
from shopfloor_models.errors import DataError, TrainingError
from shopfloor_models.training.ports import Plan, Trained, Trainer
from shopfloor_models.training.yolox import Progress


class Journal(Protocol):
    """Takes the events of a run."""

    def write(self, event: str, **fields: object) -> None:
        """Take one event."""
        ...


class RunLog:
    """Lines of JSON; a run that goes on appends. Others may listen."""

    def __init__(
        self,
        path: Path,
        others: Sequence[Journal] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path, self._others, self._now = path, others, now

    def write(self, event: str, **fields: object) -> None:
        """Append one event and tell the others."""
        line = {"at": self._now().isoformat(timespec="seconds"), "event": event} | fields
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for other in self._others:
            other.write(event, **fields)


class EpochLog:
    """From steps to one line per epoch."""

    def __init__(self, log: RunLog) -> None:
        self._log, self._losses, self._started_s = log, list[float](), time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Take a step."""
        self._losses.append(progress.loss)
        if progress.step + 1 < progress.steps:
            return
        mean = sum(self._losses) / len(self._losses)
        seconds = round(time.monotonic() - self._started_s, 2)
        self._log.write("epoch", epoch=progress.epoch + 1, loss=round(mean, 4), seconds=seconds)
        self._losses, self._started_s = [], time.monotonic()


@dataclass(frozen=True, slots=True)
class Run:
    """What was trained, and on what."""

    trained: Trained
    provenance: Provenance
    scan: Scan


def run_training(
    scan: Scan, trainer: Trainer, plan: Plan, *, out: Path, console: Console, log: RunLog
) -> Run:
    """Train on a dataset's training split, with a bar; goes on where a killed run stopped.

    Raises:
        DataError: the dataset does not pass its gates, or ``out`` cannot be written.
        TrainingError: ``out`` holds a run on other data.
    """
    refuse(check(scan), scan.dataset.name)
    _claim(out, scan)
    resumed = (out / "checkpoint.pt").exists()
    samples = scan.samples("train")
    log.write(
        "resumed" if resumed else "started",
        data_sha256=scan.data_sha256(),
        pictures=len(samples),
        epochs=plan.epochs,
        input_px=list(plan.input_px),
        seed=plan.seed,
        threads=plan.threads,
        soft_scores=plan.soft_scores,
        network_width=plan.network_width,
        trainer=trainer.name,
        licence=trainer.licence,
        inherits=plan.parent.origin if plan.parent else "",
    )
    epochs = EpochLog(log)
    with _bar(console) as bar:
        task = bar.add_task("reading", total=None)

        def tell(progress: Progress) -> None:
            epochs(progress)
            bar.update(
                task,
                total=plan.epochs * progress.steps,
                completed=progress.epoch * progress.steps + progress.step + 1,
                description=f"epoch {progress.epoch + 1}/{plan.epochs}  loss {progress.loss:.3f}",
            )

        trained = trainer.train(samples, plan, folder=out, tell=tell)
    network = trained.network
    digest, size_bytes = digest_of(network)
    log.write("trained", network=network.name, bytes=size_bytes, sha256=digest)
    return Run(trained, _provenance(scan, plan, trainer), scan)


def log_packed(log: RunLog, manifest: Manifest, bundle: Path, *, sha256: str) -> None:
    """Write down what was delivered: digests, and the figures of each build."""
    log.write(
        "packed",
        bundle=bundle.name,
        sha256=sha256,
        builds={build.target: build.sha256 for build in manifest.builds},
        figures={f"{m.metric}.{m.target or 'network'}": m.value for m in manifest.evaluation},
    )


def _claim(out: Path, scan: Scan) -> None:
    """Write what the run sees, or compare it with what an earlier start saw."""
    digests = out / "data.tsv"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if digests.exists() and digests.read_text() != scan.digests():
            raise TrainingError(f"{out} holds a run on other data; take another --out")
        digests.write_text(scan.digests())
    except OSError as e:
        raise DataError(f"{out}: {e.strerror}") from e


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
    )


def _provenance(scan: Scan, plan: Plan, trainer: Trainer) -> Provenance:
    dataset = scan.dataset
    recipe = (
        f"{plan.epochs} epochs at {plan.input_px[0]}x{plan.input_px[1]}"
        f"{', soft scores' if plan.soft_scores else ''}, trainer {trainer.name}, "
        f"dataset {dataset.name} {dataset.version}"
    )
    return Provenance(
        recipe=f"shopfloor-models train, {recipe}"[:200],
        inherits=plan.parent.origin[:200] if plan.parent else "",
        data_sha256=scan.data_sha256(),
        seed=plan.seed,
        sources=scan.data_sources()[:100],
    )
