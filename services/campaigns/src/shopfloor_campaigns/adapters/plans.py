"""Plans in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, select

from shopfloor_campaigns.adapters.bodies import read_plan
from shopfloor_campaigns.adapters.tables import CAMPAIGNS
from shopfloor_campaigns.domain.plan import Plan
from shopfloor_campaigns.errors import UnknownError


class PlanCache:
    """Plans by campaign; a plan never changes, so it is read once."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}

    def __call__(self, connection: Connection, name: str) -> Plan:
        """Return the plan. Raises ``UnknownError``."""
        if name not in self._plans:
            found = select(CAMPAIGNS.c.plan).where(CAMPAIGNS.c.name == name)
            text = connection.execute(found).scalar_one_or_none()
            if text is None:
                raise UnknownError(f"no campaign is named {name!r}")
            self._plans[name] = read_plan(text, source=name)
        return self._plans[name]
