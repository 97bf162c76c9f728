"""YOLO26 by ultralytics, which is AGPL-3.0: so is what it trains, says its publisher.

The only module that imports ultralytics; nothing imports this one but the table of trainers, when
it is asked for by name. Labels are learnt as hard ones.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from shopfloor_contracts.bundles import Head
from shopfloor_models.data.formats import yolo_text
from shopfloor_models.data.samples import Sample
from shopfloor_models.errors import DataError, MissingExtraError, TrainingError
from shopfloor_models.export.torch_onnx import OPSET
from shopfloor_models.training.ports import BATCH, GENTLE_RATE, Plan, Tell, Trained
from shopfloor_models.training.torch_compat import import_torch
from shopfloor_models.training.yolox import Progress

FRESH = "yolo26n.yaml"
"""The smallest shape; the package holds it, without weights."""
PLAIN_EPOCHS_RATIO = 0.2
GENTLE = {"optimizer": "AdamW", "lr0": GENTLE_RATE, "warmup_bias_lr": 0.0}
"""For inherited weights: ultralytics' own choice took AP on drawings from .80 to 0 in an epoch."""


class UltralyticsTrainer:
    """YOLO26n from nothing, or from weights of yours that have an NMS-free head."""

    name = "ultralytics"
    licence = "AGPL-3.0"
    weights_suffix = ".pt"

    def train(self, samples: Sequence[Sample], plan: Plan, *, folder: Path, tell: Tell) -> Trained:
        """Train and export; the averaged weights of the last whole epoch are the result.

        Raises:
            MissingExtraError: torch or ultralytics is not installed.
            DataError: there is nothing to learn from.
            TrainingError: the checkpoint is of another run, or the weights cannot be used.
        """
        if not samples:
            raise DataError("0 pictures to learn from")
        yolo = _import(folder / "ultralytics")
        checkpoint = folder / "checkpoint.pt"
        _claim(folder / "ultralytics" / "plan.json", plan, checkpoint)
        if _epochs_done(yolo, checkpoint) < plan.epochs:
            data = write_data(samples, plan.classes, folder / "ultralytics" / "data")
            _train(yolo, plan, data, checkpoint=checkpoint, tell=tell)
        network = folder / "network.onnx"
        _export(yolo, checkpoint, plan, network)
        return Trained(network, Head.END2END)


def write_data(samples: Sequence[Sample], classes: Sequence[str], folder: Path) -> Path:
    """Write links to the pictures, YOLO labels and the YAML that names them; return the latter."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number, sample in enumerate(samples):
        # Numbered, because two sources may have pictures of one name.
        name = f"{number:06d}"
        picture = folder / "images" / f"{name}{sample.image.suffix.lower()}"
        picture.symlink_to(sample.image.resolve())
        (folder / "labels" / f"{name}.txt").write_text(yolo_text(sample.boxes, sample.classes))
    content = {
        "path": str(folder.resolve()),
        "train": "images",
        # Not looked at: builds are measured on the dataset's own validation split.
        "val": "images",
        "names": dict(enumerate(classes)),
    }
    out = folder / "data.yaml"
    out.write_text(json.dumps(content))
    return out


def take_bgr_bytes(path: Path) -> None:
    """Make an ONNX for RGB in [0, 1] one for BGR in 0–255, in its first convolution's weights.

    Raises:
        TrainingError: something other than one convolution reads the picture.
    """
    model = onnx.load(path)
    graph = model.graph
    readers = [node for node in graph.node if graph.input[0].name in node.input]
    weights = {value.name: value for value in graph.initializer}
    if [node.op_type for node in readers] != ["Conv"] or readers[0].input[1] not in weights:
        raise TrainingError(f"{path}: the picture is not read by one convolution with weights")
    value = weights[readers[0].input[1]]
    turned = numpy_helper.to_array(value)[:, ::-1] / np.float32(255)
    value.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned, np.float32), value.name))
    onnx.save(model, path)


def _import(folder: Path) -> Any:
    """Return ultralytics, kept from the network, from pip and from the user's own settings."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": str(config.resolve()),
    }
    import_torch()
    try:
        return importlib.import_module("ultralytics")
    except ImportError as e:
        raise MissingExtraError("ultralytics", "ultralytics") from e


def _claim(path: Path, plan: Plan, checkpoint: Path) -> None:
    """Write what the run is, or compare it with what an earlier start wrote."""
    wanted = json.dumps(
        [plan.classes, plan.input_px, plan.epochs, plan.seed, str(plan.parent and plan.parent.path)]
    )
    if checkpoint.exists() and (not path.exists() or path.read_text() != wanted):
        raise TrainingError(
            f"{checkpoint} is of a run with other settings; remove it to start anew"
        )
    path.write_text(wanted)


def _epochs_done(yolo: Any, checkpoint: Path) -> int:
    return int(yolo.YOLO(checkpoint).ckpt["epoch"]) + 1 if checkpoint.exists() else 0


def _train(yolo: Any, plan: Plan, data: Path, *, checkpoint: Path, tell: Tell) -> None:
    resumed = checkpoint.exists()
    begin = checkpoint if resumed else plan.parent.path if plan.parent else FRESH
    model = yolo.YOLO(begin, task="detect")
    if getattr(model.model.model[-1], "one2one_cv2", None) is None:
        raise TrainingError(f"{begin}: its head needs NMS, expected one that does not, like YOLO26")
    for event, answer in _answers(plan, checkpoint, tell).items():
        model.add_callback(event, answer)
    model.train(
        trainer=_without_validation(),
        resume=resumed,
        data=str(data),
        epochs=plan.epochs,
        **(GENTLE if plan.parent else {}),
        imgsz=max(plan.input_px),
        batch=min(BATCH, sum(1 for _ in (data.parent / "images").iterdir())),
        seed=plan.seed,
        deterministic=True,
        device="cpu",
        amp=False,
        workers=0,
        patience=0,
        close_mosaic=max(1, round(plan.epochs * PLAIN_EPOCHS_RATIO)),
        val=False,
        plots=False,
        verbose=False,
        project=str(data.parent.parent.resolve()),
        name="run",
        exist_ok=True,
    )


def _answers(plan: Plan, checkpoint: Path, tell: Tell) -> dict[str, Callable[[Any], None]]:
    """Return what is done when ultralytics says that something happened."""
    torch = import_torch()
    at = {"epoch": -1, "step": 0}

    def started(_run: Any) -> None:
        torch.set_num_threads(plan.threads)

    def stepped(run: Any) -> None:
        at["step"] = at["step"] + 1 if run.epoch == at["epoch"] else 0
        at["epoch"] = run.epoch
        loss = float(run.loss.detach()) / run.batch_size
        tell(Progress(run.epoch, at["step"], len(run.train_loader), loss))

    def saved(run: Any) -> None:
        # Whole or not at all: ultralytics' own file is cut off when it is killed while writing.
        part = checkpoint.with_suffix(".part")
        shutil.copyfile(run.last, part)
        part.replace(checkpoint)

    return {"on_train_start": started, "on_train_batch_end": stepped, "on_model_save": saved}


def _without_validation() -> type:
    """Return ultralytics' trainer without what wants torchvision's operators, polars or a split."""
    base = importlib.import_module("ultralytics.models.yolo.detect").DetectionTrainer
    skipped: dict[str, Callable[[Any], Any]] = {
        "validate": lambda _self: ({}, 0.0),
        "final_eval": lambda _self: None,
        "read_results_csv": lambda _self: {},
    }
    return type("PlainTrainer", (base,), skipped)


def _export(yolo: Any, checkpoint: Path, plan: Plan, out: Path) -> None:
    """Write BGR 0–255 in, ``(1, K, 6)`` boxes out."""
    width, height = plan.input_px
    written = yolo.YOLO(checkpoint).export(
        format="onnx",
        imgsz=(height, width),
        opset=OPSET,
        nms=False,
        simplify=False,
        device="cpu",
    )
    part = Path(written)
    take_bgr_bytes(part)
    part.replace(out)
