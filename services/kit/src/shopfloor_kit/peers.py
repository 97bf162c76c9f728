"""Who is at the other end of a TLS connection, and whether its certificate still counts.

The protocol of ``shopfloor_kit.tls`` puts the certificate that the handshake has verified into
ASGI's scope; here it becomes a ``Peer``, and a request of a revoked one is answered with 403.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from starlette.types import ASGIApp, Receive, Scope, Send

from shopfloor_kit.errors import RevocationListError
from shopfloor_kit.problems import problem_response

log = logging.getLogger(__name__)

SCOPE_KEY = "shopfloor.peer"
LOOK_S = 1.0
"""How often a list's file is looked at."""
_BEGIN, _END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"


@dataclass(frozen=True, slots=True)
class Peer:
    """A client whose certificate the handshake has verified."""

    name: str
    """The common name: ``SITE/DEVICE`` of a device."""
    issuer: bytes
    serial: int
    not_after: datetime

    @classmethod
    def from_der(cls, certificate: bytes) -> Peer:
        """Read what counts of a certificate."""
        found = x509.load_der_x509_certificate(certificate)
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else ""
        return cls(
            name, found.issuer.public_bytes(), found.serial_number, found.not_valid_after_utc
        )


def peer_of(scope: Mapping[str, Any]) -> Peer | None:
    """Return who is at the other end, or None without TLS or without a certificate."""
    peer = scope.get(SCOPE_KEY)
    return peer if isinstance(peer, Peer) else None


class RevocationFile:
    """The authority's lists, as the identity service writes them; read again when they change.

    Raises:
        RevocationListError: the file cannot be read at the start. Later the last lists that could
            be read go on to count, until they end.
    """

    def __init__(self, path: Path, *, look_s: float = LOOK_S) -> None:
        self._path, self._look_s, self._lock = path, look_s, threading.Lock()
        self._looked_s, self._stamp = float("-inf"), (0, 0)
        self._revoked: frozenset[tuple[bytes, int]] = frozenset()
        self._ends_at = datetime.min.replace(tzinfo=UTC)
        self._read()

    def complaint(self, peer: Peer, now: datetime) -> str | None:
        """Say why ``peer`` is not to be served, or None."""
        self._look()
        if now >= self._ends_at:
            return f"the list of revoked certificates ended at {self._ends_at:%Y-%m-%d %H:%M} UTC"
        if (peer.issuer, peer.serial) in self._revoked:
            return f"the certificate {peer.serial:x} of {peer.name!r} is revoked"
        return None

    def _look(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._looked_s < self._look_s:
                return
            try:
                self._read()
            except RevocationListError as e:
                log.error("list of revoked certificates not read", extra={"reason": str(e)})  # noqa: TRY400

    def _read(self) -> None:
        self._looked_s = time.monotonic()
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return
            lists = read_lists(self._path.read_bytes())
        except (OSError, ValueError) as e:
            raise RevocationListError(f"{self._path}: {e}") from e
        ends = [one.next_update_utc for one in lists if one.next_update_utc is not None]
        self._revoked = frozenset(
            (one.issuer.public_bytes(), r.serial_number) for one in lists for r in one
        )
        self._ends_at, self._stamp = min(ends), stamp


def read_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    """Return every list in ``pem``. Raises ``ValueError`` where there is none."""
    parts = [_BEGIN + part.partition(_END)[0] + _END for part in pem.split(_BEGIN)[1:]]
    if not parts:
        raise ValueError("holds no list of revoked certificates")
    return [x509.load_pem_x509_crl(part) for part in parts]


class PeerGuard:
    """ASGI middleware: refuses a peer whose certificate has ended or was revoked meanwhile.

    A connection that is kept alive outlives the handshake's check, so each request is checked.
    """

    def __init__(
        self, app: ASGIApp, *, revoked: RevocationFile | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._app, self._revoked, self._now = app, revoked, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        peer = peer_of(scope)
        complaint = None if peer is None else self._complaint(peer)
        if complaint is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        log.warning("peer refused", extra={"reason": complaint, "client": client})
        await problem_response(403, "certificate-refused", complaint)(scope, receive, send)

    def _complaint(self, peer: Peer) -> str | None:
        now = self._now()
        if now >= peer.not_after:
            return f"the certificate of {peer.name!r} ended at {peer.not_after:%Y-%m-%d %H:%M} UTC"
        return None if self._revoked is None else self._revoked.complaint(peer, now)
