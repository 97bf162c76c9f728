from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor_contracts.base import SLUG_PATTERN
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import Kind
from shopfloor_contracts.topics import ALL_EVENTS, EventTopic, ack_topic, parse_topic

slugs = st.from_regex(SLUG_PATTERN.replace("$", r"\Z"))


@given(slugs, slugs, st.sampled_from(Kind))
@settings(deadline=None)
def test_a_topic_reads_back_as_it_was_written(site, device, kind):
    topic = EventTopic(site, device, kind)

    assert parse_topic(str(topic)) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "/",
        "#",
        "shopfloor/v1",
        "shopfloor/v1/",
        "shopfloor/v1/#",
        "shopfloor/v1/+/+/traffic",
        "shopfloor/v1/a/#/traffic",
        "shopfloor/v1//till-1/traffic",
        "shopfloor/v1/store//traffic",
        "shopfloor/v1/store/till-1",
        "shopfloor/v1/store/till-1/traffic/",
        "shopfloor/v1/store/till-1/cloud/ack",
        "/shopfloor/v1/store/till-1/traffic",
        "shopfloor/v2/store/till-1/traffic",
        "shopfloor/v1/Store/till-1/traffic",
        "shopfloor/v1/store/../traffic",
        "shopfloor/v1/läden/till-1/traffic",
        "shopfloor/v1/١٢/till-1/traffic",
        "shopfloor/v1/store\n/till-1/traffic",
        "shopfloor/v1/store/till-1\n/traffic",
        "shopfloor/v1/store\x00/till-1/traffic",
        "$share/ingest/shopfloor/v1/store/till-1/traffic",
        "shopfloor/v1/" + "a" * 64 + "/till-1/traffic",
        "shopfloor/v1/" + "a/" * 30_000,
        "shopfloor/v1/store/till-1/" + "traffic" * 9_000 + "/",
    ],
)
def test_a_hostile_topic_is_rejected_in_one_short_line(topic):
    with pytest.raises(EventRejectedError) as caught:
        parse_topic(topic)

    assert caught.value.reason == "topic"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "kind", ["", "#", "+", "laughter", "Traffic", "traffic\n", "ü", "x" * 60_000]
)
def test_an_unknown_kind_is_rejected_as_an_unknown_type(kind):
    with pytest.raises(EventRejectedError) as caught:
        parse_topic(f"shopfloor/v1/store/till-1/{kind}")

    assert caught.value.reason == "unknown-type"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@given(st.text(max_size=100))
@settings(deadline=None)
def test_any_text_is_a_topic_or_is_rejected_with_a_reason(text):
    try:
        outcome = str(parse_topic(text))
    except EventRejectedError as e:
        outcome = e.reason

    assert outcome in (text, "topic", "unknown-type")


def test_the_subscription_to_events_does_not_match_acknowledgements():
    levels = ALL_EVENTS.split("/")

    assert len(str(EventTopic("store", "till-1", Kind.TRAFFIC)).split("/")) == len(levels)
    assert len(ack_topic("store", "till-1").split("/")) != len(levels)
