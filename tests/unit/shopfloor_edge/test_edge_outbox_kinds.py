from __future__ import annotations

from pathlib import Path

import pytest

from shopfloor_contracts.events import DURABLE_KINDS, Kind, parse_event
from shopfloor_edge.journal.outbox import Draft, Outbox

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"


def draft(kind):
    event = parse_event((GOLDEN / f"{kind}.json").read_bytes())
    return Draft(event.data, event.source, event.time)


@pytest.fixture
def outbox(tmp_path):
    opened = Outbox(tmp_path, max_rows=2, max_bytes=1_000_000)
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", sorted(DURABLE_KINDS))
def test_every_durable_kind_goes_through_the_outbox_unchanged(kind, outbox):
    sent = draft(kind)

    outbox.commit([sent])

    [waiting] = outbox.waiting(0, 10)
    assert (waiting.kind, waiting.event.data) == (kind, sent.data)


def test_an_alert_outlives_a_head_count_and_heat_goes_first(outbox):
    outbox.commit([draft(Kind.ALERT), draft(Kind.OCCUPANCY), draft(Kind.HEAT)])
    kept = [waiting.kind for waiting in outbox.waiting(0, 10)]

    outbox.commit([draft(Kind.TRAFFIC)])

    assert kept == [Kind.ALERT, Kind.OCCUPANCY]
    assert [w.kind for w in outbox.waiting(0, 10)] == [Kind.ALERT, Kind.TRAFFIC]
