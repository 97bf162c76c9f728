"""``shopfloorctl campaigns enrol`` and ``applications pack``, as an operator types them."""

import json

import pytest

from fakes.applications import wheel
from fakes.campaign_devices import Cloud
from shopfloor_contracts.wheelsets import verify_wheel_set
from shopfloor_ctl.main import main
from shopfloor_ctl.profile import Profile, Service, write_profile
from shopfloor_kit.tokens import Role


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db")
    profile = Profile({"campaigns": Service(cloud.url, cloud.tokens[Role.OPERATOR])})
    write_profile(tmp_path / "ctl.json", profile)
    yield cloud
    cloud.close()


def enrol(folder, *lines):
    (folder / "devices.jsonl").write_text("".join(f"{line}\n" for line in lines))
    command = ["campaigns", "enrol", str(folder / "devices.jsonl"), "--json"]
    command += ["--tokens", str(folder / "tokens"), "--profile", str(folder / "ctl.json")]
    return main(command)


OSLO = '{"site": "oslo", "device": "door", "labels": {"region": "emea"}, "hardware": "rpi5"}'
BERGEN = '{"site": "bergen", "device": "door", "time_zone": "Europe/Oslo"}'


def test_devices_are_made_known_and_each_new_one_has_its_token_in_a_file(cloud, tmp_path, capsys):
    code = enrol(tmp_path, OSLO, BERGEN)

    assert code == 0
    assert json.loads(capsys.readouterr().out) == {"devices": 2, "tokens": 2}
    token = tmp_path / "tokens/oslo.door.token"
    assert token.stat().st_mode & 0o777 == 0o600
    poll = cloud.client.get(
        "/default/controller/v1/oslo.door",
        headers={"authorization": f"TargetToken {token.read_text().strip()}"},
    )
    assert poll.status_code == 200
    known = {one["name"]: one for one in cloud.ask("GET", "/devices").json()["devices"]}
    assert known["oslo.door"]["labels"] == {"region": "emea"}
    assert known["bergen.door"]["time_zone"] == "Europe/Oslo"


def test_a_known_device_keeps_its_token(cloud, tmp_path, capsys):
    enrol(tmp_path, OSLO)
    before = (tmp_path / "tokens/oslo.door.token").read_text()
    capsys.readouterr()

    code = enrol(tmp_path, OSLO.replace("emea", "apac"))

    assert (code, json.loads(capsys.readouterr().out)) == (0, {"devices": 1, "tokens": 0})
    assert (tmp_path / "tokens/oslo.door.token").read_text() == before


def test_a_line_that_is_no_device_is_told_and_nothing_is_made(cloud, tmp_path, capsys):
    code = enrol(tmp_path, OSLO, '{"site": "oslo"}')

    assert code == 2
    assert "line 2: expected an object with site and device" in capsys.readouterr().err
    assert cloud.ask("GET", "/devices").json()["devices"] == []


def test_a_folder_of_wheels_is_packed(tmp_path, capsys):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("b", "a"):
        wheel(wheels, name, {f"{name}.py": b""})
    command = ["applications", "pack", str(wheels), "--version", "2.0", "--machine", "aarch64"]

    code = main([*command, "--out", str(tmp_path / "out.tar"), "--json"])

    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == "wheels/shopfloor-edge/2.0/aarch64-cp311"
    packed = verify_wheel_set(tmp_path / "out.tar")
    assert [one.file[0] for one in packed.manifest.wheels] == ["a", "b"]


def test_a_folder_without_wheels_is_told_in_one_line(tmp_path, capsys):
    command = ["applications", "pack", str(tmp_path), "--version", "2", "--machine", "aarch64"]

    code = main([*command, "--out", str(tmp_path / "out.tar")])

    assert code == 2
    assert capsys.readouterr().err == f"shopfloorctl: {tmp_path}: holds no wheels\n"
