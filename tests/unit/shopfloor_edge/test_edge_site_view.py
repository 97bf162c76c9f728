from shopfloor_contracts.site import parse_site
from shopfloor_edge.site_view import describe_site

SITE = """
site = "s"
device = "d"
[[cameras]]
name = "door"
uri = "x.avi"
heat = true
lines = [{name = "exit", a = [0.4, 0.2], b = [0.4, 0.6]}]
zones = [{name = "tills", polygon = [[0, 0], [1, 0], [1, 1]], analytics = ["queue"]}]
slots = [{name = "left", box = [0.1, 0.1, 0.2, 0.3], expects = "bottle"}]
[[cameras]]
name = "yard"
uri = "y.avi"
[[rules]]
name = "long-queue"
camera = "door"
metric = "queue-length"
zone = "tills"
above = 4
for_s = 60
[[rules]]
name = "one-way"
camera = "door"
metric = "wrong-way"
line = "exit"
direction = "in"
severity = "info"
"""


def test_everything_that_the_file_asks_for_is_said():
    lines = describe_site(parse_site(SITE, source="site.toml"))

    assert lines == [
        "door: line exit, zone tills (queue), slot left (bottle), heat map",
        "yard: nothing is counted",
        "rule long-queue (warning): queue-length of door/tills above 4 for 60 s",
        "rule one-way (info): wrong-way of door/exit, in",
    ]
