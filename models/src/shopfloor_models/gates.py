"""Gates: the limits that a build keeps, or it is not shipped; read from ``gates.toml``."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from shopfloor_contracts.base import Operator, Ratio, Slug
from shopfloor_contracts.bundles import Build, Manifest
from shopfloor_contracts.problems import describe
from shopfloor_models.errors import DataError, GateError, ModelsError

GATES_FILE = Path(__file__).resolve().parents[2] / "gates.toml"
FLOAT_TARGET = "onnx-fp32"


class Gates(Operator):
    """One set of limits; a limit that is not given is not asked for."""

    name: Slug
    map_loss_points_max: Annotated[float, Field(ge=0, le=100)] | None = None
    """COCO AP below fp32's on the same data, in points of 100."""
    ap_min: Ratio | None = None
    latency_ratio_max: Annotated[float, Field(gt=0)] | None = None
    """To onnxruntime fp32 in the same run."""
    size_bytes_max: Annotated[int, Field(gt=0)] | None = None
    robustness_ratio_min: Ratio | None = None
    """AP in bad pictures, mean of all kinds and strengths, to AP in good ones."""
    robustness_to_reference_min: Annotated[float, Field(gt=0)] | None = None
    """That share to the share of the detector which the build is to replace, same pictures."""
    licences: list[str] | None = None


class _File(Operator):
    gates: Annotated[list[Gates], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured on one build; None where it was not."""

    model: str
    licence: str
    size_bytes: int
    ap: float | None = None
    ap_fp32: float | None = None
    latency_ratio: float | None = None
    robustness_ratio: float | None = None
    robustness_to_reference: float | None = None

    @property
    def map_loss_points(self) -> float | None:
        """AP lost against fp32, in points of 100."""
        if self.ap is None or self.ap_fp32 is None:
            return None
        return 100 * (self.ap_fp32 - self.ap)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer."""

    gate: str
    passed: bool
    reason: str
    """Figure and limit in one line."""


def parse_gates(text: str, *, source: str) -> dict[str, Gates]:
    """Read a gates file; ``source`` names it in errors.

    Raises:
        DataError: not TOML, or against the schema; names file, key and the nearest valid key.
    """
    try:
        file = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise DataError(f"{source}: not TOML: {e}") from e
    except ValidationError as e:
        raise DataError(f"{source}: " + "; ".join(describe(e, _File))) from e
    return {gates.name: gates for gates in file.gates}


def read_gates(name: str, path: Path = GATES_FILE) -> Gates:
    """Return one set of a file.

    Raises:
        DataError: the file or the set is not there.
    """
    try:
        sets = parse_gates(path.read_text(), source=str(path))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    if name not in sets:
        raise DataError(f"{path}: no gates {name!r}; it has {', '.join(sorted(sets))}")
    return sets[name]


def check(evidence: Evidence, gates: Gates) -> list[Verdict]:
    """Judge a build by every limit that is set; what was not measured does not pass."""
    loss = evidence.map_loss_points
    verdicts = [
        _at_most("mAP loss in points", loss, gates.map_loss_points_max),
        _at_least("AP", evidence.ap, gates.ap_min),
        _at_most("latency ratio to fp32", evidence.latency_ratio, gates.latency_ratio_max),
        _at_most("size in bytes", evidence.size_bytes, gates.size_bytes_max),
        _at_least("robustness", evidence.robustness_ratio, gates.robustness_ratio_min),
        _at_least(
            "robustness to the reference",
            evidence.robustness_to_reference,
            gates.robustness_to_reference_min,
        ),
        _licence(evidence.licence, gates.licences),
    ]
    return [verdict for verdict in verdicts if verdict is not None]


def evidence_in(manifest: Manifest, build: Build) -> Evidence:
    """Return what a bundle's manifest says was measured on one of its builds."""
    figures = {one.metric: one.value for one in manifest.evaluation if one.target == build.target}
    floats = [
        one.value
        for one in manifest.evaluation
        if one.metric == "ap" and one.target == FLOAT_TARGET
    ]
    return Evidence(
        f"{manifest.name} {build.target}",
        manifest.licence,
        build.size_bytes,
        ap=figures.get("ap"),
        ap_fp32=floats[0] if floats else None,
        latency_ratio=figures.get("latency-ratio"),
        robustness_ratio=figures.get("robustness-ratio"),
        robustness_to_reference=figures.get("robustness-to-reference"),
    )


def refuse_unfit(evidence: Evidence, gates: Gates) -> None:
    """Pass in silence.

    Raises:
        GateError: a gate fails; the message holds the figures and the limits.
    """
    reason = reason_to_refuse(check(evidence, gates))
    if reason:
        raise GateError(f"{evidence.model}: {reason}")


def reason_to_refuse(verdicts: Sequence[Verdict]) -> str:
    """Return what failed in one line; empty when all passed."""
    return "; ".join(verdict.reason for verdict in verdicts if not verdict.passed)


def _at_most(gate: str, figure: float | None, limit: float | None) -> Verdict | None:
    if limit is None:
        return None
    if figure is None:
        return Verdict(gate, False, f"{gate} was not measured, limit {_text(limit)}")  # noqa: FBT003
    return Verdict(gate, figure <= limit, f"{gate} is {_text(figure)}, at most {_text(limit)}")


def _at_least(gate: str, figure: float | None, limit: float | None) -> Verdict | None:
    if limit is None:
        return None
    if figure is None:
        return Verdict(gate, False, f"{gate} was not measured, limit {_text(limit)}")  # noqa: FBT003
    return Verdict(gate, figure >= limit, f"{gate} is {_text(figure)}, at least {_text(limit)}")


def _licence(licence: str, allowed: list[str] | None) -> Verdict | None:
    if allowed is None:
        return None
    return Verdict(
        "licence", licence in allowed, f"licence is {licence}, allowed: {', '.join(allowed)}"
    )


def _text(figure: float) -> str:
    return str(figure) if isinstance(figure, int) else f"{figure:.3g}"


def main() -> int:
    """Refuse the two builds that are known to be broken; write ``var/eval/gates.json``."""
    from shopfloor_models.evaluation.known_builds import eval_gates  # noqa: PLC0415 — heavy

    try:
        result = eval_gates()
    except ModelsError as e:
        print(f"gates: {e}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
