"""Gates: each limit refuses with figure and limit, and a file's mistakes are named."""

from __future__ import annotations

import pytest

from shopfloor_contracts.bundles import Build, Measure
from shopfloor_models.errors import DataError, GateError
from shopfloor_models.gates import (
    Evidence,
    Gates,
    check,
    evidence_in,
    parse_gates,
    read_gates,
    reason_to_refuse,
    refuse_unfit,
)
from shopfloor_models.training.teacher import find_model

GOOD = Evidence(
    "good.onnx",
    "Apache-2.0",
    900_000,
    ap=0.300,
    ap_fp32=0.303,
    latency_ratio=0.8,
    robustness_ratio=0.6,
)
LIMITS = Gates(
    name="all",
    map_loss_points_max=0.5,
    ap_min=0.2,
    latency_ratio_max=1.0,
    size_bytes_max=1_000_000,
    robustness_ratio_min=0.5,
    licences=["Apache-2.0"],
)


def test_a_build_within_every_limit_passes():
    verdicts = check(GOOD, LIMITS)

    assert len(verdicts) == 6
    assert all(verdict.passed for verdict in verdicts)
    assert reason_to_refuse(verdicts) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ap": 0.25}, ["mAP loss", "5.3", "0.5"]),
        ({"ap": 0.19, "ap_fp32": 0.19}, ["AP is 0.19", "0.2"]),
        ({"latency_ratio": 1.3}, ["latency", "1.3", "1"]),
        ({"size_bytes": 1_000_001}, ["1000001", "1000000"]),
        ({"robustness_ratio": 0.4}, ["robustness", "0.4", "0.5"]),
        ({"licence": "AGPL-3.0"}, ["AGPL-3.0", "Apache-2.0"]),
    ],
)
def test_a_limit_that_is_passed_over_is_refused_with_figure_and_limit(change, words):
    values = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    evidence = Evidence(**{**values, **change})

    failed = [verdict for verdict in check(evidence, LIMITS) if not verdict.passed]

    assert len(failed) == 1
    assert all(word in failed[0].reason for word in words)
    assert "\n" not in failed[0].reason


def test_what_was_not_measured_does_not_pass():
    unmeasured = Evidence("new.onnx", "Apache-2.0", 10)

    with pytest.raises(GateError, match=r"new\.onnx: .*was not measured"):
        refuse_unfit(unmeasured, LIMITS)


def test_a_limit_that_is_not_set_is_not_asked_for():
    assert check(Evidence("any.onnx", "none", 10), Gates(name="open")) == []


def test_an_unknown_key_names_the_nearest_valid_one():
    text = '[[gates]]\nname = "a"\nmap_loss_point_max = 1.0\n'

    with pytest.raises(DataError, match=r"my\.toml.*did you mean 'map_loss_points_max'"):
        parse_gates(text, source="my.toml")


def test_a_file_that_is_no_toml_is_named():
    with pytest.raises(DataError, match=r"my\.toml: not TOML"):
        parse_gates("[[", source="my.toml")


def test_the_shipped_file_holds_the_quantised_limit():
    assert read_gates("quantised").map_loss_points_max == 0.5

    with pytest.raises(DataError, match="no gates 'none'; it has"):
        read_gates("none")


def test_what_is_more_fragile_than_what_it_replaces_is_refused():
    fragile = Evidence("new.onnx", "Apache-2.0", 10, robustness_to_reference=0.85)
    gates = Gates(name="shipped", robustness_to_reference_min=0.9)

    with pytest.raises(GateError, match=r"robustness to the reference is 0\.85, at least 0\.9"):
        refuse_unfit(fragile, gates)


def test_the_figures_of_a_manifest_are_evidence_for_the_build_that_they_name():
    measures = [
        Measure(metric="ap", value=0.3, data="a", target="onnx-fp32"),
        Measure(metric="ap", value=0.29, data="a", target="onnx-int8"),
        Measure(metric="robustness-ratio", value=0.7, data="a", target="onnx-int8"),
    ]
    builds = [
        Build(target=target, file=f"{target}.onnx", sha256="0" * 64, size_bytes=7)
        for target in ("onnx-fp32", "onnx-int8")
    ]
    manifest = find_model("person-nano").manifest.model_copy(
        update={"evaluation": measures, "builds": builds}
    )

    evidence = evidence_in(manifest, builds[1])

    assert evidence.ap == 0.29
    assert evidence.map_loss_points == pytest.approx(1.0)
    assert evidence.robustness_ratio == 0.7
    assert evidence_in(manifest, builds[0]).robustness_ratio is None
