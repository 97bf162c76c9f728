"""What the process remembers is what its database says."""

from fakes.campaign_devices import plan
from shopfloor_campaigns.adapters.sums import WaveSums


def test_a_changed_token_ends_the_one_before_at_once(cloud):
    (device,) = cloud.add(1)
    assert device.request("GET").status_code == 200

    changed = {"name": device.name, "labels": {}, "token": "n" * 32}
    cloud.ask("POST", "/devices", json={"devices": [changed]})

    assert device.request("GET").status_code == 401
    device.token = "n" * 32
    assert device.request("GET").status_code == 200


def test_a_poll_tells_of_an_action_as_soon_as_it_is_made_and_no_longer_when_it_has_ended(cloud):
    (device,) = cloud.add(1)
    assert device.links() == {}

    cloud.create(plan(waves=["100%"]))
    cloud.ordered("nano-2", "approve", "start")

    assert set(device.links()) == {"deploymentBase"}
    device.install()
    assert device.links() == {}


def test_sums_kept_report_by_report_are_those_of_the_database(cloud):
    devices = cloud.add(3)
    cloud.create(plan(waves=["100%"]))
    cloud.ordered("nano-2", "approve", "start")
    key = ("nano-2", 0, 1)
    for number, device in enumerate(devices):
        action = device.action()
        device.report(action, counts=(90, number, 2))
        cloud.settle()
        device.report(action, counts=(40, 3, number), crashes=1)
        device.report(action, counts=(0, 0, 0))

    with cloud.engine.connect() as connection:
        kept = cloud.service.memory.sums.figures(connection, key)
        read = WaveSums().figures(connection, key)

    assert kept == read
    assert (kept.agreed, kept.crashes, kept.clusters.devices) == (390, 3, 3)
