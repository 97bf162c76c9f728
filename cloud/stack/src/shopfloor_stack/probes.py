"""Whether a part does its work, asked as its clients would."""

from __future__ import annotations

import socket
import subprocess
from urllib.parse import urlsplit

import httpx

from shopfloor_stack.programs import postgresql_versions

ANSWER_S = 3.0


def complaint(url: str) -> str | None:
    """Return what is wrong with the part at ``url``, in a few words, or None.

    ``http`` wants an answer of 200, ``postgresql`` a server that takes sessions, anything else a
    TCP connection.
    """
    address = urlsplit(url)
    if address.scheme == "http":
        return _answers(url)
    if address.scheme == "postgresql":
        return _takes_sessions(str(address.hostname), str(address.port))
    return _listens(str(address.hostname), int(address.port or 0))


def is_free(host: str, port: int) -> bool:
    """Say whether a part can listen there."""
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> str | None:
    try:
        status = httpx.get(url, timeout=ANSWER_S, trust_env=False).status_code
    except httpx.TransportError as e:
        return f"no answer: {e}"
    return None if status == 200 else f"answers with {status}"


def _takes_sessions(host: str, port: str) -> str | None:
    versions = postgresql_versions()
    program = str(versions[max(versions)] / "pg_isready") if versions else "pg_isready"
    argv = [program, "-q", "-h", host, "-p", port, "-t", f"{ANSWER_S:.0f}"]
    try:
        status = subprocess.run(argv, check=False).returncode
    except FileNotFoundError:
        return "pg_isready is not installed"
    return None if status == 0 else "takes no sessions"


def _listens(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=ANSWER_S).close()
    except OSError as e:
        return f"no connection: {e.strerror or e}"
    return None
