"""What changes while a page is open: one watcher of ``state.db``, any number of listeners."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping

log = logging.getLogger(__name__)

BEAT_S = 4.0
"""A page that hears nothing for three of these says that it is not live."""
LISTENERS_MAX = 200
QUEUE_MAX = 100
"""Messages that wait for a slow browser; then it is cut off and comes again."""

Message = tuple[str, Mapping[str, object]]


class Live:
    """Hands messages to every open page. Lives on the server's event loop.

    Args:
        alive: whether there is anybody who would tell; without, the pages hear silence.
    """

    def __init__(self, alive: Callable[[], bool] = lambda: True) -> None:
        self._alive = alive
        self._listeners: set[asyncio.Queue[Message | None]] = set()
        self._over = False

    @property
    def full(self) -> bool:
        """Whether no more pages can listen."""
        return len(self._listeners) >= LISTENERS_MAX

    def tell(self, event: str, data: Mapping[str, object]) -> None:
        """Send to every page; call from the event loop."""
        for queue in list(self._listeners):
            try:
                queue.put_nowait((event, data))
            except asyncio.QueueFull:
                self._listeners.discard(queue)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._over = True
        self.drop()

    def drop(self) -> None:
        """Cut every stream; the pages come again by themselves."""
        for queue in list(self._listeners):
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    async def stream(
        self, still: Callable[[], bool], first: Message | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes of ``text/event-stream``.

        Args:
            first: sent at once.
            still: whether the person is still signed in; asked at every beat.
        """
        queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE_MAX)
        self._listeners.add(queue)
        try:
            if not self._over:
                yield b"retry: 2000\n\n" + encode(*(first or ("beat", {})))
            while not self._over and queue in self._listeners:
                try:
                    message = await asyncio.wait_for(queue.get(), BEAT_S)
                except TimeoutError:
                    if not still():
                        yield encode("over", {})
                        return
                    if not self._alive():
                        continue
                    message = ("beat", {})
                if message is None:
                    return
                yield encode(*message)
        finally:
            self._listeners.discard(queue)


def encode(event: str, data: Mapping[str, object]) -> bytes:
    """Return one message of a stream."""
    return f"event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
