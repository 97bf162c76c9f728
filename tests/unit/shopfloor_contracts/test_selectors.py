"""The label query that registry and campaigns share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.errors import SelectorError
from shopfloor_contracts.selectors import MAX_LENGTH, parse_selector

STORE = {"region": "emea", "format": "hyper"}
WORDS = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", True),
        ("region=emea,format in (hyper,super),!lab", True),
        ("region==emea", True),
        ("region = emea , format", True),
        ("region!=emea", False),
        ("region=apac", False),
        ("format notin (hyper, super)", False),
        ("size notin (a)", True),
        ("size!=a", True),
        ("lab", False),
        ("!format", False),
    ],
)
def test_a_device_is_meant_when_every_term_holds(text, meant):
    assert parse_selector(text).matches(STORE) is meant


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "=x",
        "a=",
        "a in ()",
        "a in (b",
        "a)",
        "a in b",
        ",",
        "a,",
        "a in ((b))",
        "a=b c",
        "ä",
    ],
)
def test_what_is_no_term_is_refused_by_name(text):
    with pytest.raises(SelectorError, match="selector"):
        parse_selector(text)


def test_a_query_too_long_is_refused_without_being_read():
    with pytest.raises(SelectorError, match="at most 1000"):
        parse_selector("a," * MAX_LENGTH)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        selector = parse_selector(text)
    except SelectorError:
        return

    assert selector.matches(STORE) in (True, False)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=4), st.dictionaries(WORDS, WORDS, max_size=3))
def test_notin_is_the_opposite_of_in(key, values, labels):
    listed = ",".join(values)

    inside = parse_selector(f"{key} in ({listed})").matches(labels)
    outside = parse_selector(f"{key} notin ({listed})").matches(labels)

    assert inside is not outside
