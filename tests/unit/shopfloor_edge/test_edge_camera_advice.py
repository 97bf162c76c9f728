import dataclasses

import pytest

from shopfloor_edge.commissioning.advice import advise
from shopfloor_edge.commissioning.survey import StreamFacts

GOOD = StreamFacts(
    codec="H.264",
    profile="main",
    width_px=1280,
    height_px=720,
    fps=10.0,
    announced_fps=10.0,
    key_frame_interval_s=2.0,
    key_frames=4,
    bitrate_kbps=900.0,
    decoder="avdec_h264",
    fallback="",
    decode_ms=4.0,
    decode_cores=0.04,
    clock_offset_s=0.1,
    watched_s=8.0,
)


def test_a_well_set_camera_needs_no_change():
    assert advise(GOOD) == []
    assert advise(dataclasses.replace(GOOD, announced_fps=None, clock_offset_s=None)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key_frame_interval_s": 10.0}, "key frame every 10 s: set 2 s"),
        ({"key_frame_interval_s": None, "key_frames": 1}, "fewer than two key frames in 8 s"),
        ({"width_px": 1920, "height_px": 1080}, "1920 x 1080 for inference: use the sub-stream"),
        ({"fps": 25.0, "announced_fps": 25.0}, "25 frames/s: 10 to 15 are enough"),
        ({"fps": 6.0}, "6 frames/s come of 10 announced"),
        ({"codec": "H.265", "decoder": "avdec_h265"}, "H.265 without a hardware decoder"),
        ({"fallback": "jetson: nvvidconv is not installed"}, "decoded in software: jetson"),
        ({"decode_cores": 0.8}, "decoding takes 0.80 cores"),
        ({"clock_offset_s": 3600.0}, "its clock is 3600.0 s ahead of this device's"),
        ({"clock_offset_s": -7.0}, "7.0 s behind"),
        ({"codec": "MJPEG", "bitrate_kbps": 9000.0}, "MJPEG takes 9.0 Mbit/s"),
    ],
)
def test_each_fault_has_one_sentence_that_says_what_to_set(change, words):
    sentences = advise(dataclasses.replace(GOOD, **change))

    assert len(sentences) == 1
    assert words in sentences[0]


def test_h265_on_its_hardware_decoder_is_fine():
    assert advise(dataclasses.replace(GOOD, codec="H.265", decoder="vah265dec")) == []
