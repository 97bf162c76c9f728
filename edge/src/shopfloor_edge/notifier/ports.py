"""What the notifier needs of a way to people."""

from __future__ import annotations

from typing import Protocol

from shopfloor_edge.notifier.texts import Message


class Channel(Protocol):
    """One way to people."""

    def send(self, message: Message) -> None:
        """Hand a message over; return only when the other side has taken it.

        Raises:
            NoticeDelayedError: it was not taken; try again.
        """
        ...
