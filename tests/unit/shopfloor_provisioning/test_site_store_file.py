"""The file of a site: what is refused, and how it is said."""

from pathlib import Path, PurePosixPath

import pytest

from shopfloor_contracts.site import SiteFile, parse_site
from shopfloor_provisioning.compose import compose_all
from shopfloor_provisioning.errors import StoreFileError
from shopfloor_provisioning.job import Places
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.store import read_store

ROOT = Path(__file__).resolve().parents[3]
PLACES = Places(broker_host="mqtt.example.org", broker_port=8883)
STORE = """
site = "store-7"
time_zone = "Europe/Berlin"
[site_file]
window_s = 30
[[devices]]
name = "counter-1"
address = "192.0.2.7"
[[devices.cameras]]
name = "entrance"
uri = "rtsp://192.0.2.20/stream1"
username = "viewer"
password_secret = "ENTRANCE"
[[devices.cameras.lines]]
name = "door"
a = [0.5, 0.2]
b = [0.5, 0.8]
"""


def write(folder, text, name="store-7.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def composed(path, places=PLACES, root="/"):
    store = read_store(path)
    layouts = {device.name: Layout(PurePosixPath(root)) for device in store.devices}
    return compose_all(store, path, places, layouts)


def problems(folder, text):
    with pytest.raises(StoreFileError) as caught:
        composed(write(folder, text))
    return caught.value.problems


def test_the_demo_is_a_site_that_can_be_composed():
    found = composed(ROOT / "cloud/sites/demo.toml")

    assert [(c.site.site, c.site.device) for c in found.values()] == [("demo", "counter-1")]


def test_what_is_composed_is_read_by_the_device_as_it_was_meant(tmp_path):
    found = composed(write(tmp_path, STORE))["counter-1"]

    assert parse_site(found.text, source="site.toml") == found.site
    assert found.site.window_s == 30
    assert found.site.uplink.host == "mqtt.example.org"
    assert found.site.cameras[0].password_file == "/etc/shopfloor/secrets/entrance"


def test_all_problems_are_told_at_once_with_the_nearest_key(tmp_path):
    text = STORE.replace("time_zone", "timezone").replace('name = "door"', 'name = "Door 1"')

    found = problems(tmp_path, text)

    assert "unknown key 'timezone'; did you mean 'time_zone'?" in found
    assert any("lines[0].name is 'Door 1'" in problem for problem in found)


def test_a_zone_across_itself_is_refused_before_any_device_is_reached(tmp_path):
    zone = """
    [[devices.cameras.zones]]
    name = "queue"
    polygon = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
    """

    (problem,) = problems(tmp_path, STORE + zone)

    assert "polygon crosses itself" in problem


def test_a_rule_about_a_zone_that_is_not_there_names_the_device(tmp_path):
    rule = """
    [[devices.rules]]
    name = "crowded"
    camera = "entrance"
    metric = "people"
    zone = "till"
    above = 3
    """

    (problem,) = problems(tmp_path, STORE + rule)

    assert problem.startswith("devices.counter-1: ")
    assert "has no zone 'till'" in problem


@pytest.mark.parametrize(
    ("uri", "mended"),
    [
        ("rtsp://192.0.2.20/front door", "rtsp://192.0.2.20/front%20door"),
        ("rtsp://192.0.2.20/straße", "rtsp://192.0.2.20/stra%C3%9Fe"),
    ],
)
def test_an_address_with_a_space_or_an_umlaut_is_told_how_to_write(tmp_path, uri, mended):
    (problem,) = problems(tmp_path, STORE.replace("rtsp://192.0.2.20/stream1", uri))

    assert f"write it as '{mended}'" in problem


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path):
    text = STORE.replace("rtsp://192.0.2.20", "rtsp://viewer:hunter2@192.0.2.20")

    (problem,) = problems(tmp_path, text)

    assert "name it as password_secret" in problem
    assert "hunter2" not in problem


def test_two_files_of_one_site_are_refused(tmp_path):
    write(tmp_path, STORE, "copy.toml")

    (problem,) = problems(tmp_path, STORE)

    assert "site 'store-7' is named in copy.toml too" in problem


def test_two_devices_at_one_address_are_refused(tmp_path):
    other = STORE[STORE.index("[[devices]]") :].replace("counter-1", "counter-2")

    (problem,) = problems(tmp_path, STORE + other)

    assert "two devices are named 'ssh:192.0.2.7:22'" in problem


def test_what_has_a_place_of_its_own_is_not_taken_from_site_file(tmp_path):
    found = problems(tmp_path, STORE.replace("window_s = 30", 'device = "other"'))

    assert found == [
        "devices.counter-1: 'device' is not written in site_file, it has a place of its own"
    ]


def test_a_file_that_is_no_toml_is_one_line(tmp_path):
    (problem,) = problems(tmp_path, "site = ")

    assert problem.startswith("not TOML: ")


@pytest.mark.skipif(
    not {"identity", "console"} <= SiteFile.model_fields.keys(),
    reason="this version of the site file has no identity or no console",
)
def test_a_device_that_enrols_shows_its_own_certificate_to_broker_and_tablets(tmp_path):
    places = PLACES.model_copy(update={"identity_url": "https://identity.example.org"})

    site = composed(write(tmp_path, STORE), places)["counter-1"].site

    assert site.identity.folder == "/etc/shopfloor/identity"
    assert site.uplink.cert_file is None
    assert site.console.cert_file == "/etc/shopfloor/identity/device.crt"


def test_without_an_identity_service_the_certificate_is_named_for_the_broker(tmp_path):
    site = composed(write(tmp_path, STORE))["counter-1"].site

    assert site.uplink.cert_file == "/etc/shopfloor/identity/device.crt"
