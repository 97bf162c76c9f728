"""The sign of life that systemd waits for."""

import socket

import pytest

from shopfloor_edge.watchdog import Watchdog


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(0.0)
        yield listener


def environment(listener, seconds=60):
    return {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": str(seconds * 1_000_000)}


def heard(listener):
    messages = []
    try:
        while True:
            messages.append(listener.recv(100))
    except BlockingIOError:
        return messages


def test_it_says_that_it_lives_a_few_times_in_the_interval(systemd):
    watchdog = Watchdog(environment(systemd, seconds=60))

    for now_s in range(60):
        watchdog.alive(float(now_s))

    assert heard(systemd) == [b"WATCHDOG=1"] * 4


def test_without_systemd_nothing_is_said(systemd):
    Watchdog({}).alive(0.0)
    Watchdog({"NOTIFY_SOCKET": systemd.getsockname()}).alive(0.0)

    assert heard(systemd) == []


def test_a_socket_that_is_gone_stops_nobody(tmp_path):
    Watchdog({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"}).alive(0.0)
