from __future__ import annotations

import pytest

from shopfloor_contracts.bundles import parse_zoo
from shopfloor_contracts.errors import ZooError

BUILD = f"""
[[bundle.builds]]
target = "onnx-fp32"
file = "model.onnx"
sha256 = "{"0a" * 32}"
size_bytes = 3_659_407
urls = ["https://example.org/model.onnx"]
"""

BUNDLE = f"""
[[bundle]]
name = "people"
version = "1.0"
task = "detect"
licence = "Apache-2.0"
source = "https://example.org"
classes = ["person"]
head = "yolox"

[bundle.preprocess]
width_px = 416
height_px = 416
layout = "nchw-float32"
colour = "bgr"
letterbox = "top-left"
{BUILD}
"""


def message_of(text: str) -> str:
    with pytest.raises(ZooError) as caught:
        parse_zoo(text, source="zoo.toml")

    assert str(caught.value).startswith("zoo.toml: ")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("zoo.toml: ")


def test_a_bundle_is_found_by_name_and_its_build_by_target():
    manifest = parse_zoo(BUNDLE, source="zoo.toml")["people"]

    assert manifest.build_for("onnx-fp32").file == "model.onnx"
    assert manifest.build_for("tensorrt") is None
    assert (manifest.score_min, manifest.nms_iou, manifest.preprocess.pad) == (0.1, 0.65, 114)


@pytest.mark.parametrize(
    ("found", "bad", "message"),
    [
        ("width_px = 416", "width_px = 417", "bundle[0].preprocess.width_px is 417: "),
        ("size_bytes = 3_659_407", "size_bytes = -1", "bundle[0].builds[0].size_bytes is -1: "),
        ("https://example.org/model", "http://example.org/model", "bundle[0].builds[0].urls[0] is"),
        ('"model.onnx"', '"../model.onnx"', "bundle[0].builds[0].file is '../model.onnx': "),
        ('"model.onnx"', '"/etc/passwd"', "bundle[0].builds[0].file is '/etc/passwd': "),
        ('sha256 = "0a', 'sha256 = "0A', "bundle[0].builds[0].sha256 is '0A"),
        ('head = "yolox"', 'head = "ssd"', "bundle[0].head is 'ssd': "),
        ('classes = ["person"]', "classes = []", "bundle[0].classes is []: "),
        ('licence = "Apache-2.0"', 'licence = ""', "bundle[0].licence is '': "),
        ('version = "1.0"', 'version = ""', "bundle[0].version is '': "),
        ('version = "1.0"', "", "bundle[0].version is missing"),
        ('licence = "', 'license = "', "unknown key 'bundle[0].license'; did you mean 'licence'?"),
        ('colour = "', 'color = "', "'bundle[0].preprocess.color'; did you mean 'colour'?"),
        ("[[bundle]]", "[[bundles]]", "unknown key 'bundles'; did you mean 'bundle'?"),
        ('name = "people"', 'name = "people', "not TOML: "),
        ('name = "people"', 'name = "People"', "bundle[0].name is 'People': "),
    ],
)
def test_a_bad_manifest_is_refused_in_one_line(found, bad, message):
    assert message in message_of(BUNDLE.replace(found, bad, 1))


def test_two_bundles_of_one_name_are_refused():
    assert message_of(BUNDLE + BUNDLE) == "file: two bundles are named 'people'"


def test_two_builds_for_one_target_are_refused():
    assert message_of(BUNDLE + BUILD) == "bundle[0]: two builds are named 'onnx-fp32'"


def test_every_problem_is_reported_at_once():
    text = BUNDLE.replace('head = "yolox"', 'head = "ssd"').replace(
        "width_px = 416", "width_px = 1"
    )

    assert message_of(text).count(";") == 1
