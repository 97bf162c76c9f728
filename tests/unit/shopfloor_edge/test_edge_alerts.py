from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shopfloor_contracts.alerts import AlertState
from shopfloor_contracts.rules import Severity
from shopfloor_contracts.site import parse_site
from shopfloor_edge.analytics.lines import Crossing, Direction
from shopfloor_edge.analytics.shelf import Objects
from shopfloor_edge.vision.alerts import CameraRules, FrameFacts, SiteAlerts
from shopfloor_edge.vision.figures import analytics_of

SIZE = (800, 600)
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SITE = """
site = "store-17"
device = "till-1"

[[cameras]]
name = "door"
uri = "clip.avi"

[[cameras.lines]]
name = "exit"
a = [0.45, 0.24]
b = [0.45, 0.56]

[[cameras.zones]]
name = "tills"
polygon = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
analytics = ["occupancy", "dwell", "queue"]

[[cameras.slots]]
name = "left"
box = [0.1, 0.1, 0.2, 0.3]
expects = "bottle"

[[rules]]
name = "watch"
camera = "door"
"""
INSIDE, OUTSIDE = (0.5, 0.5), (0.05, 0.5)
NOTHING = Objects(np.zeros((0, 4)), np.zeros(0), [])


class Device:
    """One camera under one rule, a frame every half second."""

    def __init__(self, rule, more=""):
        site = parse_site(SITE + rule + "\n" + more, source="site.toml")
        [spec] = site.cameras
        self.rules = CameraRules(site.rules, spec)
        self.analytics = analytics_of(spec, ruled=self.rules.zones)
        self.alerts = SiteAlerts(site)
        self.frames = 0
        self.said = []

    def show(self, *places, frames=1, crossings=(), products=NOTHING):
        for _ in range(frames):
            at_s = self.frames / 2
            self.frames += 1
            facts = FrameFacts(
                ids=np.arange(len(places)) + 1,
                points=np.array(places).reshape(-1, 2) * SIZE,
                size=SIZE,
                at_s=at_s,
                counts={"tills": sum(place is INSIDE for place in places)},
                crossings=crossings,
            )
            self.analytics.people(facts.ids, facts.points, size=SIZE, at_s=at_s)
            self.analytics.products(products, NOTHING, size=SIZE, at_s=at_s)
            read = self.rules.read(facts, self.analytics)
            self.said += self.alerts.update(NOON + timedelta(seconds=at_s), read)
        return self

    @property
    def states(self):
        return [(str(alert.state), alert.value) for alert in self.said]


def test_too_many_people():
    device = Device('metric = "people"\nzone = "tills"\nabove = 1')

    device.show(INSIDE).show(INSIDE, INSIDE).show(INSIDE)

    assert device.states == [("raised", 2.0), ("cleared", 1.0)]


def test_a_queue_that_is_too_long_for_a_while():
    device = Device('metric = "queue-length"\nzone = "tills"\nabove = 1\nfor_s = 2\nclear = 0')

    device.show(INSIDE, INSIDE, frames=4).show(OUTSIDE, INSIDE).show(INSIDE, INSIDE, frames=5)
    device.show(OUTSIDE, INSIDE).show(OUTSIDE, OUTSIDE)

    assert device.states == [("raised", 2.0), ("cleared", 0.0)]


def test_somebody_waits_too_long():
    device = Device('metric = "queue-wait"\nzone = "tills"\nabove = 5')

    device.show(INSIDE, frames=12)

    assert device.states == [("raised", 5.5)]


def test_somebody_loiters_once():
    device = Device('metric = "loitering"\nzone = "tills"\nabove = 5\ncooldown_s = 0')

    device.show(INSIDE, OUTSIDE, frames=40)

    [alert] = device.said
    assert (alert.track, alert.value, alert.about, alert.threshold) == (1, 5.5, "tills", 5.0)


def test_somebody_is_where_nobody_should_be():
    device = Device('metric = "restricted"\nzone = "tills"\nseverity = "critical"')

    device.show(OUTSIDE, frames=5).show(INSIDE, frames=5)

    [alert] = device.said
    assert (alert.state, alert.severity) == (AlertState.RAISED, Severity.CRITICAL)


def test_a_restricted_zone_is_followed_though_nothing_is_computed_in_it():
    rule = 'metric = "restricted"\nzone = "tills"'
    site = parse_site((SITE + rule).replace('["occupancy", "dwell", "queue"]', "[]"), source="x")

    rules = CameraRules(site.rules, site.cameras[0])

    assert list(analytics_of(site.cameras[0], ruled=rules.zones).visits) == ["tills"]
    assert analytics_of(site.cameras[0], ruled=rules.zones).factories().keys() == {"slot/left"}


@pytest.mark.parametrize(("direction", "raised"), [(Direction.IN, 1), (Direction.OUT, 0)])
def test_the_wrong_way_over_a_line(direction, raised):
    device = Device('metric = "wrong-way"\nline = "exit"\ndirection = "in"')

    device.show(INSIDE, crossings=[Crossing("exit", 1, direction, 0.0)])

    assert len(device.said) == raised


def test_the_wrong_way_through_a_zone():
    device = Device('metric = "wrong-way"\nzone = "tills"\nheading = [1, 0]')
    for step in range(10):
        device.show((0.7 - 0.03 * step, 0.5))

    assert [alert.track for alert in device.said] == [1]


def test_an_empty_slot_and_its_return():
    device = Device('metric = "slot-empty"\nslot = "left"\nfor_s = 3')
    bottle = Objects(np.array([[80.0, 60.0, 160.0, 180.0]]), np.array([0.9]), ["bottle"])

    device.show(products=bottle, frames=4).show(frames=12).show(products=bottle, frames=6)

    assert device.states == [("raised", 1.0), ("cleared", 0.0)]
    assert len({alert.alert_id for alert in device.said}) == 1


def test_a_shelf_below_its_planogram():
    device = Device('metric = "compliance"\nbelow = 0.8')

    device.show(frames=4)

    assert device.states == [("raised", 0.0)]


def test_two_alerts_of_one_rule_have_their_own_identity():
    device = Device('metric = "people"\nzone = "tills"\nabove = 0\ncooldown_s = 0')

    device.show(INSIDE).show(OUTSIDE).show(INSIDE).show(OUTSIDE)

    first, cleared, second, _ = (alert.alert_id for alert in device.said)
    assert first == cleared != second


def test_the_sites_budget_and_noise_limit_hold():
    rule = 'metric = "people"\nzone = "tills"\nabove = 0\ncooldown_s = 0'
    device = Device(rule, "[alerts]\nbudget_per_hour = 5\nnoisy_per_hour = 2")
    for _ in range(20):
        device.show(INSIDE).show(OUTSIDE)

    states = [str(alert.state) for alert in device.said]
    assert states.count("raised") + states.count("noisy") == 5
    assert states.count("noisy") == 1
    assert device.alerts.noisy() == ["watch"]


def site_of(more=""):
    return parse_site(SITE + 'metric = "people"\nzone = "tills"\nabove = 2\n' + more, source="s")


def told(alerts, fault, *, seconds):
    """Describe the camera twice a second; return what was said."""
    said = []
    for half in range(seconds * 2 + 1):
        now = told.now = told.now + timedelta(seconds=0.5) if half else told.now
        said += alerts.camera(now, "door", fault)
    return said


def test_a_camera_that_stays_away_is_an_alert_without_any_rule():
    alerts, told.now = SiteAlerts(site_of()), NOON

    short = told(alerts, "no frame for 3 s", seconds=20) + told(alerts, "", seconds=5)
    said = told(alerts, "the lens is covered", seconds=40)
    back = told(alerts, "", seconds=1)

    assert short == []
    [raised] = said
    assert (raised.rule, raised.metric, raised.state) == ("camera-door", "camera", "raised")
    assert raised.note == "the lens is covered"
    assert raised.severity is Severity.WARNING
    assert [alert.state for alert in back] == [AlertState.CLEARED]
    assert back[0].alert_id == raised.alert_id


def test_a_site_may_have_its_own_rule_for_a_camera_or_none():
    own = site_of('[[rules]]\nname = "eye"\ncamera = "door"\nmetric = "camera"\nfor_s = 5\n')
    none = site_of("[alerts]\ncameras = false\n")

    told.now = NOON
    by_own = told(SiteAlerts(own), "absent", seconds=10)

    assert [alert.rule for alert in by_own] == ["eye"]
    assert told(SiteAlerts(none), "absent", seconds=60) == []
