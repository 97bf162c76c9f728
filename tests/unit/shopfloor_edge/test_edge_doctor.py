"""What the doctor concludes from what it sees, and how it reads."""

import json
import os
from pathlib import Path

import pytest

from shopfloor_edge.discipline import read_discipline
from shopfloor_edge.doctor import backends, decoders
from shopfloor_edge.doctor.child import Answer
from shopfloor_edge.doctor.clock import (
    Discipline,
    Instant,
    check_clock,
    check_time_zone,
)
from shopfloor_edge.doctor.findings import Finding, Level, is_healthy
from shopfloor_edge.doctor.machine import (
    check_devices,
    check_disk,
    check_memory,
    check_processor,
    check_state,
)
from shopfloor_edge.doctor.table import as_json, as_text

NOW_S = 1_800_000_000.0  # January 2027
GOOD = Discipline(synchronised=True, error_s=0.02)
GIB = 1 << 20  # in KiB


def levels(findings):
    return {finding.name: finding.level for finding in findings}


def clock(*, wall_s=NOW_S, step_s=0.0, discipline=GOOD):
    return levels(
        check_clock(Instant(wall_s - 5, 100.0), Instant(wall_s + step_s, 105.0), discipline)
    )


def test_a_good_clock_is_fine():
    assert set(clock().values()) == {Level.OK}


def test_a_clock_from_before_the_release_is_bad():
    assert clock(wall_s=86_400.0)["time"] is Level.BAD


@pytest.mark.parametrize(
    "discipline",
    [None, Discipline(synchronised=False, error_s=16.0), Discipline(synchronised=True, error_s=3)],
)
def test_a_clock_that_nothing_holds_is_warned_of(discipline):
    assert clock(discipline=discipline)["synchronised"] is Level.WARN


@pytest.mark.parametrize("step_s", [-30.0, 0.5])
def test_a_clock_that_jumps_is_warned_of(step_s):
    assert clock(step_s=step_s)["steady"] is Level.WARN


def test_the_kernel_is_asked_about_its_clock():
    found = read_discipline()

    assert found is None or found.error_s >= 0.0


@pytest.mark.parametrize(
    ("wanted", "environment", "level"),
    [
        ("Europe/Berlin", {}, Level.OK),
        (None, {}, Level.OK),
        (None, {"TZ": ":Europe/Berlin"}, Level.OK),
        ("Europe/Berlin", {"TZ": "Nowhere/Land"}, Level.OK),
        (None, {"TZ": "Nowhere/Land"}, Level.BAD),
        (None, {"TZ": "../../etc"}, Level.BAD),
    ],
)
def test_a_time_zone_has_to_be_known(wanted, environment, level):
    assert check_time_zone(wanted, environment).level is level


@pytest.mark.parametrize(
    ("available_mib", "level"), [(100, Level.BAD), (300, Level.WARN), (2000, Level.OK)]
)
def test_little_memory_is_named(available_mib, level):
    text = f"MemTotal: {4 * GIB} kB\nMemFree: 1 kB\nMemAvailable: {available_mib * 1024} kB\n"

    assert check_memory(text).level is level


def test_memory_that_the_kernel_does_not_tell_is_no_failure():
    assert check_memory("").level is Level.WARN


@pytest.mark.parametrize(
    ("machine", "line", "level", "words"),
    [
        ("x86_64", "flags : sse2 avx2 avx_vnni", Level.OK, "AVX2, VNNI"),
        ("x86_64", "flags : sse2", Level.WARN, "no vector instructions"),
        ("aarch64", "Features : fp asimd asimddp", Level.OK, "NEON, dot product"),
        ("armv7l", "Features : vfpv3", Level.WARN, "no vector instructions"),
    ],
)
def test_the_processors_vector_instructions_are_named(machine, line, level, words):
    found = check_processor(f"processor : 0\n{line}\nprocessor : 1\n{line}\n", machine)

    assert found.level is level
    assert found.found.startswith(f"2 × {machine}")
    assert words in found.found


def test_a_disk_smaller_than_the_outbox_is_bad(tmp_path):
    assert check_disk(tmp_path / "state", outbox_bytes=10**15).level is Level.BAD


def test_a_state_folder_that_can_be_made_is_fine_and_is_not_made(tmp_path):
    found = check_state(tmp_path / "a" / "state")

    assert found.level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_in_a_file_is_bad(tmp_path):
    (tmp_path / "state").write_text("")

    found = check_state(tmp_path / "state")

    assert found.level is Level.BAD
    assert "state" in found.remedy


@pytest.mark.skipif(os.getuid() == 0, reason="wants a user who is not root")
def test_a_state_folder_of_somebody_else_is_bad():
    assert check_state(Path("/usr/shopfloor-state")).level is Level.BAD


def test_a_camera_of_the_site_that_is_not_plugged_in_is_bad(tmp_path):
    (found, *_) = check_devices([tmp_path / "video3"], tmp_path)

    assert found.level is Level.BAD
    assert "No such file" in found.found


def test_a_device_that_is_none_is_not_taken_for_one(tmp_path):
    (tmp_path / "video0").write_text("")

    (found, *_) = check_devices([], tmp_path)

    assert found.level is Level.WARN
    assert "is no device" in found.found


def test_devices_that_nobody_needs_are_not_missed(tmp_path):
    assert {finding.level for finding in check_devices([], tmp_path)} == {Level.ABSENT}


@pytest.mark.parametrize(
    ("values", "failure", "asked", "level"),
    [
        ({"ms": 3.2}, "", "auto", Level.OK),
        ({"absent": "not installed", "extra": "openvino"}, "", "auto", Level.ABSENT),
        ({"absent": "not installed", "extra": "openvino"}, "", "openvino", Level.BAD),
        ({"broken": "not an ONNX model"}, "", "auto", Level.WARN),
        ({"broken": "not an ONNX model"}, "", "openvino", Level.BAD),
        ({}, "crashed: SIGSEGV", "auto", Level.WARN),
        ({}, "crashed: SIGSEGV", "openvino", Level.BAD),
    ],
)
def test_a_runtime_is_judged_by_whether_it_is_asked_for(values, failure, asked, level):
    found = backends.judge("openvino", "onnx-fp32", Answer(values, failure), asked=asked)

    assert found.level is level
    assert bool(found.remedy) is (level is not Level.OK)


def test_the_default_runtime_must_not_be_broken():
    broken = Answer({"broken": "not an ONNX model"})

    found = backends.judge("onnxruntime", "onnx-fp32", broken, asked="auto")

    assert found.level is Level.BAD


def probed(**changes):
    codecs = {"H.264": ["avdec_h264"], "H.265": ["avdec_h265"], "MJPEG": ["jpegdec"]}
    values = {"version": "GStreamer 1.22", "platform": "software", "fallback": ""}
    return Answer(values | {"codecs": codecs | changes.pop("codecs", {})} | changes)


def test_software_decoding_is_fine():
    found = levels(decoders.judge(probed()))

    assert found["H.264"] is Level.OK
    assert found["hardware"] is Level.ABSENT


@pytest.mark.parametrize(("codec", "level"), [("H.264", Level.BAD), ("H.265", Level.WARN)])
def test_a_missing_decoder_is_named(codec, level):
    assert levels(decoders.judge(probed(codecs={codec: []})))[codec] is level


def test_half_of_a_hardware_platform_is_warned_of():
    found = decoders.judge(probed(fallback="jetson: nvvidconv is not installed"))

    assert levels(found)["hardware"] is Level.WARN


@pytest.mark.parametrize("answer", [Answer({"absent": "no gi"}), Answer({}, "crashed: SIGABRT")])
def test_without_gstreamer_no_camera_is_read(answer):
    (found,) = decoders.judge(answer)

    assert found.level is Level.BAD
    assert found.remedy


FINDINGS = [
    Finding("inference", "onnxruntime", Level.OK, "3.2 ms a picture"),
    Finding("inference", "tensorrt", Level.ABSENT, "none of the modules is installed " * 5),
    Finding("clock", "synchronised", Level.WARN, "no", "enable NTP"),
]
BAD = Finding(
    "machine", "state folder", Level.BAD, "/var/lib/shopfloor: Permission denied", "chown"
)


def test_warnings_are_healthy_and_a_bad_thing_is_not():
    assert is_healthy(FINDINGS)
    assert not is_healthy([*FINDINGS, BAD])


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_the_table_fits_its_width_and_says_everything(width):
    text = as_text([*FINDINGS, BAD], width=width)

    assert max(map(len, text.splitlines())) <= max(60, width)
    for mark, finding in zip("✓·!✗", [*FINDINGS, BAD], strict=True):
        assert f"  {mark} {finding.name}" in text
    assert "→ enable NTP" in text
    assert text.endswith("not healthy: 1 thing to mend, 1 warning\n")


def test_an_area_stands_once_above_its_findings():
    assert as_text(FINDINGS, width=80).splitlines().count("inference") == 1


def test_json_has_every_finding():
    found = json.loads(as_json([*FINDINGS, BAD]))

    assert found["healthy"] is False
    assert [row["level"] for row in found["findings"]] == ["ok", "absent", "warn", "bad"]
    assert found["findings"][3]["remedy"] == "chown"
