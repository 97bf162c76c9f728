"""A judge's bundle on disk: its manifest, and the build that runs here."""

from __future__ import annotations

from pathlib import Path

from shopfloor_contracts.bundles import Manifest, parse_manifest
from shopfloor_contracts.errors import ZooError
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.zoo import verify

TARGET = "onnx-fp32"


def open_build(folder: Path, task: str) -> tuple[Manifest, Path]:
    """Return the manifest of an unpacked bundle and its ONNX file, whose digest is right.

    Raises:
        BundleError: the bundle is absent, of another task, or its file not what it says.
    """
    manifest = _manifest(folder, task)
    build = manifest.build_for(TARGET)
    if build is None:
        raise BundleError(f"{folder}: {manifest.name} has no build {TARGET}")
    path = folder / build.file
    if not path.is_file():
        raise BundleError(f"{path}: no such file")
    verify(path, build.sha256)
    return manifest, path


def _manifest(folder: Path, task: str) -> Manifest:
    path = folder / "manifest.json"
    try:
        manifest = parse_manifest(path.read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError as e:
        raise BundleError(f"{path}: no such file") from e
    except ZooError as e:
        raise BundleError(str(e)) from e
    if manifest.task != task:
        raise BundleError(f"{path}: {manifest.name} is made to {manifest.task}, not to {task}")
    return manifest
