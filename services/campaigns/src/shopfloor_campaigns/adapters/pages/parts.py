"""What the console's routes are built of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query

from shopfloor_campaigns.adapters.pages.guard import Door, PageRoute
from shopfloor_campaigns.adapters.pages.questions import Questions
from shopfloor_campaigns.adapters.pages.sessions import Sessions
from shopfloor_campaigns.adapters.reports import Reports
from shopfloor_campaigns.adapters.service import Service
from shopfloor_campaigns.adapters.writer import Writer
from shopfloor_contracts.errors import SelectorError
from shopfloor_contracts.selectors import Selector, parse_selector
from shopfloor_kit.errors import ProblemError

PAGE = 50
"""Rows of a page."""

After = Annotated[str, Query(max_length=127, pattern=r"^[a-z0-9.-]*$")]
Text = Annotated[str, Query(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Parts:
    """The process's adapters, as the routes see them."""

    reports: Reports
    questions: Questions
    sessions: Sessions
    writer: Writer
    service: Service
    registry_url: str | None = None

    @property
    def door(self) -> Door:
        """Return what asks who is signed in."""
        return Door(self.sessions)

    async def write(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Let the writer do something, and wait for it."""
        future = self.writer.submit(lambda connection: work(connection, *arguments))
        return await asyncio.wrap_future(future)


def page_router() -> APIRouter:
    """Return a router whose errors are pages; it is no part of the API's document."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def selector_of(text: str) -> Selector:
    """Read a label query. Raises ``ProblemError`` 400."""
    try:
        return parse_selector(text)
    except SelectorError as e:
        raise ProblemError(400, "invalid-selector", str(e)) from e
