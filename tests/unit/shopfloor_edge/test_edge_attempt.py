"""What vision holds against a release that is tried, and how two models are compared."""

import pytest

from shopfloor_contracts.evidence import CountPair, Evidence, Phase
from shopfloor_contracts.site import parse_site
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater.evidence import add_up, disagreement
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.slots.domain import Attempt, Release, Step, advance, load, stage
from shopfloor_edge.vision.attempt import FAILURES_MIN, AttemptWatch
from shopfloor_edge.vision.pairs import CrossingPairs
from shopfloor_edge.vision.release import Releases, Running

SITE = parse_site(
    'site = "s1"\ndevice = "d1"\n[[cameras]]\nname = "door"\nuri = "x.avi"\n', source="test"
)
DIGEST = "a" * 64


@pytest.fixture
def releases(tmp_path):
    releases = Releases(tmp_path)
    attempt = Attempt(Release(UpdateKind.MODEL, DIGEST, 1, "model/m/1/t", "m", "1"), "1", 0, 9)
    releases.file.change(lambda slots: load(advance(stage(slots, attempt), Step.TRIAL)))
    return releases


@pytest.fixture
def watch(releases, tmp_path):
    trials = Trials(tmp_path)
    yield AttemptWatch(Running(SITE, None, releases.file.read()), releases, trials)
    trials.close()


def test_a_release_on_trial_that_cannot_look_at_frames_goes_back(watch, releases):
    for _ in range(FAILURES_MIN):
        watch.failed()

    slots = releases.file.read()

    assert slots.attempt is None
    assert DIGEST in slots.quarantine


def test_a_few_bad_frames_are_not_held_against_a_release(watch, releases):
    for _ in range(FAILURES_MIN - 1):
        watch.failed()

    assert releases.file.read().attempt is not None


def crossing(at_s, direction=Direction.IN):
    return Crossing("door", 1, direction, at_s)


def test_crossings_pair_one_to_one_within_a_second_and_a_half():
    pairs = CrossingPairs()
    pairs.add([crossing(1.0)], [], 1.0)
    pairs.add([], [crossing(2.0), crossing(2.1)], 2.1)
    pairs.add([crossing(5.0)], [crossing(5.0, Direction.OUT)], 5.0)
    pairs.add([], [], 9.0)

    sums = pairs.take()["door"]

    assert (sums.agreed, sums.only_old, sums.only_new) == (1, 1, 2)


def report(agreed, only_old, only_new=0):
    pair = CountPair(camera="c", line="l", agreed=agreed, only_old=only_old, only_new=only_new)
    at = "2026-01-01T00:00:00Z"
    return Evidence.model_validate(
        {"seq": 0, "phase": Phase.SHADOW, "digest": DIGEST, "began_at": at, "ended_at": at}
    ).model_copy(update={"counts": [pair]})


def test_three_crossings_decide_nothing():
    assert disagreement([report(0, 3)], 0.5) == ""


def test_a_model_that_misses_most_crossings_is_found_out():
    assert disagreement([report(2, 9), report(0, 9)], 0.5) == (
        "agrees on 2 of the active model's 20 crossings"
    )


def test_a_model_that_invents_crossings_is_found_out():
    assert "new model's" in disagreement([report(9, 0, 40)], 0.5)


def test_reports_add_up():
    (pair,) = add_up([report(1, 2), report(3, 4)]).counts

    assert (pair.agreed, pair.only_old) == (4, 6)
