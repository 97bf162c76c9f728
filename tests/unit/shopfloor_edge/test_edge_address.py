import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.site import CameraSpec
from shopfloor_edge.cameras.address import MAX_PASSWORD_BYTES, address_of
from shopfloor_edge.cameras.choose import CameraOpener, open_source
from shopfloor_edge.cameras.reach import check_reachable
from shopfloor_edge.cameras.uris import Medium, medium_of, redact
from shopfloor_edge.errors import SourceLostError, SourceUnusableError

SECRET = st.text("abcdefgh0123456789!$&'()*+,;=:-._~%", min_size=6, max_size=12)


@pytest.mark.parametrize(
    ("uri", "medium"),
    [
        ("rtsp://10.0.0.1/a", Medium.RTSP),
        ("RTSP://10.0.0.1/a", Medium.RTSP),
        ("http://10.0.0.1/video.mjpg", Medium.MJPEG),
        ("/dev/video0", Medium.USB),
        ("csi://0", Medium.CSI),
        ("clips/a.mp4", Medium.FILE),
        ("file:///a.mp4", Medium.FILE),
        ("ftp://host/a", Medium.UNKNOWN),
    ],
)
def test_the_uri_names_the_medium(uri, medium):
    assert medium_of(uri) is medium


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("rtsp://admin:p%40ss@cam.local:554/1", "rtsp://…@cam.local:554/1"),
        ("rtsp://admin:p@ss@cam.local/1", "rtsp://…@cam.local/1"),
        ("rtsp://cam.local/1?channel=1&subtype=0", "rtsp://cam.local/1?channel=1&subtype=0"),
        ("http://cam/v?user=admin&pwd=x1&w=640", "http://cam/v?user=…&pwd=…&w=640"),
        ("rtsp://[bad", "rtsp://…"),
        ("clips/user:a@b.mp4", "clips/user:a@b.mp4"),
    ],
)
def test_a_log_in_is_not_written(uri, written):
    assert redact(uri) == written


@given(user=SECRET, password=SECRET)
def test_no_log_in_is_in_anything_that_is_printed(user, password):
    host = "camera.example"
    quoted = password.replace("%", "%25")
    address = address_of(f"rtsp://{user.replace('%', '%25').replace(':', '%3A')}:{quoted}@{host}/1")

    printed = f"{address.name} {address} {address!r} {address.uri}"

    assert address.password == password
    assert address.username == user
    assert password not in printed.replace(f"username={user!r}", "")
    assert address.scrub(f"could not open {address.uri} with {password}") == (
        "could not open … with …"
    )


def test_the_settings_beside_the_uri_win_and_the_file_is_read_each_time(tmp_path):
    path = tmp_path / "password"
    path.write_text("one\n")

    first = address_of("rtsp://a:b@cam/1", username="c", password_file=str(path))
    path.write_text("two")
    second = address_of("rtsp://a:b@cam/1", username="c", password_file=str(path))

    assert (first.uri, first.username, first.password) == ("rtsp://cam/1", "c", "one")
    assert second.password == "two"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"x" * (MAX_PASSWORD_BYTES + 1), "larger than"), (b"\xff", "UTF-8")],
)
def test_a_password_file_that_cannot_be_used_is_named(tmp_path, content, words):
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SourceUnusableError, match=words) as caught:
        address_of("rtsp://cam/1", username="c", password_file=str(path))

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("uri", ["rtsp://", "rtsp://host:99999/1", "http://:80/x", "rtsp://[bad"])
def test_a_uri_without_a_host_is_the_operators_mistake(uri):
    with pytest.raises(SourceUnusableError, match="no host, or a port"):
        address_of(uri)


@pytest.mark.parametrize(
    ("uri", "whom"),
    [
        ("rtsp://cam/1", ("cam", 554)),
        ("rtsp://cam:8554/1", ("cam", 8554)),
        ("https://cam/v", ("cam", 443)),
        ("/dev/video0", None),
        ("csi://0", None),
    ],
)
def test_the_port_of_a_scheme_is_known(uri, whom):
    assert address_of(uri).host_and_port == whom


def test_a_new_password_file_changes_the_openers_stamp(tmp_path):
    path = tmp_path / "password"
    opener = CameraOpener(CameraSpec(name="c", uri="rtsp://cam/1", password_file=str(path)))

    before = opener.stamp()
    path.write_text("new")

    assert before == 0
    assert opener.stamp() != before


def test_inference_opens_the_sub_stream_and_evidence_the_main_one(tmp_path):
    main, small = tmp_path / "main.mp4", tmp_path / "small.mp4"
    spec = CameraSpec(name="c", uri=str(main), sub_uri=str(small))

    with pytest.raises(SourceUnusableError, match=r"small\.mp4 does not exist"):
        CameraOpener(spec)()
    with pytest.raises(SourceUnusableError, match=r"main\.mp4 does not exist"):
        CameraOpener(spec, evidence=True)()


def test_an_open_port_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_reachable(*server.getsockname())


def test_a_refusing_host_is_told_apart_from_an_unknown_name():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(SourceLostError, match=f"port {port} refuses"):
        check_reachable("127.0.0.1", port)
    with pytest.raises(SourceLostError, match="the name is not known here"):
        check_reachable("no-such-camera.invalid", 554)


def test_a_uri_of_no_known_kind_lists_those_that_are():
    with pytest.raises(SourceUnusableError, match=r"none of rtsp://, http:// .*csi://0"):
        open_source("gopher://cam/1")
