"""Every statement of the documents follows the settings: each test changes one, and looks."""

import html
import json
import re
from datetime import date

import pytest

from shopfloor_contracts.site import parse_site
from shopfloor_edge.journal import alerts, history
from shopfloor_edge.vision import footsteps
from shopfloor_ingest.settings import Settings
from shopfloor_provisioning.privacy import facts
from shopfloor_provisioning.privacy.app import main
from shopfloor_provisioning.privacy.documents import Controller, write_privacy
from shopfloor_provisioning.privacy.notice_texts import _TEXTS

TODAY = date(2026, 11, 21)
CAMERA = """
[[cameras]]
name = "entrance"
uri = "rtsp://viewer:sesame@10.0.0.7/secret-path"
lines = [{ name = "door", a = [0.45, 0.24], b = [0.45, 0.56] }]

[[cameras.zones]]
name = "tills"
polygon = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]
analytics = ["occupancy", "queue"]
"""
TLS = 'ca_file = "/c"\ncert_file = "/d"\nkey_file = "/e"\n'
NTFY = """
[[notify.targets]]
name = "phones"
kind = "ntfy"
hosts = ["ntfy.example.org"]
url_file = "/etc/secret-token-file"
"""


def site(settings="", device="door", camera=CAMERA):
    head = f'site = "berlin-1"\ndevice = "{device}"\n'
    return parse_site(head + settings + camera, source="test")


@pytest.fixture
def written(tmp_path):
    def write(*sites, **more):
        written = write_privacy(sites, tmp_path, today=TODAY, **more)
        return written, {path.name: _text(path) for path in written.files}

    return write


def _text(path):
    text = re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_a_site_that_keeps_nothing_says_so_at_the_door_and_in_the_record(written):
    _, texts = written(site())

    assert "No video is stored." in texts["notice-en.html"]
    assert "Es wird kein Video gespeichert." in texts["notice-de.html"]
    assert "device door no clip, no video" in texts["record.html"]
    assert "find STATE -name '*.webp' # finds nothing" in texts["record.html"]
    assert "nobody gets any" in texts["record.html"]


def test_evidence_changes_notice_record_and_check(written):
    _, texts = written(site("[evidence]\nenabled = true\nkeep_days = 3\nbefore_s = 4\n"))

    assert "No video is stored" not in texts["notice-en.html"]
    assert "are kept in this building, at most 3 days." in texts["notice-en.html"]
    assert "höchstens 3 Tage" in texts["notice-de.html"]
    assert "masked clips of 9 s, when a rule fires 3 days, or 500 MB" in texts["record.html"]
    assert "find STATE/evidence -type f -mtime +3 # finds nothing" in texts["record.html"]
    assert "STATE/audits" not in texts["record.html"]


def test_audits_are_clips_too_and_the_longest_retention_is_at_the_door(written):
    settings = (
        "[evidence]\nenabled = true\nkeep_days = 3\n[audits]\nenabled = true\nkeep_days = 20\n"
    )

    _, texts = written(site(settings))

    assert "at most 20 days." in texts["notice-en.html"]
    assert "drawn by lot, 48 a day and camera 20 days" in texts["record.html"]
    assert "clips in audits/ are kept 20 days: say why so long" in texts["record.html"]
    assert "clips in evidence/ are kept" not in texts["record.html"]


def test_each_target_of_notices_is_listed_and_weighed(written):
    _, without = written(site())
    _, texts = written(site(NTFY))

    assert "ntfy.example.org" not in without["record.html"]
    assert "ntfy.example.org notices by ntfy (phones) words: rule, camera" in texts["record.html"]
    assert "notices by ntfy (phones) go to ntfy.example.org: who runs it" in texts["record.html"]
    assert "Staff get alerts in words" in texts["notice-en.html"]
    assert "Staff get alerts in words" not in without["notice-en.html"]


def test_every_host_of_the_site_file_is_in_the_record(written):
    settings = f"""
[uplink]
host = "broker.example.org"
port = 8883
{TLS}
[updates]
root_file = "/r"
registry_url = "https://registry.example.org:8443/tuf"
campaigns_url = "https://campaigns.example.org"
[notify.web_push]
key_file = "/k"
contact = "mailto:it@example.org"
hosts = ["push.example.org"]
[notify.home_assistant]
host = "home.example.org"
ca_file = "/c"
"""
    _, texts = written(site(settings))

    for host in (
        *("broker.example.org:8883", "registry.example.org:8443", "campaigns.example.org"),
        *("push.example.org", "home.example.org:1883"),
    ):
        assert host in texts["record.html"]
    assert "TLS, certificate of this device" in texts["record.html"]
    assert "browsers that asked for notices" in texts["record.html"]


def test_no_host_of_the_site_file_is_left_out_also_of_sections_that_come_later():
    sections = {
        "identity": {"url": "https://identity.example.org:8092/v1", "key_file": "/k"},
        "weather": {"host": "weather.example.org"},
        "uplink": {"host": "told-elsewhere.example.org"},
        "window_s": 60,
    }

    found = {place.host: place for place in facts._others(sections)}

    assert set(found) == {"identity.example.org:8092", "weather.example.org"}
    assert found["identity.example.org:8092"].protection == "TLS"
    assert found["weather.example.org"].purpose == "[weather] host"


def test_a_rule_about_one_person_is_at_the_door_and_has_to_be_justified(written):
    rule = '\n[[rules]]\nname = "back-room"\ncamera = "entrance"\nzone = "tills"\n'
    rule += 'metric = "restricted"\n'

    _, without = written(site())
    _, texts = written(site(camera=CAMERA + rule))

    assert "No rule fires on what one person does." in without["record.html"]
    assert "closed area" not in without["notice-en.html"]
    assert "closed area" in texts["notice-en.html"]
    assert "the rule back-room fires on what one person does" in texts["record.html"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[uplink]\nbatch_s = 60\n", "at most about 1,090,000 bytes"),
        ("heat_s = 900\n[uplink]\nbatch_s = 700\n", "at most about 263,000 bytes"),
        ("[uplink]\nbatch_s = 0\n", "each event goes alone; how much that is, was not measured"),
        ("[uplink]\nbudget_bytes_per_day = 2000000\n", "Bounded to 2,000,000 bytes a day"),
    ],
)
def test_bytes_that_leave_are_the_measured_ones_of_the_setting(written, settings, said):
    _, texts = written(site(settings))

    assert said in texts["record.html"]


def test_several_devices_are_one_record_and_their_cameras_are_counted_together(written):
    _, texts = written(
        site(), site(device="hall"), controller=Controller("Shop GmbH", "x@y.example")
    )

    assert "the pictures of 2 cameras" in texts["notice-en.html"]
    assert "Device hall" in texts["record.html"]
    assert "Shop GmbH" in texts["notice-de.html"]
    assert "to be filled in" not in texts["notice-en.html"]


def test_no_address_of_a_camera_and_no_secrets_place_is_in_a_document(written, tmp_path):
    written(site(NTFY))

    for path in tmp_path.iterdir():
        for hidden in ("sesame", "10.0.0.7", "secret"):
            assert hidden not in path.read_text()


def test_it_says_that_it_is_no_legal_advice_and_what_a_signature_is_about(written):
    done, texts = written(site())

    assert "It is no legal advice" in texts["record.html"]
    assert f"It holds for the settings {done.digest}" in texts["record.html"]
    assert texts["notice-en.html"].endswith(done.digest)


def test_the_same_settings_are_signed_once_and_others_void_the_signature(written):
    first, _ = written(site())
    again, _ = written(site())
    other, _ = written(site("[evidence]\nenabled = true\n"))

    assert (again.digest, again.changed) == (first.digest, [])
    assert other.digest != first.digest
    assert other.changed == ["devices.door.clips"]


def test_what_a_controller_writes_cannot_become_markup(tmp_path):
    write_privacy([site()], tmp_path, today=TODAY, controller=Controller("<script>x</script>", ""))

    assert "<script>" not in (tmp_path / "notice-en.html").read_text()


def test_figures_that_are_stated_are_those_of_the_code():
    ingest = Settings()

    assert (facts.ALERT_DAYS, facts.HISTORY_DAYS) == (alerts.KEPT_DAYS, history.KEPT_DAYS)
    assert facts.TRACK_MINUTES * 60 == footsteps.KEEP_S
    kept = (ingest.keep_events_days, ingest.keep_minutes_days)
    assert kept == (facts.CLOUD_EVENT_DAYS, facts.CLOUD_MINUTE_DAYS)


def test_both_languages_say_the_same_things():
    assert _TEXTS["en"].keys() == _TEXTS["de"].keys()


def test_the_command_says_where_and_what_has_changed(tmp_path, capsys):
    file = tmp_path / "site.toml"
    file.write_text('site = "a"\ndevice = "b"\n' + CAMERA)
    main([str(file), "--into", str(tmp_path / "out")])
    file.write_text('site = "a"\ndevice = "b"\n' + NTFY + CAMERA)
    capsys.readouterr()

    assert main([str(file), "--into", str(tmp_path / "out")]) == 0

    said = capsys.readouterr().out
    assert "record.html" in said
    assert "changed since the last documents: devices.b.destinations" in said
    assert "have it signed again" in said
    assert json.loads((tmp_path / "out/privacy.json").read_text())["digest"] in said


@pytest.mark.parametrize("text", ["", 'site = "a"\n', "nonsense"])
def test_a_site_file_that_cannot_be_read_is_one_line(tmp_path, capsys, text):
    file = tmp_path / "site.toml"
    file.write_text(text)

    assert main([str(file), "--into", str(tmp_path / "out")]) == 2

    assert capsys.readouterr().err.startswith("privacy: ")
    assert not (tmp_path / "out").exists()
