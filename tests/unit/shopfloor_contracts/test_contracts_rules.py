from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.polygons import crosses_itself
from shopfloor_contracts.site import CameraSpec, ZoneSpec, parse_site

SITE = """
site = "store-17"
device = "till-1"
time_zone = "Europe/Berlin"

[[cameras]]
name = "door"
uri = "clip.avi"
heat = true

[[cameras.lines]]
name = "exit"
a = [0.45, 0.24]
b = [0.45, 0.56]

[[cameras.zones]]
name = "tills"
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
analytics = ["occupancy", "queue"]

[[cameras.slots]]
name = "left"
box = [0.1, 0.2, 0.3, 0.8]
expects = "bottle"
"""


def rule(text, **changes):
    return f'{SITE}\n[[rules]]\nname = "watch"\ncamera = "door"\n{text}\n'


def problems_of(text):
    with pytest.raises(SiteFileError) as caught:
        parse_site(text, source="site.toml")

    return caught.value.problems


@pytest.mark.parametrize(
    "text",
    [
        'metric = "people"\nzone = "tills"\nabove = 20',
        'metric = "queue-length"\nzone = "tills"\nabove = 5\nclear = 3\nfor_s = 60',
        'metric = "queue-wait"\nzone = "tills"\nabove = 300',
        'metric = "restricted"\nzone = "tills"\nquiet = [{start = "08:00", end = "20:00"}]',
        'metric = "wrong-way"\nline = "exit"\ndirection = "in"',
        'metric = "wrong-way"\nzone = "tills"\nheading = [1, 0]',
        'metric = "slot-empty"\nslot = "left"\nfor_s = 600\nseverity = "critical"',
        'metric = "compliance"\nbelow = 0.8\nclear = 0.9',
    ],
)
def test_a_rule_of_each_metric_is_legal(text):
    site = parse_site(rule(text), source="site.toml")

    assert [found.name for found in site.rules] == ["watch"]
    assert (site.alerts.budget_per_hour, site.alerts.noisy_per_hour) == (30, 6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('metric = "people"\nabove = 2', "metric people wants zone, found none"),
        (
            'metric = "people"\nzone = "tills"\nline = "exit"\nabove = 2\ndirection = "in"',
            "metric people wants zone, found line, zone",
        ),
        ('metric = "people"\nzone = "tills"', "metric people wants above, found none"),
        (
            'metric = "people"\nzone = "tills"\nbelow = 2',
            "metric people wants above, found below",
        ),
        (
            'metric = "restricted"\nzone = "tills"\nabove = 2',
            "metric restricted wants no limit, found above",
        ),
        (
            'metric = "people"\nzone = "tills"\nabove = 2\nclear = 3',
            "clear is 3, which is not on the good side of the limit",
        ),
        ('metric = "compliance"\nbelow = 0.8\nclear = 0.5', "clear is 0.5, which is not"),
        (
            'metric = "compliance"\nslot = "left"\nbelow = 0.8',
            "metric compliance wants no zone, line or slot, found slot",
        ),
        ('metric = "wrong-way"\nline = "exit"', "direction and line belong together"),
        ('metric = "wrong-way"\nzone = "tills"', "heading belongs to metric wrong-way on a zone"),
        ('metric = "wrong-way"\nzone = "tills"\nheading = [0, 0]', "heading has no length"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(text, problem):
    [found] = problems_of(rule(text))

    assert found.startswith(f"rules[0]: rule 'watch': {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'metric = "people"\nzone = "till"\nabove = 2',
            "camera 'door' has no zone 'till'; did you mean 'tills'?",
        ),
        (
            'metric = "wrong-way"\nline = "entrance"\ndirection = "in"',
            "camera 'door' has no line 'entrance'",
        ),
        ('metric = "slot-empty"\nslot = "right"', "camera 'door' has no slot 'right'"),
        (
            'metric = "loitering"\nzone = "tills"\nabove = 60',
            "zone 'tills' does not compute 'dwell'",
        ),
    ],
)
def test_a_rule_about_what_does_not_exist_is_refused(text, problem):
    assert problems_of(rule(text)) == [f"file: rule 'watch': {problem}"]


def test_a_rule_on_an_unknown_camera_is_refused():
    text = rule('metric = "people"\nzone = "tills"\nabove = 2')

    [problem] = problems_of(text.replace('camera = "door"', 'camera = "doors"'))

    assert problem == "file: rule 'watch': no camera is named 'doors'; did you mean 'door'?"


def test_a_rule_about_a_shelf_wants_slots():
    text = rule('metric = "compliance"\nbelow = 0.8')

    [problem] = problems_of(
        text.replace("[[cameras.slots]]", "[[cameras.zones]]").replace(
            'box = [0.1, 0.2, 0.3, 0.8]\nexpects = "bottle"', "polygon = [[0, 0], [1, 0], [1, 1]]"
        )
    )

    assert problem == "file: rule 'watch': camera 'door' has no slots"


def test_two_rules_of_one_name_are_refused():
    text = 'metric = "slot-empty"\nslot = "left"'

    [problem] = problems_of(rule(text) + rule(text).removeprefix(SITE))

    assert problem == "file: two rules are named 'watch'"


@pytest.mark.parametrize(
    "quiet", ['{start = "22:00", end = "22:00"}', '{start = "24:00", end = "06:00"}']
)
def test_quiet_hours_are_a_stretch_of_a_day(quiet):
    [problem] = problems_of(rule(f'metric = "restricted"\nzone = "tills"\nquiet = [{quiet}]'))

    assert problem.startswith("rules[0].quiet[0]")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Europe/Berln", "; did you mean 'Europe/Berlin'?"), ("MEZ?", ", such as 'Europe/Berlin'")],
)
def test_an_unknown_time_zone_is_refused(name, hint):
    [problem] = problems_of(SITE.replace("Europe/Berlin", name))

    assert problem == f"time_zone: {name!r} is no time zone{hint}"


@pytest.mark.parametrize("fps", ["0", "1000", "-1"])
def test_a_rate_that_no_camera_has_is_refused(fps):
    [problem] = problems_of(SITE.replace("heat = true", f"fps = {fps}"))

    assert problem.startswith(f"cameras[0].fps is {fps}: ")


def test_a_zone_that_crosses_itself_is_refused():
    bow = "[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.7]]"

    [problem] = problems_of(SITE.replace("[[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]", bow))

    assert problem.startswith("cameras[0].zones[0].polygon: polygon crosses itself")


def test_a_zone_outside_the_picture_is_refused():
    [problem] = problems_of(SITE.replace("[0.9, 0.1], [0.9, 0.9]]", "[1.4, 0.1], [0.9, 0.9]]"))

    assert problem.startswith("cameras[0].zones[0].polygon[1][0] is 1.4: ")


@pytest.mark.parametrize("analytics", ['["dwel"]', '["dwell", "dwell"]'])
def test_an_analytic_is_one_of_three_and_named_once(analytics):
    [problem] = problems_of(SITE.replace('["occupancy", "queue"]', analytics))

    assert problem.startswith("cameras[0].zones[0].analytics")


def test_a_slot_without_area_is_refused_by_name():
    [problem] = problems_of(SITE.replace("[0.1, 0.2, 0.3, 0.8]", "[0.3, 0.2, 0.1, 0.8]"))

    assert problem.startswith("cameras[0].slots[0]: slot 'left' has no area")


def test_two_slots_of_one_name_are_refused():
    slot = '[[cameras.slots]]\nname = "left"\nbox = [0.5, 0.2, 0.7, 0.8]\nexpects = "cup"\n'

    assert problems_of(SITE + slot) == ["cameras[0]: two slots are named 'left'"]


def test_another_analytic_in_a_zone_leaves_its_figures_comparable():
    def camera(**more):
        zone = ZoneSpec(name="a", polygon=[(0, 0), (1, 0), (1, 1)], **more)
        return CameraSpec(name="c", uri="clip.avi", zones=[zone])

    assert camera().zone_version == camera(analytics=("dwell",)).zone_version


def test_a_slot_that_moves_is_another_zone_version():
    before, after = (
        parse_site(text, source="site.toml").cameras[0].zone_version
        for text in (SITE, SITE.replace("[0.1, 0.2,", "[0.15, 0.2,"))
    )

    assert before != after


corners = st.tuples(st.integers(0, 20), st.integers(0, 20))


@given(st.lists(corners, min_size=3, max_size=3, unique=True))
def test_a_triangle_never_crosses_itself(polygon):
    assert not crosses_itself(polygon)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))
def test_swapping_two_corners_of_a_rectangle_makes_it_cross_itself(width, height, x):
    rectangle = [(x, 0), (x + width, 0), (x + width, height), (x, height)]
    a, b, c, d = rectangle

    assert not crosses_itself(rectangle)
    assert crosses_itself([a, c, b, d])
    assert crosses_itself([a, b, d, c])


def test_a_corner_on_another_edge_crosses():
    assert crosses_itself([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)])
