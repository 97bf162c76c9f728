from __future__ import annotations

from datetime import timedelta

from fakes.ingest_events import EPOCH, FakeDevice
from shopfloor_ingest.domain.devices import DeviceStatus, next_state

LATER = EPOCH + timedelta(minutes=1)


def after(*events):
    state = None
    for event in events:
        state = next_state(state, event, LATER)
    return state


def two_boots():
    return FakeDevice(), FakeDevice()


def test_a_birth_brings_a_device_online_with_its_outbox():
    device = FakeDevice()

    state = after(device.birth())

    assert (state.status, state.boot_id, state.stream, state.last_seen_at) == (
        DeviceStatus.ONLINE,
        device.boot_id,
        device.stream,
        LATER,
    )


def test_a_death_takes_it_offline():
    device = FakeDevice()
    assert after(device.birth(), device.death()).status is DeviceStatus.OFFLINE


def test_a_late_death_of_an_older_boot_changes_nothing():
    old, new = two_boots()
    born = after(old.birth(), new.birth(time=LATER))
    assert next_state(born, old.death(), LATER) == born


def test_a_late_heartbeat_of_an_older_boot_changes_nothing():
    old, new = two_boots()
    born = after(old.birth(), new.birth(time=LATER))
    assert next_state(born, old.heartbeat(), LATER) == born


def test_a_heartbeat_after_the_last_will_brings_it_back():
    device = FakeDevice()
    state = after(device.birth(), device.death(), device.heartbeat(time=LATER))
    assert state.status is DeviceStatus.ONLINE


def test_a_heartbeat_from_before_a_clean_stop_does_not_bring_it_back():
    device = FakeDevice()
    stopped = device.death(reason="stopped", time=LATER)
    assert after(device.birth(), stopped, device.heartbeat()).status is DeviceStatus.OFFLINE


def test_a_clock_that_was_set_back_does_not_silence_a_device():
    device = FakeDevice()
    state = after(device.birth(time=LATER), device.heartbeat(time=EPOCH))
    assert '"outbox_rows":7' in state.heartbeat


def test_a_device_whose_birth_was_missed_is_known_by_its_heartbeat():
    device = FakeDevice()
    assert after(device.heartbeat()).status is DeviceStatus.ONLINE
    assert after(device.death()).status is DeviceStatus.OFFLINE
