"""Where a camera is and who may look: the URI apart from user and password.

A password in a site file is read by everyone who reads the site file, so it may stand in a file
of its own. It is read at every opening: a changed password needs no restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from shopfloor_edge.cameras.uris import KNOWN_FORMS, Medium, medium_of, redact
from shopfloor_edge.errors import SealError, SourceUnusableError
from shopfloor_edge.identity.secret_files import read_secret

Transport = Literal["tcp", "udp"]
MAX_PASSWORD_BYTES = 4096
"""Larger is another file."""
_PORTS = {"rtsp": 554, "rtspt": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """What a reader needs to open a camera."""

    uri: str = field(repr=False)
    """Without user and password; a log-in in its query is still there."""
    username: str = ""
    password: str = field(default="", repr=False)
    transport: Transport = "tcp"

    @property
    def medium(self) -> Medium:
        """How the camera is reached."""
        return medium_of(self.uri)

    @property
    def name(self) -> str:
        """The address as it may be written anywhere."""
        return redact(self.uri)

    @property
    def host_and_port(self) -> tuple[str, int] | None:
        """Whom a network camera's reader connects to; None for anything else."""
        if self.medium not in (Medium.RTSP, Medium.MJPEG):
            return None
        parts = urlsplit(self.uri)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme.lower()]

    def scrub(self, text: str) -> str:
        """Return ``text`` without what is secret here, for messages of a library."""
        return _without((self.uri,), _without((self.password,), text))


def address_of(
    uri: str,
    *,
    username: str | None = None,
    password_file: str | None = None,
    transport: Transport = "tcp",
) -> CameraAddress:
    """Take user and password out of ``uri``, or from the settings beside it.

    Raises:
        SourceUnusableError: the URI cannot be understood, or the password file cannot be read.
    """
    if medium_of(uri) not in (Medium.RTSP, Medium.MJPEG):
        return CameraAddress(uri)
    try:
        parts = urlsplit(uri)
        if not parts.hostname or (parts.port or 1) < 1:
            raise ValueError
    except ValueError:
        raise SourceUnusableError(f"{redact(uri)}: no host, or a port that is none") from None
    password = unquote(parts.password or "")
    if password_file is not None:
        password = _read_password(Path(password_file))
    return CameraAddress(
        urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1])),
        username if username is not None else unquote(parts.username or ""),
        password,
        transport,
    )


def check_known(address: CameraAddress) -> None:
    """Refuse a URI of a kind that nothing here reads.

    Raises:
        SourceUnusableError: it is of no known form.
    """
    if address.medium is Medium.UNKNOWN:
        raise SourceUnusableError(f"the URI is none of {KNOWN_FORMS}")


def _read_password(path: Path) -> str:
    try:
        content = read_secret(path, limit_bytes=MAX_PASSWORD_BYTES)
        if len(content) > MAX_PASSWORD_BYTES:
            raise SourceUnusableError(f"{path}: larger than {MAX_PASSWORD_BYTES} bytes")
        return content.decode().rstrip("\r\n")
    except OSError as e:
        raise SourceUnusableError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise SourceUnusableError(f"{path}: not UTF-8 text") from e
    except SealError as e:
        raise SourceUnusableError(str(e)) from e


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return text
