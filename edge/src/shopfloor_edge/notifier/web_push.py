"""Browsers that asked for notices, through their makers' push services."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from shopfloor_contracts.notify import LOCAL_HOSTS, WebPushSpec
from shopfloor_contracts.rules import Severity
from shopfloor_edge.errors import NoticeDelayedError
from shopfloor_edge.journal.pushes import PUBLIC_KEY_FILE, PushBook, Subscription
from shopfloor_edge.notifier.hosts import HostRefusedError
from shopfloor_edge.notifier.sealing import (
    KeyRefusedError,
    authorization,
    load_key,
    public_text,
    seal,
)
from shopfloor_edge.notifier.texts import Message

log = logging.getLogger(__name__)

TIMEOUT_S = 8.0
KEEP_S = 3600
"""How long a push service keeps a message for a browser that is off: an alert is of now."""
BODY_MAX = 1500
GONE = frozenset({404, 410})
"""RFC 8030 §7.3: the browser has taken its subscription back."""
REFUSED = frozenset({400, 401, 403, 413})
"""This message or key is not wanted; another try is the same."""
_URGENCY = {Severity.INFO: "normal", Severity.WARNING: "high", Severity.CRITICAL: "high"}


class WebPushChannel:
    """Every browser of the book.

    Raises:
        OperatorError: the device's key cannot be read or made.
    """

    def __init__(
        self, spec: WebPushSpec, state: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._spec, self._clock = spec, clock
        self._key = load_key(Path(spec.key_file))
        self._book = PushBook(state)
        (state / PUBLIC_KEY_FILE).write_text(public_text(self._key) + "\n", encoding="ascii")
        self._http = urllib3.PoolManager(num_pools=4, retries=False, timeout=TIMEOUT_S)

    def send(self, message: Message) -> None:
        """Push to every browser; forget those that are gone.

        Raises:
            NoticeDelayedError: none of those that are left took it; try again.
        """
        failures, taken = [], 0
        for subscription in self._book.all():
            try:
                self._push(subscription, message)
                taken += 1
            except NoticeDelayedError as e:
                failures.append(str(e))
        # Trying again would tell those twice who have it.
        if failures and not taken:
            raise NoticeDelayedError(failures[0])
        if failures:
            log.warning("browsers not reached", extra={"browsers": len(failures)})

    def close(self) -> None:
        """Close connections and the book."""
        self._http.clear()
        self._book.close()

    def _push(self, subscription: Subscription, message: Message) -> None:
        endpoint = subscription.endpoint
        audience = audience_of(endpoint, self._spec)
        if audience is None:
            log.warning("browser forgotten, its push service is not named")
            self._book.remove(endpoint)
            return
        try:
            body = seal(_payload(message), p256dh=subscription.p256dh, auth=subscription.auth)
        except KeyRefusedError as e:
            log.warning("browser forgotten", extra={"reason": str(e)})
            self._book.remove(endpoint)
            return
        status = self._post(endpoint, body, audience, message.severity)
        if status in GONE:
            self._book.remove(endpoint)
        elif status in REFUSED:
            log.error("push service refuses", extra={"host": audience, "status": status})
        elif not 200 <= status < 300:
            raise NoticeDelayedError(f"{audience} answers {status}")

    def _post(self, endpoint: str, body: bytes, audience: str, severity: Severity) -> int:
        headers = {
            "Authorization": authorization(
                self._key, audience=audience, contact=self._spec.contact, now=self._clock()
            ),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(KEEP_S),
            "Urgency": _URGENCY[severity],
        }
        try:
            answer = self._http.request(
                "POST", endpoint, body=body, headers=headers, redirect=False
            )
        except (urllib3.exceptions.HTTPError, HostRefusedError) as e:
            # The endpoint is as good as an address of the browser: it stays out of logs.
            raise NoticeDelayedError(f"{audience}: {type(e).__name__}") from e
        return answer.status


def audience_of(endpoint: str, spec: WebPushSpec) -> str | None:
    """Return scheme and host of an endpoint; None when ``[notify.web_push]`` does not name it."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return None
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL_HOSTS)
    if not secure or parts.username is not None or host not in spec.hosts:
        return None
    return f"{parts.scheme}://{host}{port}"


def _payload(message: Message) -> bytes:
    told = {"title": message.title[:200], "body": message.body[:BODY_MAX], "link": message.link}
    return json.dumps(told, ensure_ascii=False).encode()
