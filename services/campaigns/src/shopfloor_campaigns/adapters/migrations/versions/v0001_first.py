"""Everything: devices, campaigns, jobs, actions, their histories, verdicts, tokens, audit log.

The tables as they were then; ``adapters/tables.py`` has them as they are now.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from shopfloor_kit.audit import audit_table, guard
from shopfloor_kit.tokens import token_table

revision = "0001"
down_revision = None

METADATA = MetaData()

# PostgreSQL's bigserial; SQLite numbers rows by itself for INTEGER alone.
_ID = BigInteger().with_variant(Integer, "sqlite")


def _at(name: str) -> Column[Any]:
    return Column(name, BigInteger)


token_table(METADATA)
audit_table(METADATA)

Table(
    "devices",
    METADATA,
    Column("name", String(127), primary_key=True),
    Column("token_sha256", String(64), nullable=False),
    Column("labels", Text, nullable=False),
    Column("attributes", Text),
    Column("time_zone", String(64), nullable=False),
    Column("open_action", BigInteger),
    _at("last_seen_at"),
    _at("changed_at"),
    Index("devices_changed", "changed_at"),
)

Table(
    "campaigns",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("plan", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("unfit", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("matched_at", BigInteger, nullable=False),
    _at("made_at"),
    _at("started_at"),
    Index("campaigns_status", "status"),
)

Table(
    "jobs",
    METADATA,
    Column("campaign", String(63), primary_key=True),
    Column("device", String(127), primary_key=True),
    Column("wave", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("undo", Boolean, nullable=False),
    Column("fetched", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("action", BigInteger),
    Column("base", String(64)),
    _at("ready_at"),
    _at("deadline_at"),
    _at("ended_at"),
    Index("jobs_wave", "campaign", "wave", "state"),
    Index("jobs_device", "device", "state"),
    Index("jobs_deadline", "state", "deadline_at"),
)

Table(
    "actions",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("campaign", String(63), nullable=False),
    Column("device", String(127), nullable=False),
    Column("wave", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("undo", Boolean, nullable=False),
    Column("state", String(20), nullable=False),
    Column("build", String(300), nullable=False),
    Column("undo_digest", String(64)),
    _at("opened_at"),
    _at("closed_at"),
    Index("actions_device", "device", "state"),
    sqlite_autoincrement=True,
)

Table(
    "statuses",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("action", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("about", String(20), nullable=False),
    Column("execution", String(20), nullable=False),
    Column("finished", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    _at("at"),
    Index("statuses_once", "action", "digest", unique=True),
    sqlite_autoincrement=True,
)

Table(
    "evidence",
    METADATA,
    Column("action", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    _at("at"),
)

COUNTERS = (
    "crashes",
    "agreed",
    "only_old",
    "only_new",
    "alerts_right",
    "alerts_wrong",
    "audit_agreed",
    "audit_missed",
    "audit_extra",
    "inspected",
    "escaped",
)
HISTOGRAMS = {"new_ms": 9, "old_scores": 10, "new_scores": 10}
SUMMED = (
    *COUNTERS,
    *(f"{name}_{bucket}" for name, size in HISTOGRAMS.items() for bucket in range(size)),
)

Table(
    "figures",
    METADATA,
    Column("campaign", String(63), primary_key=True),
    Column("wave", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("device", String(127), primary_key=True),
    Column("observed_s", Float, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in SUMMED),
    sqlite_with_rowid=False,
)

Table(
    "observations",
    METADATA,
    Column("campaign", String(63), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("device", String(127), nullable=False),
    Column("body", Text, nullable=False),
    Column("by", String(200), nullable=False),
    _at("at"),
)

Table(
    "verdicts",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("campaign", String(63), nullable=False),
    Column("wave", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("gate", String(30), nullable=False),
    Column("answer", String(10), nullable=False),
    Column("figure", Float),
    Column("low", Float),
    Column("high", Float),
    Column("limit", Float, nullable=False),
    Column("sample", BigInteger, nullable=False),
    Column("minimum", BigInteger, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("explanation", Text, nullable=False),
    _at("at"),
    Index("verdicts_campaign", "campaign", "wave"),
    sqlite_autoincrement=True,
)


def upgrade() -> None:
    """Create everything."""
    METADATA.create_all(op.get_bind(), checkfirst=False)
    guard(op.get_bind(), "audit")
