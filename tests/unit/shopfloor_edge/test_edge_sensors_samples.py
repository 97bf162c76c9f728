"""Lines and messages from outside: samples, or one reason why not."""

from __future__ import annotations

import io

import pytest

from shopfloor_edge.errors import OperatorError
from shopfloor_edge.sensors.samples import (
    MAX_VALUES,
    SamplesRefusedError,
    read_message,
    read_stream,
)

NOW_S = 1_800_000_000.0


def stream(text, sensors=("a",)):
    return list(read_stream(io.StringIO(text), list(sensors)))


@pytest.mark.parametrize(
    ("payload", "at_s", "values"),
    [
        (b"21.5", NOW_S, [21.5]),
        (b'{"value": -3}', NOW_S, [-3.0]),
        (b'{"at": "2026-11-21T10:00:00Z", "values": [1, 2.5]}', 1795255200.0, [1.0, 2.5]),
    ],
)
def test_a_message_is_a_number_or_an_object(payload, at_s, values):
    samples = read_message(payload, sensor="a", now_s=NOW_S)

    assert (samples.sensor, samples.at_s, samples.values.tolist()) == ("a", at_s, values)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"hot", b"true", b"null", b"[1, 2]", b"{}", b'"21.5"', b"\xff\xfe", b"{" * 100_000,
        b'{"value": 1, "values": [1]}', b'{"value": "x"}', b'{"values": []}', b'{"value": NaN}',
        b'{"value": 1e999}', b'{"value": 1, "at": "yesterday"}', b'{"value": 1, "at": 9e99}',
        b'{"value": 1, "at": "9999-12-31T23:59:59Z"}', b'{"value": 1, "at": "2026-11-21T10:00:00"}',
        b'{"values": [' + b"1," * MAX_VALUES + b"1]}", b" " * 3_000_000,
    ],
    ids=range(20),
)  # fmt: skip
def test_what_is_no_message_is_refused_with_one_short_line(payload):
    with pytest.raises(SamplesRefusedError) as refused:
        read_message(payload, sensor="a", now_s=NOW_S)

    assert 0 < len(str(refused.value)) <= 120
    assert "\n" not in str(refused.value)


def test_csv_without_a_zone_is_utc():
    [samples] = stream("timestamp,value\n2026-11-21 10:00:00,21.5\n")

    assert (samples.at_s, samples.values.tolist()) == (1795255200.0, [21.5])


def test_lines_of_several_sensors_name_theirs():
    text = "sensor,timestamp,value\nb,2026-11-21T10:00:00Z,1\na,2026-11-21T10:00:00Z,2\n"

    assert [samples.sensor for samples in stream(text, ("a", "b"))] == ["b", "a"]


def test_a_bad_line_is_told_and_the_next_is_read():
    text = (
        "timestamp,value\n2026-11-21,1\nyesterday,1\n2026-11-21\n2026-11-21,hot\n"
        "0001-01-01,1\n2026-11-22,2\n"
    )

    kinds = [isinstance(found, SamplesRefusedError) for found in stream(text)]

    assert kinds == [False, True, True, True, True, False]


def test_json_lines_want_an_instant_and_a_sensor_that_is_known():
    text = (
        '{"at": "2026-11-21T10:00:00Z", "value": 1}\n{"value": 1}\n'
        '{"at": "2026-11-21T10:00:00Z", "sensor": "z", "value": 1}\nx\n'
    )

    kinds = [isinstance(found, SamplesRefusedError) for found in stream(text)]

    assert kinds == [False, True, True, True]


def test_a_file_of_something_else_is_refused_as_a_whole():
    with pytest.raises(OperatorError, match=r"first line is 'PK.*', expected JSON or the head"):
        stream("PK\x03\x04 zipped\n")


def test_an_empty_file_has_no_samples():
    assert all(isinstance(found, SamplesRefusedError) for found in stream(""))
    assert stream("timestamp,value\n") == []
