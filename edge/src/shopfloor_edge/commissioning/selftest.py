"""``shopfloor-edge selftest``: one bundle on this device, in a process of its own.

The agent runs it before a new model comes near vision: a runtime that crashes takes only this
process with it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.site import ModelSpec
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.choose import CANDIDATES, choose
from shopfloor_edge.inference.golden import Verdict, run_golden
from shopfloor_edge.slots.archive import read_unpacked, unpack


def run_selftest(bundle: Path | None, spec: ModelSpec, *, json_wanted: bool) -> int:
    """Test a bundle's archive or unpacked folder; without one say which builds can run here.

    Returns:
        1 where the bundle does not pass.
    """
    if bundle is None:
        targets = runnable_targets(spec)
        print(json.dumps({"targets": targets}) if json_wanted else "\n".join(targets))
        return 0
    verdict = _tested(bundle, spec)
    if json_wanted:
        told = {"passed": verdict.passed, "frames": verdict.frames, "detail": verdict.detail}
        print(json.dumps(told))
    else:
        word = "passed" if verdict.passed else "failed"
        print(f"{bundle}: {word} on {verdict.frames} frames: {verdict.detail}")
    return 0 if verdict.passed else 1


def runnable_targets(spec: ModelSpec) -> list[str]:
    """Return the build targets for which hardware and libraries are here."""
    found = []
    for candidate in CANDIDATES:
        if spec.backend not in ("auto", "motion", candidate.runtime):
            continue
        try:
            if candidate.probe is not None:
                candidate.probe()
        except BackendUnavailableError:
            continue
        found.append(candidate.target)
    return list(dict.fromkeys(found))


def _tested(bundle: Path, spec: ModelSpec) -> Verdict:
    try:
        if bundle.is_dir():
            return _in_folder(read_unpacked(bundle), bundle, spec)
        with tempfile.TemporaryDirectory() as name:
            return _in_folder(unpack(bundle, Path(name)), Path(name), spec)
    except (BundleError, OSError) as e:
        return Verdict(passed=False, frames=0, detail=str(e))


def _in_folder(manifest: Manifest, folder: Path, spec: ModelSpec) -> Verdict:
    chosen = choose(manifest, spec, wanted=("person",), folder=folder)
    if chosen.shared is None or chosen.degraded:
        return Verdict(passed=False, frames=0, detail=chosen.degraded or "no build runs here")
    return run_golden(manifest, folder, chosen.shared)
