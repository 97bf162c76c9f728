"""The golden clip: a few pictures and what the trusted build finds on them.

Here a clip is made, written and read, and a build's findings are compared with it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Golden, Manifest
from shopfloor_models.bundle import BundleFileError, digest_of
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.predict import BuildPredictor, Floats, Network
from shopfloor_models.export.letterbox import Pixels
from shopfloor_models.files import write_whole

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
MAX_DETECTIONS = 300
MAX_CLIP_BYTES = 256 << 20
"""Unpacked; four frames of the largest input that a manifest may name are 200 MB."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames and findings."""

    frames: Pixels
    """``(N, H, W, 3)``, letterboxed, channels as the network takes them."""
    detections: Floats
    """``(N, 300, 6)``: xyxy in input pixels, score, class; rows of zeros for none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a build's findings differ from a clip's."""

    expected: int
    """Findings of the clip that are sure enough to be asked for."""
    missing: int
    """Of these, how many the build has not within the tolerances."""
    extra: int
    """Sure findings of the build that the clip has not."""
    worst_px: float
    worst_score: float
    """Among those that the build has."""

    @property
    def agrees(self) -> bool:
        """Whether nothing is missing and nothing is new."""
        return self.missing == self.extra == 0


class GoldenPredictor:
    """A build on frames that are letterboxed already."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Load the build.

        Raises:
            DataError: it cannot be loaded.
            MissingExtraError: its runtime is not installed.
        """
        # The frames' channels are in the network's order: nothing is left to exchange.
        spec = manifest.preprocess.model_copy(update={"colour": "bgr"})
        network = Network.of(manifest, manifest.score_min)
        self._path = path
        self._predictor = BuildPredictor(
            path,
            Network(network.head, spec, score_min=network.score_min, nms_iou=network.nms_iou),
        )

    def find(self, frames: Pixels) -> Floats:
        """Return ``(N, 300, 6)``.

        Raises:
            DataError: the build cannot be run on frames of this size.
        """
        try:
            rows = self._predictor.predict(list(frames))
        except Exception as e:  # onnxruntime's and LiteRT's classes have no common base
            height, width = frames.shape[1:3]
            reason = (str(e).splitlines() or [type(e).__name__])[0][:200]
            raise DataError(f"{self._path}: cannot be run on {width}x{height} px: {reason}") from e
        found = np.zeros((len(rows), MAX_DETECTIONS, 6), np.float32)
        for place, one in zip(found, rows, strict=True):
            place[: len(one)] = one[:MAX_DETECTIONS]
        return found


def write_clip(clip: Clip, path: Path) -> Golden:
    """Write a clip and return its entry for the manifest.

    The same clip and the same zlib give the same bytes: the archive holds no time.

    Raises:
        BundleFileError: the shapes are not those.
        DataError: it cannot be written.
    """
    frames, detections = clip.frames, clip.detections
    _check_shapes(frames, detections, str(path))
    arrays = {"frames": frames, "detections": detections.astype(np.float32)}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue(), compresslevel=9)
    write_whole(path, whole.getvalue())
    digest, size = digest_of(path)
    return Golden(clip=path.name, sha256=digest, size_bytes=size)


def read_clip(path: Path) -> Clip:
    """Read a clip.

    Raises:
        BundleFileError: no NPZ with frames and detections of the contract's shapes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_CLIP_BYTES:
            raise BundleFileError(f"{path}: {size} bytes unpacked, at most {MAX_CLIP_BYTES}")
        with np.load(path, allow_pickle=False) as arrays:
            frames, detections = arrays["frames"], arrays["detections"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise BundleFileError(f"{path}: no golden clip: {e}") from e
    _check_shapes(frames, detections, str(path))
    return Clip(frames, detections.astype(np.float32))


def compare(expected: Floats, found: Floats, *, golden: Golden, score_min: float) -> Difference:
    """Compare findings frame by frame.

    A finding within ``tolerance_score`` of ``score_min`` may be there or not: another processor's
    rounding moves it over the limit. All others must have a partner of the same class, each side
    within ``tolerance_px``, the score within ``tolerance_score``.

    Args:
        expected: ``(N, 300, 6)`` of the clip.
        found: ``(N, 300, 6)`` of the build.
    """
    sure = score_min + golden.tolerance_score
    missing = extra = 0
    px, scores = [np.zeros(0)], [np.zeros(0)]
    for ours, theirs in zip(expected, found, strict=True):
        wanted, rows = ours[ours[:, 4] > 0], theirs[theirs[:, 4] > 0]
        apart_px = np.abs(wanted[:, None, :4] - rows[None, :, :4]).max(axis=2)
        apart = np.abs(wanted[:, None, 4] - rows[None, :, 4])
        partner = (apart_px <= golden.tolerance_px) & (apart <= golden.tolerance_score)
        partner &= wanted[:, None, 5] == rows[None, :, 5]
        has_one = partner.any(axis=1)
        missing += int((~has_one & (wanted[:, 4] >= sure)).sum())
        extra += int((~partner.any(axis=0) & (rows[:, 4] >= sure)).sum())
        px.append(np.where(partner, apart_px, np.inf).min(axis=1, initial=np.inf)[has_one])
        scores.append(np.where(partner, apart, np.inf).min(axis=1, initial=np.inf)[has_one])
    return Difference(
        int((expected[:, :, 4] >= sure).sum()),
        missing,
        extra,
        float(np.concatenate(px).max(initial=0)),
        float(np.concatenate(scores).max(initial=0)),
    )


def check_build(manifest: Manifest, clip: Clip, path: Path) -> Difference:
    """Run a build on its bundle's clip.

    Raises:
        DataError: the build cannot be loaded or run.
        BundleFileError: the manifest names no clip, or its frames do not fit the input.
    """
    if manifest.golden is None:
        raise BundleFileError(f"{manifest.name} {manifest.version}: no golden clip")
    spec = manifest.preprocess
    if clip.frames.shape[1:3] != (spec.height_px, spec.width_px):
        height, width = clip.frames.shape[1:3]
        raise BundleFileError(
            f"{manifest.golden.clip}: frames of {width}x{height} px, "
            f"the manifest says {spec.width_px}x{spec.height_px}"
        )
    found = GoldenPredictor(path, manifest).find(clip.frames)
    return compare(clip.detections, found, golden=manifest.golden, score_min=manifest.score_min)


def _check_shapes(frames: NDArray[np.generic], rows: NDArray[np.generic], where: str) -> None:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise BundleFileError(
            f"{where}: frames are {frames.dtype} {list(frames.shape)}, expected uint8 [N, H, W, 3]"
        )
    expected: Sequence[int] = (len(frames), MAX_DETECTIONS, 6)
    if rows.shape != tuple(expected):
        raise BundleFileError(
            f"{where}: detections are {list(rows.shape)}, expected {list(expected)}"
        )
