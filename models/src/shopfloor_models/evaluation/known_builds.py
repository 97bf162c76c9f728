"""Two builds that are known to be broken, measured beside their originals: do the gates hold?"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from shopfloor_contracts.bundles import Head, Preprocess, parse_zoo
from shopfloor_models.data.samples import images_in
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.coco import Labelled, accuracy, read_labelled
from shopfloor_models.evaluation.predict import BuildPredictor, Network
from shopfloor_models.evaluation.runners import OnnxRunner
from shopfloor_models.export.letterbox import load_stills
from shopfloor_models.gates import Evidence, check, read_gates, reason_to_refuse

REPOSITORY = Path(__file__).resolve().parents[4]
CALIBRATION_IMAGES = 100
CLASSES = range(80)
YOLO26 = Network(
    Head.END2END,
    Preprocess(
        width_px=640,
        height_px=640,
        layout="nchw-float32",
        colour="rgb",
        scale=1 / 255,
        letterbox="centre",
    ),
    unit_boxes=True,
)


def eval_gates() -> dict[str, list[dict[str, str]]]:
    """Judge the known builds and write ``var/eval/gates.json``.

    Raises:
        DataError: the mirror with weights and COCO128 is not there.
    """
    mirror = Path(os.environ.get("SHOPFLOOR_MIRROR") or REPOSITORY.parent / "shared")
    data = mirror / "data" / "coco128"
    if not data.is_dir():
        raise DataError(f"{data} does not exist; SHOPFLOOR_MIRROR names the mirror")
    truth = read_labelled(data / "images/val2017", data / "labels/val2017")
    result: dict[str, list[dict[str, str]]] = {"refused": [], "accepted": []}
    gates = read_gates("quantised")
    for evidence in [*_yolo26(mirror / "models", truth), *_yolox(mirror, truth)]:
        reason = reason_to_refuse(check(evidence, gates))
        row = {"model": evidence.model, "ap": f"{evidence.ap:.3f}"}
        if reason:
            result["refused"].append({**row, "reason": reason})
        else:
            result["accepted"].append(row)
    out = REPOSITORY / "var" / "eval" / "gates.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    return result


def _yolo26(models: Path, truth: list[Labelled]) -> Iterator[Evidence]:
    original = _ap(models / "yolo26n_640_dynamic_range.tflite", YOLO26, truth)
    path = models / "yolo26n_640_int8_broken.tflite"
    ap = _ap(path, YOLO26, truth)
    yield Evidence(path.name, "AGPL-3.0", path.stat().st_size, ap=ap, ap_fp32=original)


def _yolox(mirror: Path, truth: list[Labelled]) -> Iterator[Evidence]:
    zoo = REPOSITORY / "models" / "zoo.toml"
    manifest = parse_zoo(zoo.read_text(), source=str(zoo))["yolox-nano"]
    network, path = Network.of(manifest), mirror / "models" / "yolox_nano.onnx"
    original = _ap(path, network, truth)
    size = path.stat().st_size
    yield Evidence(path.name, manifest.licence, size, ap=original, ap_fp32=original)
    with tempfile.TemporaryDirectory(prefix="shopfloor-gates-") as folder:
        made = Path(folder) / "yolox_nano_int8_minmax.onnx"
        pictures = list(images_in(mirror / "data/coco128/images/train2017"))[:CALIBRATION_IMAGES]
        _quantise_minmax(path, made, _Calibration(pictures, path, manifest.preprocess))
        ap, size = _ap(made, network, truth), made.stat().st_size
        yield Evidence(made.name, manifest.licence, size, ap=ap, ap_fp32=original)


def _ap(path: Path, network: Network, truth: list[Labelled]) -> float:
    found = BuildPredictor(path, network).predict([picture.pixels for picture in truth])
    return accuracy(truth, found, classes=CLASSES).ap


def _quantise_minmax(source: Path, target: Path, pictures: CalibrationDataReader) -> None:
    """Quantise every convolution: U8S8, per channel, ranges from the extremes seen."""
    prepared = target.with_suffix(".prepared.onnx")
    # Scales per channel came with opset 13; the published file has 11.
    onnx.save(version_converter.convert_version(onnx.load(source), 17), prepared)
    quant_pre_process(prepared, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        pictures,
        op_types_to_quantize=["Conv"],
        activation_type=QuantType.QUInt8,
        per_channel=True,
        reduce_range=True,
    )


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Pictures one by one, as onnxruntime wants them."""

    def __init__(self, paths: list[Path], model: Path, spec: Preprocess) -> None:
        runner, stills = OnnxRunner(model), load_stills(paths, spec)
        self._rows: Iterator[dict[str, NDArray[np.float32]]] = iter(
            {runner.input_name: runner.tensor(still, spec.scale)} for still in stills
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next picture's input, None after the last."""
        return next(self._rows, None)
