"""What a reader may set, and one clear line for what cannot be."""

from __future__ import annotations

import pytest

from shopfloor_demo.errors import OperatorError
from shopfloor_demo.settings import OwnCamera, read_settings


def test_nothing_set_means_one_pass_of_the_clip():
    settings = read_settings({})

    assert settings.duration_s is None
    assert settings.own_camera is None


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan", "1e9"])
def test_a_duration_that_is_none_is_refused_by_name(text):
    with pytest.raises(OperatorError, match="DEMO_SECONDS is"):
        read_settings({"DEMO_SECONDS": text})


def test_an_address_is_taken_as_it_is():
    camera = read_settings({"CAMERA": "rtsp://10.0.0.9/s1"}).own_camera

    assert camera == OwnCamera("rtsp://10.0.0.9/s1", is_file=False)


@pytest.mark.parametrize("text", ["rtsp://", "http://10.0.0.9/s1", "/no/such/file.mp4"])
def test_a_camera_that_cannot_be_is_refused_by_name(text):
    with pytest.raises(OperatorError, match="CAMERA is"):
        read_settings({"CAMERA": text})


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()

    with pytest.raises(OperatorError, match="0 bytes are no video"):
        read_settings({"CAMERA": str(path)})


def test_a_file_becomes_an_absolute_path(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(bytes(200))
    monkeypatch.chdir(tmp_path)

    camera = read_settings({"CAMERA": "clip.mp4"}).own_camera

    assert camera == OwnCamera(str(tmp_path / "clip.mp4"), is_file=True)
