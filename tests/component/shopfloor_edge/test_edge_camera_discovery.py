"""WS-Discovery against a device that really answers, on loopback."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.onvif import ANSWER, GROUP, SCOPES, onvif_device
from shopfloor_edge.cameras.discovery import FoundCamera, discover, parse_answer
from shopfloor_edge.errors import SourceLostError

ID = uuid.UUID(int=7)
FRONT_DOOR = FoundCamera(
    "192.0.2.7", "http://192.0.2.7/onvif/device_service", "Front door", "DS-2CD2", "hall"
)


def answer(*, relates=f"uuid:{ID}", scopes=SCOPES, addresses="http://192.0.2.7/onvif"):
    return ANSWER.format(relates=relates, scopes=scopes, addresses=addresses).encode()


def test_a_device_that_answers_a_multicast_probe_is_found_once():
    with onvif_device(multicast=True, copies=3) as device:
        found = discover(timeout_s=0.8, target=(GROUP, device.port), interface="127.0.0.1")

    assert found == [FRONT_DOOR]
    assert len(device.probes) == 2


def test_rubbish_beside_the_answer_does_not_hide_it():
    noise = (b"", b"\xff\xfe rubbish", b"<a/>", answer(relates="uuid:of-somebody-else"))
    with onvif_device(noise=noise) as device:
        found = discover(timeout_s=0.6, target=("127.0.0.1", device.port))

    assert found == [FRONT_DOOR]


def test_nobody_is_an_empty_list():
    with onvif_device(answers=False) as device:
        assert discover(timeout_s=0.4, target=("127.0.0.1", device.port)) == []


def test_a_network_that_cannot_be_asked_is_said():
    with pytest.raises(SourceLostError, match="cannot be asked"):
        discover(timeout_s=0.1, interface="192.0.2.99")


def test_an_answer_that_declares_entities_is_not_read():
    bomb = answer().replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "aaaa">]>', 1)

    assert parse_answer(answer(), ID) != []
    assert parse_answer(bomb, ID) == []


def test_what_a_camera_says_is_one_short_printable_line():
    scopes = f"onvif://www.onvif.org/name/{'%1B%5B31m' * 50}"

    (camera,) = parse_answer(answer(scopes=scopes), ID)

    assert camera.name.isprintable()
    assert len(camera.name) <= 100


@pytest.mark.parametrize("addresses", ["", "ftp://192.0.2.7/", "http://[bad/", "not-an-address"])
def test_a_camera_without_an_address_is_none(addresses):
    assert parse_answer(answer(addresses=addresses), ID) == []


@given(st.binary(max_size=300))
def test_no_datagram_raises(datagram):
    assert parse_answer(datagram, ID) == []
