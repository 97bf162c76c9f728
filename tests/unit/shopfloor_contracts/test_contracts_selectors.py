from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.errors import SelectorError
from shopfloor_contracts.selectors import parse_selector

LABELS = {"region": "emea", "format": "hyper", "site": "oslo"}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("", True),
        ("   ", True),
        ("region=emea", True),
        ("region==emea", True),
        ("region = apac", False),
        ("region!=apac", True),
        ("nothing!=apac", True),
        ("format in (hyper,super)", True),
        ("format in ( super )", False),
        ("format notin (hyper)", False),
        ("nothing notin (hyper)", True),
        ("region", True),
        ("nothing", False),
        ("!nothing", True),
        ("!region", False),
        ("region=emea,format in (hyper,super),!lab", True),
        ("region=emea,lab", False),
    ],
)
def test_a_query_matches_as_kubernetes_selectors_do(query, matches):
    assert parse_selector(query).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("region=", "character 8: found the end, expected a value"),
        ("=emea", "character 1: found '=', expected a label"),
        ("region emea", "character 8: found 'emea', expected ',' or the end"),
        ("a in b", "character 6: found 'b', expected '('"),
        ("a in (b", "found the end, expected ')'"),
        ("a in ()", "found ')', expected a value"),
        ("a,,b", "character 3: found ',', expected a label"),
        ("a;b", "found ';', expected ',' or the end"),
        ("-a", "expected a label"),
        ("a=" + "b" * 70, "expected a value"),
        ("a," * 600, "longer than 1000 characters"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(query, complaint):
    with pytest.raises(SelectorError) as caught:
        parse_selector(query)

    assert complaint in str(caught.value)


def test_an_unknown_label_is_told_with_the_nearest():
    selector = parse_selector("regoin=emea")

    assert selector.warnings(LABELS, matched=0) == [
        "no device has a label 'regoin'; did you mean 'region'?",
        "the query matches no device",
    ]
    assert parse_selector("region=emea").warnings(LABELS, matched=3) == []


@given(st.text(alphabet="ab=!(),.- innot\n\0ß", max_size=40))
def test_any_text_is_a_query_or_is_refused(text):
    try:
        selector = parse_selector(text)
    except SelectorError:
        return

    assert isinstance(selector.matches(LABELS), bool)


WORDS = st.from_regex(r"[a-z]{1,5}", fullmatch=True).filter(lambda w: w not in ("in", "notin"))


@given(st.dictionaries(WORDS, WORDS), WORDS, st.lists(WORDS, min_size=1))
def test_in_and_notin_are_opposites(labels, key, values):
    listed = ",".join(values)

    inside = parse_selector(f"{key} in ({listed})").matches(labels)
    outside = parse_selector(f"{key} notin ({listed})").matches(labels)

    assert inside is not outside
