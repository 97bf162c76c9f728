"""What the process that writes remembers of its database; nothing here is needed to start anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from shopfloor_campaigns.adapters.doors import Doors
from shopfloor_campaigns.adapters.plans import PlanCache
from shopfloor_campaigns.adapters.sums import WaveSums


class Memory:
    """Plans, devices' doors, and sums of waves."""

    def __init__(self) -> None:
        self.plans, self.doors, self.sums = PlanCache(), Doors(), WaveSums()

    @contextmanager
    def writing(self, engine: Engine) -> Iterator[Connection]:
        """Give a transaction, and forget at its end what is no longer so."""
        try:
            with engine.begin() as connection:
                yield connection
        except BaseException:
            self.sums.clear()
            raise
        finally:
            self.doors.settle()
