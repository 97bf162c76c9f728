"""What makes a host unfit, each with what to do."""

from dataclasses import replace

import pytest

from shopfloor_provisioning.preflight import Facts, judge
from shopfloor_provisioning.store import DeviceFile

GOOD = Facts(
    system="debian",
    release="12",
    architecture="x86_64",
    python="3.11",
    free_bytes=20_000_000_000,
    clock_offset_s=0.4,
    is_root=True,
    has_systemd=True,
)


def device(**changes):
    camera = {"name": "c", "uri": "rtsp://192.0.2.1/s"}
    values = {"name": "d", "address": "192.0.2.7", "cameras": [camera]}
    return DeviceFile.model_validate(values | changes)


def test_a_fit_host_has_no_problem():
    assert list(judge(device(architecture="x86_64"), GOOD)) == []


def test_a_host_without_python_gets_it():
    assert list(judge(device(), replace(GOOD, python="", missing=("python3",)))) == []


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (replace(GOOD, architecture="aarch64"), "is aarch64, its file says x86_64"),
        (replace(GOOD, free_bytes=1_000_000_000), "has 1.0 GB free on /, needs 3.0 GB"),
        (replace(GOOD, clock_offset_s=-86_400.0), "its clock is 1.0 days behind"),
        (replace(GOOD, release="11"), "runs debian 11, expected debian 12 or 13"),
        (replace(GOOD, system="", release=""), "runs an unknown system"),
        (replace(GOOD, python="3.9"), "has Python 3.9, expected 3.11, 3.12, 3.13"),
        (replace(GOOD, is_root=False), "may not sudo without a password"),
        (
            replace(GOOD, missing=("python3-venv",), has_packages=False),
            "its package server does not give python3-venv",
        ),
    ],
)
def test_a_host_that_is_not_fit_is_told_why(facts, told):
    (problem,) = judge(device(architecture="x86_64"), facts)

    assert told in problem


def test_all_problems_of_a_host_are_told_at_once():
    bad = replace(GOOD, free_bytes=0, clock_offset_s=7200.0, release="10")

    assert len(list(judge(device(), bad))) == 3
