import pytest

from shopfloor_edge.cameras.address import CameraAddress
from shopfloor_edge.cameras.templates import (
    PLATFORMS,
    SOFTWARE,
    choose_platform,
    pipeline_for,
)
from shopfloor_edge.errors import SourceUnusableError


def installed(*names):
    return lambda name: name in names


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_a_platform_is_used_where_its_elements_are(platform):
    choice = choose_platform(installed(*platform.needs))

    assert choice.platform is platform
    assert choice.fallback == ""


def test_half_a_platform_falls_back_and_says_what_is_missing():
    choice = choose_platform(installed("nvv4l2decoder"))

    assert choice.platform is SOFTWARE
    assert choice.fallback == "jetson: nvvidconv is not installed"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_transport_reaches_rtspsrc(transport):
    address = CameraAddress("rtsp://cam/1", transport=transport)

    assert f"protocols={transport} " in pipeline_for(address, SOFTWARE)


def test_no_address_or_log_in_is_in_the_pipelines_text():
    address = CameraAddress("rtsp://cam/1?token=abc", "user", "secret")

    text = pipeline_for(address, SOFTWARE)

    assert not {"cam/1", "abc", "user", "secret"} & set(text.split())
    assert "secret" not in text


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
@pytest.mark.parametrize(
    "uri", ["rtsp://c/1", "http://c/1", "/dev/video0", "a.mp4"], ids=["rtsp", "http", "usb", "file"]
)
def test_every_pipeline_sheds_only_behind_the_decoder(platform, uri):
    text = pipeline_for(CameraAddress(uri), platform)

    elements = text.split(" ! ")
    assert "leaky" not in text
    assert elements[-1].startswith("appsink name=sink")
    assert ("drop=false" in elements[-1]) == (uri == "a.mp4")
    assert sum("drop=true" in element for element in elements[:-1]) == 0


def test_a_csi_camera_is_taken_by_its_number():
    jetson = PLATFORMS[0]

    text = pipeline_for(CameraAddress("csi://1"), jetson)

    assert "nvarguscamerasrc name=source sensor-id=1 " in text


@pytest.mark.parametrize(
    ("uri", "platform", "words"),
    [
        ("csi://left", SOFTWARE, "expected a sensor's number"),
        ("csi://0", PLATFORMS[1], "intel-va has no camera connector"),
    ],
)
def test_a_csi_camera_that_cannot_be_is_refused(uri, platform, words):
    with pytest.raises(SourceUnusableError, match=words):
        pipeline_for(CameraAddress(uri), platform)
