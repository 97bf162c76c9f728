"""One batch, one transaction: events, roll-ups, devices, watermarks and dead letters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, func, insert, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from shopfloor_contracts.acks import Ack
from shopfloor_contracts.events import BirthEvent, DeathEvent, HeartbeatEvent, Kind
from shopfloor_ingest.adapters import rows
from shopfloor_ingest.adapters.bulk import insert_lines, insert_new
from shopfloor_ingest.adapters.history import raw_since, sum_again_if_due
from shopfloor_ingest.adapters.marks import advance, of_stream, read_up_to
from shopfloor_ingest.adapters.rollups import add_rollups
from shopfloor_ingest.adapters.schema import lock_as_writer, migrate
from shopfloor_ingest.adapters.tables import (
    DEAD_LETTERS,
    DEVICES,
    EVENTS,
    WAITING,
)
from shopfloor_ingest.domain.devices import next_state
from shopfloor_ingest.domain.messages import Accepted, Rejected, StreamKey
from shopfloor_ingest.domain.rollups import Origin, began_at, collect
from shopfloor_ingest.domain.watermarks import Arrival
from shopfloor_ingest.errors import StoreUnavailableError
from shopfloor_ingest.usecases import Acknowledgement, Outcome
from shopfloor_kit.database import cause

MAX_DEAD_LETTERS = 10_000
_SAY_ANEW = "(site, device) DO UPDATE SET " + ", ".join(
    f"{column.name} = excluded.{column.name}" for column in DEVICES.columns[2:]
)


class SqlStore:
    """Implements the ``EventSink`` port on a SQLAlchemy engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Bring the schema up to date, and the roll-ups where it wants that."""
        try:
            with self._engine.begin() as connection:
                migrate(connection)
                sum_again_if_due(connection)
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e

    def write(self, batch: Sequence[Accepted | Rejected]) -> Outcome:
        """Commit all of the batch, or raise and leave no trace."""
        try:
            with self._engine.begin() as connection:
                return _Transaction(connection).run(batch)
        except SQLAlchemyError as e:
            raise StoreUnavailableError(cause(e)) from e


class _Transaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outcome = Outcome()
        self._arrivals: dict[StreamKey, list[Arrival]] = defaultdict(list)
        self._rejected: list[Rejected] = []

    def run(self, batch: Sequence[Accepted | Rejected]) -> Outcome:
        lock_as_writer(self._connection)
        accepted = [judged for judged in batch if isinstance(judged, Accepted)]
        for judged in batch:
            if isinstance(judged, Rejected):
                self._reject(judged)
        self._store_events([a for a in accepted if not isinstance(a.event, HeartbeatEvent)])
        self._follow_devices([a for a in accepted if not a.durable])
        self._move_watermarks()
        self._answer_births(accepted)
        self._park()
        return self._outcome

    def _reject(self, rejected: Rejected) -> None:
        self._rejected.append(rejected)
        self._outcome.rejected[rejected.reason] += 1
        place = rejected.settled
        if place is not None:
            # Not fresh: it was never counted as stored, so it cannot undo a drop.
            arrival = Arrival(place.seq, place.prevseq, fresh=False)
            self._arrivals[place.key].append(arrival)

    def _store_events(self, events: list[Accepted]) -> None:
        named = [(str(accepted.event.id), accepted) for accepted in events]
        first: dict[str, Accepted] = {}
        for identity, accepted in named:
            first.setdefault(identity, accepted)
        forgotten = self._forgotten(first)
        # In a fixed order, so that two replicas never wait for each other's rows.
        news = sorted(first.keys() - forgotten)
        lines = [rows.event_line(identity, first[identity]) for identity in news]
        fresh = insert_new(self._connection, EVENTS, lines)
        known = self._owners(first.keys() - fresh)
        known |= {identity: _owner(first[identity]) for identity in forgotten}
        for identity, accepted in named:
            new = identity in fresh and first[identity] is accepted
            if new:
                self._outcome.stored[accepted.topic.kind] += 1
            elif identity in fresh or known.get(identity) == _owner(accepted):
                self._outcome.duplicates += 1
            else:
                self._refuse_twin(accepted, taken=identity in known)
                if identity in known:
                    continue
            if accepted.durable:
                arrival = Arrival(accepted.event.seq, accepted.event.prevseq, fresh=new)
                self._arrivals[accepted.key].append(arrival)
        stored = [first[identity] for identity in first if identity in fresh]
        add_rollups(self._connection, collect((_origin(one), one.event.data) for one in stored))

    def _forgotten(self, events: dict[str, Accepted]) -> set[str]:
        """Return the ids of those that were stored, counted and since deleted by the retention.

        Of so old an event only the watermark still knows that it was here: what it has passed,
        or what waits ahead of it, is not counted again.
        """
        since = raw_since(self._connection)
        if since == 0:
            return set()
        old = {
            identity: accepted
            for identity, accepted in events.items()
            if accepted.durable and began_at(accepted.event.data, accepted.event.time) < since
        }
        return {identity for identity, accepted in old.items() if self._was_here(accepted)}

    def _was_here(self, accepted: Accepted) -> bool:
        key, seq = accepted.key, accepted.event.seq
        if seq <= read_up_to(self._connection, key):
            return True
        ahead = select(WAITING.c.seq).where(of_stream(WAITING, key), WAITING.c.seq == seq)
        return self._connection.execute(ahead).first() is not None

    def _owners(self, identities: set[str]) -> dict[str, tuple[str, str]]:
        if not identities:
            return {}
        query = select(EVENTS.c.id, EVENTS.c.site, EVENTS.c.device)
        found = self._connection.execute(query.where(EVENTS.c.id.in_(identities)))
        return {row.id: (row.site, row.device) for row in found}

    def _refuse_twin(self, accepted: Accepted, *, taken: bool) -> None:
        event, kind = accepted.event, accepted.topic.kind
        if taken:
            reason, detail = "identity", f"stream {event.stream} is another device's"
        else:
            reason, detail = "sequence", f"seq {event.seq} was stored as another kind than {kind}"
        self._reject(Rejected(accepted.alone, reason, detail))

    def _follow_devices(self, events: list[Accepted]) -> None:
        if not events:
            return
        # In a fixed order, as everything that replicas may both want.
        owners = sorted({_owner(accepted) for accepted in events})
        d = DEVICES.c
        query = select(DEVICES).where(tuple_(d.site, d.device).in_(owners))
        query = query.order_by(d.site, d.device).with_for_update()
        found = self._connection.execute(query).all()
        states = {(row.site, row.device): rows.device_state(row) for row in found}
        for accepted in events:
            event, owner = accepted.event, _owner(accepted)
            if not isinstance(event, BirthEvent | DeathEvent | HeartbeatEvent):
                continue
            states[owner] = next_state(states.get(owner), event, accepted.message.received_at)
            if isinstance(event, HeartbeatEvent):
                self._outcome.stored[Kind.HEARTBEAT] += 1
        lines = [tuple(rows.device_row(*owner, states[owner]).values()) for owner in owners]
        insert_lines(self._connection, DEVICES, lines, on_conflict=_SAY_ANEW)

    def _move_watermarks(self) -> None:
        for key, moved in advance(self._connection, self._arrivals).items():
            self._outcome.dropped += moved.dropped
            self._acknowledge(key, moved.up_to)

    def _answer_births(self, accepted: list[Accepted]) -> None:
        for birth in accepted:
            if isinstance(birth.event, BirthEvent):
                key = StreamKey(birth.topic.site, birth.topic.device, birth.event.data.stream)
                if key not in self._arrivals:
                    self._acknowledge(key, read_up_to(self._connection, key))

    def _acknowledge(self, key: StreamKey, up_to: int) -> None:
        ack = Ack(stream=key.stream, up_to=up_to)
        self._outcome.acks.append(Acknowledgement(key.site, key.device, ack))

    def _park(self) -> None:
        if not self._rejected:
            return
        letters = [rows.dead_letter_row(rejected) for rejected in self._rejected]
        self._connection.execute(insert(DEAD_LETTERS), letters)
        newest = select(func.max(DEAD_LETTERS.c.id)).scalar_subquery()
        old = DEAD_LETTERS.c.id <= newest - MAX_DEAD_LETTERS
        self._connection.execute(delete(DEAD_LETTERS).where(old))


def _owner(accepted: Accepted) -> tuple[str, str]:
    return (accepted.topic.site, accepted.topic.device)


def _origin(accepted: Accepted) -> Origin:
    return Origin(accepted.topic.site, accepted.topic.device, accepted.camera)
