"""The account after the chaos: what the devices sent beside what the cloud has, to the event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, select, text

from perf.chaos_load import Load
from shopfloor_contracts.events import DURABLE_KINDS, Kind, data_of
from shopfloor_ingest.adapters.rollups import unpack_cells
from shopfloor_ingest.adapters.tables import EVENTS, ROLLUPS, WATERMARKS
from shopfloor_ingest.domain.rollups import SHAPES, Origin, Rollups, collect
from shopfloor_kit.database import reading

BUCKETS_S = (60, 3600, 86_400)


@dataclass(slots=True)
class Account:
    """What the devices say, what the cloud has, and in words what does not agree."""

    sent: int = 0
    stored: int = 0
    duplicated: int = 0
    gaps_reported: int = 0
    dropped: int = 0
    """By outboxes; those that had been sent before they were dropped may have arrived."""
    faults: list[str] = field(default_factory=list)


def settle_accounts(engine: Engine, loads: list[Load]) -> Account:
    """Compare every sequence of every outbox, and every sum, with the database."""
    account = Account()
    with reading(engine).connect() as connection:
        for load in loads:
            _one_device(connection, load, account)
        account.faults += _roll_ups(connection)
        account.faults += _crossings(connection)
        waiting = connection.execute(text("SELECT count(*) FROM waiting")).scalar_one()
        letters = connection.execute(text("SELECT count(*) FROM dead_letters")).scalar_one()
    if waiting:
        account.faults.append(f"{waiting} events wait for others that never come")
    if letters:
        account.faults.append(f"{letters} messages were parked, none was wrong")
    return account


def _one_device(connection: Connection, load: Load, account: Account) -> None:
    found = Counter(
        connection.execute(
            select(EVENTS.c.seq).where(
                EVENTS.c.stream == load.stream, EVENTS.c.kind.in_([str(k) for k in DURABLE_KINDS])
            )
        ).scalars()
    )
    mark = WATERMARKS.c
    up_to, gaps = connection.execute(
        select(mark.up_to, mark.dropped).where(mark.stream == load.stream)
    ).one()
    missing = set(range(1, load.committed + 1)) - found.keys()
    account.sent += load.committed - len(missing & load.dropped)
    account.stored += len(found)
    account.duplicated += found.total() - len(found)
    account.gaps_reported += gaps
    account.dropped += len(load.dropped)
    checks = {
        f"lost {sorted(missing - load.dropped)[:5]}": missing <= load.dropped,
        f"has {max(found, default=0)} of {load.committed}": max(found) == load.committed,
        f"watermark is {up_to}, not {load.committed}": up_to == load.committed,
        f"{gaps} gaps are reported, {len(missing)} events are missing": gaps == len(missing),
    }
    account.faults += [f"{load.user}: {said}" for said, holds in checks.items() if not holds]


def _roll_ups(connection: Connection) -> list[str]:
    """Compare every sum of every bucket with the raw events, added up here in one go."""
    e = EVENTS.c
    raw = connection.execute(
        select(e.site, e.device, e.camera, e.kind, e.data).where(
            e.kind.in_([str(kind) for kind in DURABLE_KINDS])
        )
    )
    wanted: Rollups = collect(
        (Origin(r.site, r.device, r.camera), data_of(Kind(r.kind), r.data)) for r in raw
    )
    faults = []
    for kind, table in ROLLUPS.items():
        shape = SHAPES[kind]
        columns = (*shape.sums, *shape.maxima)
        kept = {
            tuple(row[name] for name in shape.keys): (
                [row[name] for name in columns],
                unpack_cells(row["cells"]) if shape.grid else [],
            )
            for row in connection.execute(select(table)).mappings()
        }
        right = {
            key: ([*one.sums, *one.maxima], one.cells) for key, one in wanted.get(kind, {}).items()
        }
        wrong = [key for key in kept.keys() | right.keys() if kept.get(key) != right.get(key)]
        if wrong:
            faults.append(f"{len(wrong)} of {len(right)} sums of {kind} are wrong: {wrong[0]}")
    return faults


def _crossings(connection: Connection) -> list[str]:
    """Add crossings up in the database's own words: no code of ingest takes part."""
    raw = connection.execute(
        text(
            "SELECT sum((line->>'crossings_in')::int), count(*) FROM events,"
            " jsonb_array_elements(data::jsonb->'lines') AS line WHERE kind = 'traffic'"
        )
    ).one()
    faults = []
    for bucket_s in BUCKETS_S:
        summed = connection.execute(
            text(
                "SELECT coalesce(sum(crossings_in), 0), coalesce(sum(windows), 0)"
                " FROM rollup_traffic WHERE bucket_s = :s"
            ),
            {"s": bucket_s},
        ).one()
        if tuple(map(int, summed)) != tuple(map(int, raw)):
            faults.append(f"crossings per {bucket_s} s are {tuple(summed)}, raw {tuple(raw)}")
    return faults
