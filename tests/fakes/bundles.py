"""Small bundles as the factory packs them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shopfloor_contracts.bundles import Build, Golden, Manifest, Measure, Preprocess
from shopfloor_models import bundle

FILES = {"a.onnx": b"fp32" * 1000, "b.tflite": b"int8" * 128, "golden.npz": b"frames"}
DATA = "COCO128 val, 128 pictures"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_build(target: str, file: str, content: bytes | None = None) -> Build:
    content = FILES[file] if content is None else content
    return Build(target=target, file=file, sha256=sha256(content), size_bytes=len(content))


def make_manifest(**changes) -> Manifest:
    clip = FILES["golden.npz"]
    values = {
        "name": "tiny",
        "version": "1.0",
        "task": "detect",
        "licence": "Apache-2.0",
        "source": "a test",
        "classes": ["person"],
        "head": "yolox",
        "preprocess": Preprocess(
            width_px=64, height_px=64, layout="nhwc-uint8", colour="bgr", letterbox="top-left"
        ),
        "builds": [make_build("onnx-fp32", "a.onnx"), make_build("litert-int8", "b.tflite")],
        "golden": Golden(clip="golden.npz", sha256=sha256(clip), size_bytes=len(clip)),
        "evaluation": [
            Measure(metric="ap", value=0.31, data=DATA, target="onnx-fp32"),
            Measure(metric="ap", value=0.30, data=DATA, target="litert-int8"),
        ],
    }
    return Manifest.model_validate(values | changes)


def pack(folder: Path, *, weights: bytes | None = None, **changes) -> Path:
    """Write a bundle into ``folder``; ``weights`` are those of its first build."""
    files = FILES | ({} if weights is None else {"a.onnx": weights})
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if weights is not None:
        changes["builds"] = [
            make_build("onnx-fp32", "a.onnx", weights),
            make_build("litert-int8", "b.tflite"),
        ]
    out = folder / "bundle.tar"
    bundle.pack(make_manifest(**changes), folder, out)
    return out
