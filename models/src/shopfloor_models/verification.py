"""Does a bundle hold what its manifest says, and do its builds find what they must?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from shopfloor_contracts.bundles import Build, Golden, Manifest
from shopfloor_models.bundle import BundleFileError, check_files
from shopfloor_models.errors import DataError, MissingExtraError
from shopfloor_models.golden import Clip, Difference, check_build, read_clip

RUNS_HERE = (".onnx", ".tflite")
ELSEWHERE = ("coral", "edgetpu")
"""Their operators want the accelerator's own delegate."""


class State(StrEnum):
    """What is known of a build."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"
    """It is for other hardware, its runtime is not installed, or there is no clip."""


@dataclass(frozen=True, slots=True)
class BuildCheck:
    """One build on the golden clip."""

    target: str
    file: str
    state: State
    reason: str
    difference: Difference | None = None


def verify_bundle(manifest: Manifest, folder: Path) -> list[BuildCheck]:
    """Compare every digest, then run every build that runs here on the golden clip.

    Raises:
        BundleFileError: a file is not what the manifest says, or the clip cannot be read.
    """
    check_files(manifest, folder)
    if manifest.golden is None:
        return [_not_run(build, "the bundle has no golden clip") for build in manifest.builds]
    clip = read_clip(folder / manifest.golden.clip)
    return [_check(manifest, clip, build, folder) for build in manifest.builds]


def _check(manifest: Manifest, clip: Clip, build: Build, folder: Path) -> BuildCheck:
    path = folder / build.file
    if path.suffix not in RUNS_HERE or any(word in build.target for word in ELSEWHERE):
        return _not_run(build, "its hardware is not here")
    try:
        difference = check_build(manifest, clip, path)
    except MissingExtraError as e:
        return _not_run(build, str(e))
    except (DataError, BundleFileError) as e:
        return BuildCheck(build.target, build.file, State.FAILED, str(e))
    golden = manifest.golden
    state = State.PASSED if difference.agrees else State.FAILED
    reason = _in_words(difference, golden) if golden else ""
    return BuildCheck(build.target, build.file, state, reason, difference)


def _in_words(difference: Difference, golden: Golden) -> str:
    limits = f"{golden.tolerance_px:g} px and {golden.tolerance_score:g} of score"
    if not difference.agrees:
        return (
            f"{difference.missing} of {difference.expected} detections are missing and "
            f"{difference.extra} are new, within {limits}"
        )
    if difference.expected == 0:
        return "nothing found, as expected; a clip without a sure detection tells little"
    return (
        f"{difference.expected} detections, off by at most {difference.worst_px:.2f} px and "
        f"{difference.worst_score:.3f} of score"
    )


def _not_run(build: Build, reason: str) -> BuildCheck:
    return BuildCheck(build.target, build.file, State.NOT_RUN, reason)
