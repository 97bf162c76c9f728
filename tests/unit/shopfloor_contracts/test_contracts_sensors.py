"""The sensor file: what can be computed is accepted, all else is told in one go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.sensors import parse_sensors

GOOD = """
site = "plant-3"
device = "press-2"
[broker]
[[sensors]]
name = "drive-end"
machine = "press-2"
quantity = "vibration"
unit = "mm/s"
rate_hz = 2000
stretch_s = 1
learn_s = 3600
silent_s = 10
figures = ["rms", "kurtosis"]
bands_hz = [[10, 400], [400, 1000]]
ring_hz = [300, 900]
knock_hz = [107.4]
topic = "plant/press-2/vibration"
"""


def test_a_sensor_file_is_read():
    file = parse_sensors(GOOD, source="machines.toml")

    [sensor] = file.sensors
    assert (sensor.samples, sensor.learning, sensor.bands_hz[1]) == (2000, 3600, (400.0, 1000.0))


@pytest.mark.parametrize(
    ("found", "instead", "why"),
    [
        ("rate_hz = 2000", "rate_hz = 700", "half of rate_hz"),
        ("rate_hz = 2000", "rate_hz = 90000\nreport_s = 3600", None),
        ("stretch_s = 1", "stretch_s = 0.01", "want 64"),
        ("stretch_s = 1", "stretch_s = 600\nreport_s = 600", "at most 200000"),
        ("learn_s = 3600", "learn_s = 20", "expected 30 to 10000"),
        ("learn_s = 3600", "learn_s = 86400", "expected 30 to 10000"),
        ("stretch_s = 1", "stretch_s = 2\nreport_s = 1", "report_s is below stretch_s"),
        ("silent_s = 10", "silent_s = 10\nfollow_s = 5", "follow_s is below 30 stretches"),
        ("silent_s = 10", "silent_s = 10\nsilnt_s = 4", "did you mean"),
        ("silent_s = 10", "", "silent_s is missing"),
        ("knock_hz = [107.4]", "", "belong together"),
        ("knock_hz = [107.4]", "knock_hz = [1]", "knock_hz 1 is not within 4"),
        ("[300, 900]", "[300, 1000]", "ring_hz is not inside"),
        ('["rms", "kurtosis"]', '["rms", "rms"]', "stands there twice"),
        ("plant/press-2/vibration", "plant/+/vibration", "names many topics"),
        ("[broker]", "", "there is no"),
        ("[broker]", '[broker]\nhost = "10.0.0.9"', "a ca_file for TLS is required"),
        ("site =", "site", "not TOML"),
    ],
)
def test_what_cannot_be_computed_is_told_in_one_line(found, instead, why):
    text = GOOD.replace(found, instead)

    if why is None:
        parse_sensors(text, source="machines.toml")
        return
    with pytest.raises(SiteFileError, match=r"machines\.toml") as refused:
        parse_sensors(text, source="machines.toml")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_example_of_the_documentation_can_be_run():
    text = (Path(__file__).parents[3] / "docs" / "inspection.md").read_text()
    [example] = [
        block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "knock" in block
    ]

    file = parse_sensors(example, source="docs/inspection.md")

    assert [sensor.name for sensor in file.sensors] == ["drive-end", "oil"]


def test_two_sensors_with_one_name_are_refused():
    block = GOOD[GOOD.index("[[sensors]]") :]

    with pytest.raises(SiteFileError, match="two sensors are named 'drive-end'"):
        parse_sensors(GOOD + block, source="machines.toml")


def test_the_version_changes_with_what_the_figures_mean_only():
    [first] = parse_sensors(GOOD, source="f").sensors
    [limit] = parse_sensors(GOOD.replace("silent_s = 10", "silent_s = 20"), source="f").sensors
    [band] = parse_sensors(GOOD.replace("[10, 400]", "[20, 400]"), source="f").sensors

    assert first.version == limit.version
    assert first.version != band.version
