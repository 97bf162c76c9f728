"""HTTP as the updater uses it: connections kept alive, bounded answers, errors of our own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3

from shopfloor_edge.errors import IdentityError, OperatorError, UpdateDelayedError
from shopfloor_edge.identity.client import tls_context
from shopfloor_edge.identity.device import Identity

CONNECT_S, SILENCE_S = 10.0, 30.0
MAX_ANSWER_BYTES = 1_000_000
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer, read whole."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is read as it comes."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    """Raises UpdateDelayedError where the connection ends too early."""


class _Shown:
    """A context that shows the certificate in use, also after a renewal."""

    def __init__(self, identity: Identity, context: ssl.SSLContext) -> None:
        self._identity, self.context = identity, context
        self._generation = ""
        self.keep_up()

    def keep_up(self) -> None:
        """Show what is in use now, at connections to come. Raises ``IdentityError``."""
        generation = self._identity.pairs.generation()
        if generation != self._generation or not generation:
            self._identity.show(self.context)
            self._generation = generation


class Http:
    """A pool of connections. Follows no redirect: a token goes where it was meant to go.

    Raises:
        OperatorError: ``ca_file`` cannot be read.
    """

    def __init__(self, ca_file: str | None = None, *, identity: Identity | None = None) -> None:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=SILENCE_S)
        # Of our own services with a certificate, TLS 1.3 alone.
        self._shown = None if identity is None else _Shown(identity, tls_context(ca_file))
        secured = (
            {"ca_certs": ca_file} if self._shown is None else {"ssl_context": self._shown.context}
        )
        self._answering: set[urllib3.BaseHTTPResponse] = set()
        try:
            self._pool = urllib3.PoolManager(
                num_pools=4,
                maxsize=2,
                timeout=timeout,
                retries=False,
                **secured,
            )
        except OSError as e:
            raise OperatorError(f"updates: {ca_file}: {e.strerror or e}") from e

    def close(self) -> None:
        """Close every connection, those of answers that nobody reads on too; more can be opened."""
        for response in tuple(self._answering):
            response.close()
        # Clearing alone leaves them to the garbage collector.
        for key in self._pool.pools.keys():  # noqa: SIM118 — it cannot be iterated
            pool = self._pool.pools.get(key)
            if pool is not None:
                pool.close()
        self._pool.clear()

    def ask(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Send a request and read its answer.

        Raises:
            UpdateDelayedError: nobody answers, or with more than a megabyte.
        """
        with self.stream(method, url, headers=headers, body=body) as stream:
            found = bytearray()
            for chunk in stream.chunks:
                found += chunk
                if len(found) > MAX_ANSWER_BYTES:
                    raise UpdateDelayedError(f"{url}: answers more than {MAX_ANSWER_BYTES} bytes")
            return Answer(stream.status, bytes(found))

    @contextmanager
    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[Stream]:
        """Send a request and give its answer while it comes.

        Raises:
            UpdateDelayedError: nobody answers.
        """
        try:
            if self._shown is not None:
                self._shown.keep_up()
            response = self._pool.request(
                method, url, headers=dict(headers), body=body, preload_content=False, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError, IdentityError) as e:
            raise UpdateDelayedError(f"{url}: {_reason(e)}") from e
        whole = False
        self._answering.add(response)

        def chunks() -> Iterator[bytes]:
            nonlocal whole
            try:
                yield from response.stream(_CHUNK_BYTES, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as e:
                raise UpdateDelayedError(f"{url}: {_reason(e)}") from e
            whole = True

        try:
            yield Stream(response.status, response.headers, chunks())
        finally:
            self._answering.discard(response)
            # What is left of an endless answer is not read to keep its connection.
            if whole:
                response.release_conn()
            else:
                response.close()


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
