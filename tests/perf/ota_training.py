"""Fine-tunes the detector for real and bundles it before and after: pairs for ``bench_ota``.

Runs in an environment with torch (``tools/setup-training.sh``)::

    python tests/perf/ota_training.py --mirror /path/to/mirror --out var/bench/ota-pairs

YOLOX-nano's weights learn one epoch on part of the pool of people with the factory's own trainer.
``all-weights``: AdamW moved every weight. ``gentle``: the same, three quarters drawn back, as
person-nano is made. ``head-only``: the tuned head on the backbone as it was.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from shopfloor_contracts.bundles import Manifest, Provenance
from shopfloor_models.bundle import pack
from shopfloor_models.data.people import load_pool
from shopfloor_models.delivery import Order, deliver
from shopfloor_models.export.torch_onnx import export_network
from shopfloor_models.training.network import NetworkSpec, build_network, inherit
from shopfloor_models.training.yolox import TrainSettings, train

INPUT_PX = (352, 256)
PICTURES = 320
LEARNING_RATE = 1e-4
TARGETS = ("onnx-fp32", "onnx-int8")


def networks(mirror: Path, work: Path) -> dict[str, Any]:
    """Return the network before and after each way of tuning it."""
    weights = mirror / "models" / "yolox_nano.onnx"
    samples = load_pool(mirror / "data" / "people", split="train")[:PICTURES]
    settings = TrainSettings(
        network=NetworkSpec(classes=1),
        input_px=INPUT_PX,
        epochs=1,
        learning_rate=LEARNING_RATE,
        threads=1,
        inherit_from=weights,
        inherit_classes=(0,),
    )
    base = build_network(settings.network)
    inherit(base, weights, classes=[0])
    tuned = train(samples, settings, checkpoint=work / "all.pt")
    gentle, head = deepcopy(tuned), deepcopy(base)
    for name, value in gentle.state_dict().items():
        value.mul_(0.25).add_(base.state_dict()[name], alpha=0.75)
    for name, value in head.state_dict().items():
        if name.startswith("head."):
            value.copy_(tuned.state_dict()[name])
    return {"base": base, "all-weights": tuned, "gentle": gentle, "head-only": head}


def bundles(name: str, network: Any, pictures: list[Path], out: Path) -> None:
    """Write ``NAME.TARGET.bundle`` for every target, each with its one build."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        export_network(network, INPUT_PX, plain)
        order = Order(
            name="person",
            version="1" if name == "base" else "2",
            licence="Apache-2.0",
            classes=("person",),
            input_px=INPUT_PX,
            targets=TARGETS,
            provenance=Provenance(recipe=f"bench-ota: {name}"),
        )
        manifest = deliver(plain, order, calibration=pictures, out=Path(folder) / "unpacked")
        for target in TARGETS:
            build = manifest.build_for(target)
            assert build is not None
            one = Manifest.model_validate({**manifest.model_dump(), "builds": [build]})
            pack(one, Path(folder) / "unpacked", out / f"{name}.{target}.bundle")
        full = onnx.load(Path(folder) / "unpacked" / "person-onnx-fp32.onnx")
        onnx.save(convert_float_to_float16(full), out / f"{name}.fp16.onnx")


def main() -> int:
    """Train, export, bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pool = load_pool(arguments.mirror / "data" / "people", split="train")
    pictures = [sample.image for sample in pool[:40]]
    with tempfile.TemporaryDirectory() as work:
        made = networks(arguments.mirror, Path(work))
    for name, network in made.items():
        bundles(name, network, pictures, arguments.out)
    for path in sorted(arguments.out.iterdir()):
        print(f"{path.stat().st_size:10,} {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
