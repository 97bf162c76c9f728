"""Grafana's HTTP API, as far as boards need it: JSON in, JSON out, one error per kind of refusal.

The token is put into one header, and into no message.
"""

from __future__ import annotations

import ipaddress
from types import TracebackType
from typing import Any, Self

import httpx

from shopfloor_dashboards.errors import (
    GrafanaRefusedError,
    GrafanaUnavailableError,
    PushSettingsError,
)

TIMEOUT_S = 15
_MAX_DETAIL_CHARS = 200
_HINTS = {
    401: "the token is unknown or has expired",
    403: "the token's role may not do this, expected a service account with the role Admin",
    404: "there is no such thing in this Grafana, expected version 9.1 or newer",
    412: "somebody else changed it meanwhile",
}


class Grafana:
    """One Grafana, spoken to as one service account."""

    def __init__(self, url: str, token: str) -> None:
        base = checked_url(url)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise PushSettingsError("the token is empty or no token, expected that of Grafana")
        self._client = httpx.Client(
            base_url=base,
            headers={"authorization": f"Bearer {token}", "accept": "application/json"},
            timeout=TIMEOUT_S,
        )
        self._base = str(base)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def check(self) -> None:
        """Raise ``GrafanaRefusedError`` where something else than a Grafana answers."""
        health = self._send("GET", "/api/health", None)
        if not isinstance(health, dict) or "database" not in health:
            raise GrafanaRefusedError(f"{self._base}: answers, and is no Grafana")

    def find(self, path: str) -> Any | None:
        """Return what lies at ``path``; None where there is nothing."""
        return self._send("GET", path, None, absent=True)

    def create(self, path: str, body: object) -> None:
        """Send ``body`` as something new."""
        self._send("POST", path, body)

    def replace(self, path: str, body: object) -> None:
        """Send ``body`` in place of what lies at ``path``."""
        self._send("PUT", path, body)

    def _send(self, method: str, path: str, body: object, *, absent: bool = False) -> Any | None:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as e:
            raise GrafanaUnavailableError(f"{self._base}: {e or type(e).__name__}") from e
        if answer.status_code == 404 and absent:
            return None
        where = f"{self._base}: {method} {path}"
        if answer.status_code >= 500:
            raise GrafanaUnavailableError(f"{where}: status {answer.status_code}{_said(answer)}")
        if not answer.is_success:
            hint = _HINTS.get(answer.status_code, "")
            told = f"{where}: status {answer.status_code}{_said(answer)}"
            raise GrafanaRefusedError(f"{told}: {hint}" if hint else told)
        try:
            return answer.json()
        except ValueError as e:
            raise GrafanaRefusedError(f"{where}: answers, and is no Grafana") from e


def checked_url(url: str) -> httpx.URL:
    """Return the address of a Grafana to which a token may be sent.

    Raises:
        PushSettingsError: no URL, with a password in it, or in the clear to another machine.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as e:
        raise PushSettingsError(f"the URL is none ({e}), expected https://grafana.example") from e
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise PushSettingsError("the URL is none, expected e.g. https://grafana.example")
    if parsed.userinfo:
        raise PushSettingsError("the URL holds a password, expected a token beside it")
    if parsed.scheme == "http" and not _is_this_machine(parsed.host):
        raise PushSettingsError(f"{parsed.host}: http would show the token, expected https")
    return parsed


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _said(answer: httpx.Response) -> str:
    """Return Grafana's own message, as one short line."""
    try:
        said = answer.json()
    except ValueError:
        return ""
    message = said.get("message", "") if isinstance(said, dict) else ""
    line = " ".join(str(message).split())[:_MAX_DETAIL_CHARS]
    return f", {line!r}" if line else ""
