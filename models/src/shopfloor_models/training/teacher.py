"""Models that are there already: to inherit from, and to label footage with."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from shopfloor_contracts.bundles import Head, Manifest, parse_zoo
from shopfloor_contracts.problems import describe
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.decode import Network, decode
from shopfloor_models.evaluation.runners import OnnxRunner
from shopfloor_models.export.letterbox import Pixels, letterbox

REPOSITORY = Path(__file__).resolve().parents[4]
FLOAT_TARGET = "onnx-fp32"


@dataclass(frozen=True, slots=True)
class Found:
    """What a model saw on one picture."""

    boxes: NDArray[np.float32]
    """``(N, 4)`` xyxy in the picture's pixels."""
    scores: NDArray[np.float32]
    names: tuple[str, ...]


class Teacher(Protocol):
    """Sees things on pictures."""

    def look(self, picture: Pixels) -> Found:
        """Return everything seen on a BGR ``(H, W, 3)`` picture, however unsure."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A build on disk, and the manifest that says how to run it."""

    manifest: Manifest
    path: Path


def find_model(name: str) -> Known:
    """Return the float build of a zoo name, a bundle's folder, or an ONNX that either lists.

    Raises:
        DataError: there is no such model; says where was looked.
    """
    path = Path(name)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _by_digest(path)
    zoo = _zoo()
    if name not in zoo:
        raise DataError(f"model {name!r} is no file, no folder, and not in the zoo: {_list(zoo)}")
    build = zoo[name].build_for(FLOAT_TARGET)
    if build is None:
        raise DataError(f"model {name!r} has no {FLOAT_TARGET} build")
    for place in _places(name, build.file):
        if place.is_file() and _sha256(place) == build.sha256:
            return Known(_for_build(zoo[name], FLOAT_TARGET), place)
    looked = ", ".join(str(place) for place in _places(name, build.file))
    raise DataError(f"{build.file} with the zoo's digest is in none of {looked}")


def _in_folder(folder: Path) -> Known:
    manifest = read_manifest(folder / "manifest.json")
    build = manifest.build_for(FLOAT_TARGET)
    if build is None:
        raise DataError(f"{folder}: no {FLOAT_TARGET} build")
    return Known(_for_build(manifest, FLOAT_TARGET), folder / build.file)


def _by_digest(path: Path) -> Known:
    digest = _sha256(path)
    beside = path.with_name("manifest.json")
    manifests = list(_zoo().values())
    if beside.is_file():
        manifests.append(read_manifest(beside))
    for manifest in manifests:
        for build in manifest.builds:
            if build.sha256 == digest:
                return Known(_for_build(manifest, build.target), path)
    raise DataError(f"{path}: neither the zoo nor a manifest.json beside it lists this file")


def _for_build(manifest: Manifest, target: str) -> Manifest:
    """Return the manifest with the input layout of one build."""
    build = manifest.build_for(target)
    if build is None or build.layout is None:
        return manifest
    return manifest.model_copy(
        update={"preprocess": manifest.preprocess.model_copy(update={"layout": build.layout})}
    )


def read_manifest(path: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises:
        DataError: it cannot be read, or is against the schema.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    except ValidationError as e:
        raise DataError(f"{path}: {describe(e, Manifest)[0]}") from e


def _zoo() -> dict[str, Manifest]:
    path = _zoo_file()
    listed = parse_zoo(path.read_text(), source=str(path)) if path.is_file() else {}
    shipped = map(read_manifest, sorted(path.with_name("zoo").glob("*/manifest.json")))
    return listed | {manifest.name: manifest for manifest in shipped}


def _zoo_file() -> Path:
    return Path(os.environ.get("SHOPFLOOR_ZOO") or REPOSITORY / "models" / "zoo.toml")


def _places(name: str, file: str) -> list[Path]:
    shipped = _zoo_file().with_name("zoo")
    mirror = Path(os.environ.get("SHOPFLOOR_MIRROR") or REPOSITORY.parent / "shared")
    return [shipped / name / file, shipped / file, mirror / "models" / file]


def _list(zoo: dict[str, Manifest]) -> str:
    return ", ".join(sorted(zoo)) or "which is empty"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class OnnxTeacher:
    """A bundle's ONNX build on the CPU."""

    def __init__(self, known: Known, *, score_min: float, threads: int = 1) -> None:
        """Load it.

        Raises:
            DataError: it is no ONNX, or its output is not what the manifest's head gives.
        """
        self._manifest = known.manifest
        self._network = Network.of(known.manifest, score_min=score_min)
        self._runner = OnnxRunner(known.path, threads=threads)
        blank = np.zeros((self._manifest.preprocess.height_px, 64, 3), np.uint8)
        columns = self._run(letterbox(blank, self._manifest.preprocess).pixels).shape[-1]
        yolox = self._manifest.head is Head.YOLOX
        expected = 5 + len(self._manifest.classes) if yolox else 6
        if columns != expected:
            raise DataError(
                f"{known.path}: {columns} values a box, expected {expected} of a detector "
                f"with head {self._manifest.head}"
            )

    def look(self, picture: Pixels) -> Found:
        """Return everything above ``score_min`` after suppression per class."""
        still = letterbox(picture, self._manifest.preprocess)
        rows = decode(self._run(still.pixels), self._network)
        height, width = picture.shape[:2]
        limits = np.array([width, height] * 2, np.float32)
        corners = np.clip(still.to_picture(rows[:, :4]), 0, limits).astype(np.float32)
        names = tuple(self._manifest.classes[int(kind)] for kind in rows[:, 5])
        return Found(corners, rows[:, 4].astype(np.float32), names)

    def _run(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return one picture's raw rows."""
        tensor = self._runner.tensor(pixels, self._manifest.preprocess.scale)
        return np.asarray(self._runner.run(tensor)[0], np.float32)


def manifest_json(manifest: Manifest) -> str:
    """Return a manifest as a bundle holds it."""
    return json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
