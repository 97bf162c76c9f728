"""``one-class``: from pictures of good parts to a bundle that finds what is unlike them."""

from __future__ import annotations

import hashlib
import zlib
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console

from shopfloor_contracts.bundles import Build, DataSource, Head, Manifest, Preprocess, Provenance
from shopfloor_models.commands.bundles import show
from shopfloor_models.data.formats import slug
from shopfloor_models.errors import DataError
from shopfloor_models.export.onnx_fold import load_model
from shopfloor_models.export.onnx_patches import features, scores
from shopfloor_models.files import write_whole
from shopfloor_models.training.one_class import F32, Levels, Memory, levels, remember
from shopfloor_models.training.teacher import Known, manifest_json
from shopfloor_models.unpacked import known_model

UNUSUAL = "unusual"
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
MIN_PICTURES = 8
"""Six to remember, and two to measure them with: less tells nothing of how good parts vary."""
HELD_OUT = 0.25
MOST_PATCHES = 60_000
MULTIPLE = 32
BORDER = 2
"""Patches at the border see half of a part, and a judge forgets them."""
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be learnt, and how much of good parts may be in vain."""

    name: str
    licence: str | None = None
    """Of the bundle; None: the backbone's."""
    patches: int = 1000
    """That are remembered."""
    reviewed: float = 0.02
    """Share of good parts that people may be asked about."""
    failed: float = 0.001
    seed: int = 1


def learn(options: Namespace, out: Console, err: Console) -> int:
    """Write an unpacked bundle of task ``score-patches``.

    Raises:
        ModelsError: pictures or a backbone that cannot be used.
    """
    wish = Wish(
        slug(options.name or options.good.name),
        options.licence,
        options.patches,
        options.reviewed,
        options.failed,
        options.seed,
    )
    known, parts = known_model(options.backbone, options.out), read_parts(options.good)
    err.print(f"{len(parts)} good parts, {parts[0].shape[1]} x {parts[0].shape[0]} px")
    manifest = make(Eyes(known), parts, wish, out=options.out)
    show(manifest, out)
    return 0


def make(eyes: Eyes, parts: Sequence[Grey], wish: Wish, *, out: Path) -> Manifest:
    """Write the bundle of ``parts``, which are as ``filled`` gives them, to the folder ``out``.

    Raises:
        ModelsError: too few patches, shares that cannot be, or a disk that refuses.
    """
    memory, limits = study(eyes, parts, wish)
    content = scores(eyes.model, memory, limits).SerializeToString()
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{wish.name}-fp32.onnx", content)
    manifest = _manifest(content, parts, eyes.known.manifest, wish)
    write_whole(out / "manifest.json", manifest_json(manifest).encode())
    return manifest


class Eyes:
    """A backbone that gives ``(cells, C)`` features of a part."""

    def __init__(self, known: Known) -> None:
        self.known, preprocess = known, known.manifest.preprocess
        self.model = features(
            load_model(known.path),
            takes_bytes=preprocess.layout == "nhwc-uint8",
            scale=preprocess.scale,
        )
        self._session = onnxruntime.InferenceSession(
            self.model.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    def look(self, part: Grey) -> F32:
        """Return the features of a part's patches but for the border's; sides divide by 32."""
        found = self._session.run(None, {"parts": part[None, :, :, None]})[0][0]
        found = found[:, BORDER:-BORDER, BORDER:-BORDER]
        return np.asarray(found.reshape(len(found), -1).T, np.float32)


def study(eyes: Eyes, parts: Sequence[Grey], wish: Wish) -> tuple[Memory, Levels]:
    """Remember three quarters of the parts; the others say how far a good part lies from them."""
    random = np.random.default_rng(wish.seed)
    order = random.permutation(len(parts))
    held = order[: max(2, round(HELD_OUT * len(parts)))]
    each = max(1, MOST_PATCHES // (len(parts) - len(held)))
    patches = []
    for at in order[len(held) :]:
        seen = eyes.look(parts[at])
        patches.append(seen[random.permutation(len(seen))[:each]])
    memory = remember(np.concatenate(patches), wish.patches, seed=wish.seed)
    highest = np.array([memory.distances(eyes.look(parts[at])).max() for at in held], np.float32)
    return memory, levels(highest, reviewed=wish.reviewed, failed=wish.failed)


def read_parts(folder: Path) -> list[Grey]:
    """Return the pictures of a folder as the judge will see them: grey, denoised, filled up.

    Raises:
        DataError: too few pictures, one that is none, or sizes that differ.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)
    if len(paths) < MIN_PICTURES:
        raise DataError(
            f"{folder}: {len(paths)} pictures of good parts, expected at least {MIN_PICTURES}"
        )
    parts = []
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise DataError(f"{path}: no picture")
        parts.append(filled(np.asarray(picture, np.uint8)))
        if parts[-1].shape != parts[0].shape:
            raise DataError(
                f"{path}: size is {picture.shape[1]} x {picture.shape[0]}, "
                f"other than that of {paths[0].name}"
            )
    return parts


def filled(picture: Grey) -> Grey:
    """Return a part as the judge will see it: denoised, its sides filled up to multiples of 32."""
    below, right = (-side % MULTIPLE for side in picture.shape)
    clean = cv2.medianBlur(picture, 3)
    return np.asarray(cv2.copyMakeBorder(clean, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def _manifest(content: bytes, parts: Sequence[Grey], backbone: Manifest, wish: Wish) -> Manifest:
    height, width = parts[0].shape
    digest = hashlib.sha256()
    for part in parts:
        digest.update(zlib.crc32(part.tobytes()).to_bytes(4, "big"))
    return Manifest(
        name=wish.name,
        version="1",
        task="score-patches",
        licence=wish.licence or backbone.licence,
        source=f"Shopfloor; backbone {backbone.name} ({backbone.licence})",
        classes=[UNUSUAL],
        head=Head.PATCHES,
        preprocess=Preprocess(
            width_px=width,
            height_px=height,
            layout="nhwc-uint8",
            colour="grey",
            letterbox="top-left",
        ),
        builds=[
            Build(
                target="onnx-fp32",
                file=f"{wish.name}-fp32.onnx",
                sha256=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
            )
        ],
        provenance=Provenance(
            recipe=f"one-class: {wish.patches} patches, good parts {wish.failed:g} failed",
            inherits=f"{backbone.name} ({backbone.licence})",
            data_sha256=digest.hexdigest(),
            seed=wish.seed,
            sources=[
                DataSource(
                    name="good parts",
                    licence_class=wish.licence or "own",
                    images=len(parts),
                    labels="good parts only",
                )
            ],
        ),
    )
