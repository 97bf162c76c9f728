"""The state machine of updates: what is good is never lost, what failed never runs again."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.slots.domain import (
    LOADS_MAX,
    Attempt,
    Release,
    Slots,
    SlotsError,
    Step,
    advance,
    cancel,
    commit,
    fail,
    load,
    restore,
    roll_back,
    stage,
    unload,
)
from shopfloor_edge.slots.file import SlotsFile

MODEL = UpdateKind.MODEL


def release(number, kind=MODEL):
    digest = hashlib.sha256(bytes([number])).hexdigest()
    return Release(kind, digest, 10, f"model/m/{number}/t", "m", str(number))


def attempt(number):
    return Attempt(release(number), str(number), 1.0, 1.0)


def committed(slots, number):
    return commit(load(advance(stage(slots, attempt(number)), Step.TRIAL)))


def apply(slots, step):
    name, number = step
    steps = {
        "stage": lambda: stage(slots, attempt(number)),
        "shadow": lambda: advance(slots, Step.SHADOW),
        "trial": lambda: advance(slots, Step.TRIAL),
        "load": lambda: load(slots),
        "unload": lambda: unload(slots, release(number).digest),
        "fail": lambda: fail(slots, "because"),
        "cancel": lambda: cancel(slots, "because"),
        "commit": lambda: commit(slots),
        "rollback": lambda: roll_back(slots, MODEL),
        "restore": lambda: restore(slots, MODEL, release(number).digest),
    }
    try:
        return steps[name]()
    except SlotsError:
        return slots


NAMES = (
    *("stage", "shadow", "trial", "load", "unload"),
    *("fail", "cancel", "commit", "rollback", "restore"),
)
STEPS = st.tuples(
    st.sampled_from(NAMES),
    st.integers(0, 3),
)


@given(st.lists(STEPS, max_size=60))
def test_no_order_of_steps_loses_the_good_release_or_runs_a_quarantined_one(steps):
    slots = Slots()
    for step in steps:
        before, slots = slots, apply(slots, step)
        good = slots.model.active
        if step[0] not in ("commit", "rollback", "restore"):
            assert good == before.model.active
        assert good is None or good.digest in slots.kept
        assert good is None or good.digest not in slots.quarantine
        runs = slots.runs(MODEL)
        assert runs is None or runs.digest not in slots.quarantine
        assert slots.attempt is None or slots.attempt.loads <= LOADS_MAX


def test_three_loads_that_end_badly_lead_back_to_the_good_release():
    slots = advance(stage(committed(Slots(), 1), attempt(2)), Step.TRIAL)

    for _ in range(LOADS_MAX):
        slots = load(slots)
        assert slots.runs(MODEL) == release(2)
    slots = load(slots)

    assert slots.runs(MODEL) == release(1)
    assert release(2).digest in slots.quarantine
    assert slots.last is not None
    assert (slots.last.committed, slots.last.crashes) == (False, LOADS_MAX)


def test_a_stop_on_purpose_is_no_failed_load():
    slots = advance(stage(Slots(), attempt(2)), Step.TRIAL)

    for _ in range(10):
        slots = unload(load(slots), release(2).digest)

    assert slots.runs(MODEL) == release(2)


def test_a_person_goes_back_and_the_release_is_not_tried_again():
    slots = roll_back(committed(committed(Slots(), 1), 2), MODEL)

    assert slots.runs(MODEL) == release(1)
    with pytest.raises(SlotsError, match="quarantined"):
        stage(slots, attempt(2))


def test_what_was_changed_is_read_by_another_process(tmp_path):
    SlotsFile(tmp_path).change(lambda slots: committed(slots, 1))

    assert SlotsFile(tmp_path).read().runs(MODEL) == release(1)


def test_a_state_file_that_is_no_json_means_what_was_provisioned(tmp_path):
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "slots.json").write_text("{half")

    assert SlotsFile(tmp_path).read() == Slots()


def on_trial(kind=UpdateKind.WHEELS):
    tried = Attempt(release(1, kind), "1", 0.0, 1.0)
    return advance(stage(Slots(), tried), Step.TRIAL)


def test_an_application_is_tried_only_by_processes_that_run_it():
    slots = on_trial()

    assert slots.seen_by(release(1).digest).attempt == slots.attempt
    assert slots.seen_by(release(2).digest).attempt is None
    assert slots.seen_by("").attempt is None
    assert on_trial(MODEL).seen_by("").attempt is not None


def test_loads_of_an_application_are_its_launchers_to_count():
    slots = on_trial()

    assert load(slots) == slots
    assert unload(slots, release(1).digest) == slots


def test_an_application_has_slots_of_its_own_and_its_archives_are_kept():
    slots = commit(on_trial())

    assert slots.pair(UpdateKind.WHEELS).active == release(1, UpdateKind.WHEELS)
    assert slots.model.active is None
    assert slots.kept == {release(1).digest}


def test_an_image_of_the_os_has_no_slots():
    with pytest.raises(SlotsError, match="os has no slots"):
        Slots().pair(UpdateKind.OS)
