"""A bundle's golden clip on this device: does the model find here what it found where it was made?

The models' side compares in the same way when it makes the clip.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import Golden, Manifest
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.ports import MAX_DETECTIONS, Detections, Images, InferenceBackend

MAX_CLIP_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one self-test."""

    passed: bool
    frames: int
    detail: str


def run_golden(manifest: Manifest, folder: Path, backend: InferenceBackend) -> Verdict:
    """Run every frame of the clip and compare the detections.

    Raises:
        BundleError: there is no clip, or it is not of the contract's shapes.
    """
    if manifest.golden is None:
        raise BundleError(f"{manifest.name} {manifest.version}: no golden clip to test it on")
    frames, expected = _read(folder / manifest.golden.clip, manifest)
    missing = extra = 0
    worst_px = 0.0
    for frame, rows in zip(frames, expected, strict=True):
        found = backend.infer(frame[None])[0]
        lost, new, px = _compare(rows, found, manifest.golden, manifest.score_min)
        missing, extra, worst_px = missing + lost, extra + new, max(worst_px, px)
    detail = f"{missing} missing, {extra} extra, worst {worst_px:.2f} px"
    return Verdict(missing == extra == 0, len(frames), detail)


def _read(path: Path, manifest: Manifest) -> tuple[Images, Detections]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_CLIP_BYTES:
            raise BundleError(f"{path}: {size} bytes unpacked, at most {MAX_CLIP_BYTES}")
        with np.load(path, allow_pickle=False) as arrays:
            frames, rows = arrays["frames"], arrays["detections"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise BundleError(f"{path}: no golden clip: {e}") from e
    spec = manifest.preprocess
    size_px = (spec.height_px, spec.width_px, 3)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != size_px:
        raise BundleError(
            f"{path}: frames are {frames.dtype} {list(frames.shape)}, "
            f"expected uint8 [N, {', '.join(map(str, size_px))}]"
        )
    if len(frames) == 0 or rows.shape != (len(frames), MAX_DETECTIONS, 6):
        raise BundleError(
            f"{path}: detections are {list(rows.shape)}, expected [{len(frames)}, 300, 6]"
        )
    return frames, rows.astype(np.float32)


def _compare(
    expected: NDArray[np.float32], found: NDArray[np.float32], golden: Golden, score_min: float
) -> tuple[int, int, float]:
    """Return sure detections that are missing, that are extra, and the worst distance in pixels.

    A score within the tolerance of ``score_min`` may be there or not.
    """
    sure = score_min + golden.tolerance_score
    wanted, rows = expected[expected[:, 4] > 0], found[found[:, 4] > 0]
    apart_px = np.abs(wanted[:, None, :4] - rows[None, :, :4]).max(axis=2)
    near = np.abs(wanted[:, None, 4] - rows[None, :, 4]) <= golden.tolerance_score
    partner = near & (apart_px <= golden.tolerance_px) & (wanted[:, None, 5] == rows[None, :, 5])
    has_one = partner.any(axis=1)
    missing = int((~has_one & (wanted[:, 4] >= sure)).sum())
    extra = int((~partner.any(axis=0) & (rows[:, 4] >= sure)).sum())
    nearest = np.where(partner, apart_px, np.inf).min(axis=1, initial=np.inf)
    return missing, extra, float(nearest[has_one].max(initial=0.0))
