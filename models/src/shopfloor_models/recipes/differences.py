"""``make train-inspection``, second step: the network that names differences between parts.

Reads labelled windows (an NPZ that the device's own judge helped to write), trains from nothing,
writes an unpacked bundle with task ``classify-differences``. Deterministic on one thread. What
is made from pictures "for research purpose" stays where it was made: it is not shipped.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from shopfloor_contracts.bundles import Build, DataSource, Head, Manifest, Preprocess, Provenance
from shopfloor_models.errors import DataError, ExportError, ModelsError
from shopfloor_models.files import write_whole
from shopfloor_models.training.differences import Labelled, Settings, train
from shopfloor_models.training.torch_compat import import_torch

NAME, VERSION = "pcb-differences", "1"
SIDE_PX = 64
OPSET = 17
EQUAL = 1e-3
"""How far the exported network's output may be from the trained one's."""


def load(path: Path) -> tuple[Labelled, int]:
    """Return the windows, and how many parts they come from.

    Raises:
        DataError: no such NPZ.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            classes = tuple(str(name) for name in file["classes"])
            data = Labelled(
                file["windows"], file["boxes"], file["labels"], classes, side_px=SIDE_PX
            )
            return data, int(file["parts"])
    except (OSError, KeyError, ValueError) as e:
        raise DataError(f"{path}: no windows: {e}") from e


def export(network: Any, data: Labelled, path: Path) -> float:
    """Write ONNX; return the largest difference from the network on some windows.

    Raises:
        ExportError: it differs by more than 1e-3.
    """
    torch = import_torch()
    margin = (data.windows.shape[1] - data.side_px) // 2
    middle = np.s_[:64, margin : margin + data.side_px, margin : margin + data.side_px]
    some = np.ascontiguousarray(data.windows[middle])
    with warnings.catch_warnings():
        # The exporter by tracing is on its way out, and writes the smaller file.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            torch.from_numpy(some[:1]),
            str(path),
            opset_version=OPSET,
            input_names=["windows"],
            output_names=["output"],
            dynamic_axes={"windows": {0: "n"}, "output": {0: "n"}},
            dynamo=False,
        )
    with torch.no_grad():
        wanted = network(torch.from_numpy(some)).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    off = float(np.abs(session.run(None, {"windows": some})[0] - wanted).max())
    if off > EQUAL:
        raise ExportError(f"{path}: differs by {off:.1e} from the trained network, at most 1e-3")
    return off


def make(windows: Path, out: Path, settings: Settings) -> Manifest:
    """Train, export, write the bundle to ``out``; return its manifest.

    Raises:
        ModelsError: the windows cannot be used, or torch is not installed.
    """
    data, parts = load(windows)
    began = time.monotonic()

    def tell(epoch: int, loss: float) -> None:
        each = (time.monotonic() - began) / (epoch + 1)
        print(f"epoch {epoch + 1} of {settings.epochs}, loss {loss:.3f}, {each:.1f} s per epoch")

    network = train(data, settings, tell=tell)
    out.mkdir(parents=True, exist_ok=True)
    build = out / f"{NAME}-fp32.onnx"
    off = export(network, data, build)
    print(f"exported, {off:.1e} from torch")
    manifest = _manifest(data, parts, build, settings)
    write_whole(out / "manifest.json", (manifest.model_dump_json(indent=1) + "\n").encode())
    return manifest


def _manifest(data: Labelled, parts: int, build: Path, settings: Settings) -> Manifest:
    content = build.read_bytes()
    return Manifest(
        name=NAME,
        version=VERSION,
        task="classify-differences",
        licence="research only",
        source="Shopfloor, from DeepPCB (Tang et al., 2019)",
        classes=list(data.classes),
        head=Head.DIFFERENCES,
        preprocess=Preprocess(
            width_px=data.side_px,
            height_px=data.side_px,
            layout="nhwc-uint8",
            colour="reference-part",
            letterbox="centre",
        ),
        builds=[
            Build(
                target="onnx-fp32",
                file=build.name,
                sha256=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
            )
        ],
        provenance=Provenance(
            recipe=(
                f"differences: {settings.epochs} epochs at {settings.learning_rate}"
                f"{' in bfloat16' if settings.half else ''}"
            ),
            data_sha256=hashlib.sha256(data.windows.tobytes()).hexdigest(),
            seed=settings.seed,
            sources=[
                DataSource(
                    name="DeepPCB train list",
                    licence_class="research only",
                    images=parts,
                    labels="people",
                )
            ],
        ),
    )


def main() -> int:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=Path, required=True, help="NPZ of labelled windows")
    parser.add_argument("--out", type=Path, required=True, help="unpacked bundle")
    parser.add_argument("--epochs", type=int, default=Settings().epochs)
    parser.add_argument("--half", action="store_true", help="bfloat16, for processors that have it")
    arguments = parser.parse_args()
    settings = Settings(epochs=arguments.epochs, half=arguments.half)
    try:
        manifest = make(arguments.windows, arguments.out, settings)
    except ModelsError as e:
        print(f"train-inspection: {e}", file=sys.stderr)
        return 2
    print(f"{manifest.name} in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
