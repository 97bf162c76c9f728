"""TLS 1.3 for our HTTP servers, with the client's certificate handed on to the application."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from shopfloor_kit.errors import TlsFilesError
from shopfloor_kit.peers import SCOPE_KEY, Peer, PeerGuard, RevocationFile

log = logging.getLogger(__name__)

Clients = Literal["required", "optional"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What a server is known by, and whom it believes."""

    certificate: Path
    key: Path
    authority: Path
    clients: Clients = "required"
    """Whether a client without a certificate gets past the handshake."""


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which puts the verified certificate into the scope of each request.

    Under ASGI's TLS extension (``extensions.tls.client_cert_chain``) as PEM, and as a ``Peer``.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look at the certificate, once per connection."""
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        der = None if secured is None else secured.getpeercert(binary_form=True)
        if der:
            self.app = _Named(self.app, der)


class _Named:
    def __init__(self, app: Any, der: bytes) -> None:
        self._app: ASGIApp = app
        self._peer, self._pem = Peer.from_der(der), ssl.DER_cert_to_PEM_cert(der)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tls = {"client_cert_chain": [self._pem], "client_cert_name": f"CN={self._peer.name}"}
        scope["extensions"] = {**scope.get("extensions", {}), "tls": tls}
        scope[SCOPE_KEY] = self._peer
        await self._app(scope, receive, send)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that speaks TLS 1.3 only.

    Raises:
        TlsFilesError: a file cannot be read, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    required = files.clients == "required"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authority)
    except (OSError, ssl.SSLError) as e:
        names = f"{files.certificate}, {files.key}, {files.authority}"
        raise TlsFilesError(f"tls: {names}: {getattr(e, 'strerror', None) or e}") from e
    # A ticket would let a client come back without its certificate being looked at again.
    context.num_tickets = 0
    return context


def tls_options(files: TlsFiles | None) -> dict[str, Any]:
    """Return what ``uvicorn.Config`` takes beside; nothing without ``files``.

    Raises:
        TlsFilesError: see ``server_context``.
    """
    if files is None:
        return {}
    context = server_context(files)
    return {"ssl_context_factory": lambda _config, _default: context, "http": PeerProtocol}


def tls_of(
    certificate: Path | None, key: Path | None, authority: Path | None, clients: Clients
) -> TlsFiles | None:
    """Return what settings name, or None where they name nothing.

    Raises:
        ValueError: one of the three is missing.
    """
    if certificate is None and key is None and authority is None:
        return None
    if certificate is None or key is None or authority is None:
        raise ValueError("tls_cert_file, tls_key_file and tls_ca_file belong together")
    return TlsFiles(certificate, key, authority, clients)


def with_guard(app: ASGIApp, crl_file: Path | None) -> ASGIApp:
    """Refuse peers whose certificates have ended or stand on a list.

    Raises:
        RevocationListError: the list cannot be read.
    """
    return PeerGuard(app, revoked=None if crl_file is None else RevocationFile(crl_file))
