"""What the manifest of person-nano says is what was measured on that very file."""

from __future__ import annotations

import json

import pytest

from shopfloor_contracts.bundles import Build
from shopfloor_models.errors import DataError
from shopfloor_models.evaluation.robustness import KINDS
from shopfloor_models.gates import evidence_in, read_gates, refuse_unfit
from shopfloor_models.recipes.person_nano_figures import read_evaluated
from shopfloor_models.training.teacher import find_model

BUILD = Build(target="onnx-fp32", file="net.onnx", sha256="a" * 64, size_bytes=7)
FIGURES = {
    "crossing_f1": 1.0,
    "crossing_f1_unseen_scene": None,
    "cpu_ratio_to_yolox_nano": 0.57,
    "person_ap": 0.3,
    "person_ap50": 0.5,
    "measured": {"sha256": "a" * 64},
}


def test_figures_of_this_build_are_read(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(FIGURES | {"reference": {}}))

    assert read_evaluated(path, BUILD).person_ap == 0.3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FIGURES | {"measured": {"sha256": "b" * 64}}, "is of a build with sha256 bbbb"),
        ({"person_ap": 0.3}, r"figures\.json: \('crossing_f1',\): Field required"),
    ],
)
def test_figures_of_another_file_are_refused(tmp_path, content, message):
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(content))

    with pytest.raises(DataError, match=message):
        read_evaluated(path, BUILD)


def test_the_shipped_manifest_holds_its_figures_and_passes_its_gates():
    manifest = find_model("person-nano").manifest

    metrics = {one.metric for one in manifest.evaluation}

    assert metrics >= {"ap", "ap50", "crossing-f1", "cpu-ratio", "robustness-ratio"}
    assert metrics >= {f"robustness-{kind}" for kind in KINDS}
    assert all(one.target == "onnx-fp32" for one in manifest.evaluation)
    refuse_unfit(evidence_in(manifest, manifest.builds[0]), read_gates("shipped"))
