"""Stages of a version, and the ways between them. Pure."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """How far a version is trusted."""

    CANDIDATE = "candidate"
    STAGING = "staging"
    """May be rolled out to devices of a test; its builds are published."""
    PRODUCTION = "production"
    RETIRED = "retired"
    """Not to be rolled out any more; devices that run it go on, and may go back to it."""


_MOVES = {
    Stage.CANDIDATE: (Stage.STAGING, Stage.RETIRED),
    Stage.STAGING: (Stage.PRODUCTION, Stage.RETIRED),
    Stage.PRODUCTION: (Stage.RETIRED,),
    Stage.RETIRED: (),
}


def moves_from(stage: Stage) -> tuple[Stage, ...]:
    """Return the stages that come next; nothing comes after ``retired``."""
    return _MOVES[stage]


def is_gated(stage: Stage) -> bool:
    """Say whether a version has to pass gates to get there."""
    return stage in (Stage.STAGING, Stage.PRODUCTION)
