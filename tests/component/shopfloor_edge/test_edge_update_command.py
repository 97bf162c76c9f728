"""``shopfloor-edge update`` from a folder: the same verification as over the network."""

import json

import pytest

from fakes.ota import TufRepository, bundle, custom, light_model, write_site
from shopfloor_edge.main import main

TARGET = "model/person-nano/1.0.0/onnx-fp32"


def prepared(tmp_path):
    repository = TufRepository(tmp_path / "usb")
    digest = repository.publish(TARGET, bundle(light_model()), custom())
    (tmp_path / "root.json").write_bytes(repository.root)
    address = "http://127.0.0.1:9"
    site = write_site(
        tmp_path / "site.toml", camera="x.avi", cloud=address, root=tmp_path / "root.json"
    )
    common = ["--site", str(site), "--state", str(tmp_path / "state"), "--json"]
    return repository, digest, ["update", "--from", str(repository.folder), *common]


def test_a_signed_bundle_of_a_folder_is_staged(tmp_path, capsys):
    _, digest, command = prepared(tmp_path)

    code = main(command)

    attempt = json.loads(capsys.readouterr().out)["attempt"]
    assert code == 0
    assert (attempt["release"]["digest"], attempt["step"]) == (digest, "staged")


@pytest.mark.attack("a bundle changed on a USB stick")
def test_a_changed_bundle_of_a_folder_is_refused(tmp_path, capsys):
    repository, digest, command = prepared(tmp_path)
    place = repository.place(TARGET, digest)
    place.write_bytes(place.read_bytes()[:-1] + b"x")

    code = main(command)

    assert code == 1
    assert "not what is signed" in capsys.readouterr().err


def test_going_back_without_an_update_is_refused(tmp_path, capsys):
    code = main(["update", "rollback", "--state", str(tmp_path)])

    assert code == 2
    assert "no model was installed after provisioning" in capsys.readouterr().err
