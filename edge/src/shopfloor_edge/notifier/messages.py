"""ntfy, e-mail and chats, through apprise."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from shopfloor_contracts.notify import LOCAL_HOSTS, MessageTarget
from shopfloor_contracts.rules import Severity
from shopfloor_edge.errors import NoticeDelayedError, OperatorError
from shopfloor_edge.notifier.texts import Message

URL_MAX = 4000
_SCHEMES = {"ntfy": {"ntfy", "ntfys"}, "email": {"mailto", "mailtos"}}
_OF_THIS_MACHINE = {"dbus", "file", "glib", "gnome", "kde", "macosx", "syslog", "qt", "windows"}


class MessageChannel:
    """One target. Its URL is read at the start and never logged.

    Raises:
        OperatorError: apprise is absent, or the URL cannot be read or used.
    """

    def __init__(self, target: MessageTarget) -> None:
        self._apprise = _import_apprise()
        # It tells addresses, and of some services tokens too.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        url = _read_url(target)
        self._service: Any = self._apprise.Apprise()
        plugin = self._apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if plugin is None:
            raise OperatorError(
                f"notify target {target.name!r}: {target.url_file} holds no URL that apprise knows"
            )
        _check(target, url.partition("://")[0].lower(), plugin)
        # It sleeps up to 5.5 s before each message; [notify] messages_per_hour bounds them here.
        plugin.request_rate_per_sec = 0
        self._service.add(plugin)
        self._name = target.name

    def send(self, message: Message) -> None:
        """Hand a message over.

        Raises:
            NoticeDelayedError: it was not taken.
        """
        kinds = self._apprise.NotifyType
        kind = {
            Severity.INFO: kinds.INFO,
            Severity.WARNING: kinds.WARNING,
            Severity.CRITICAL: kinds.FAILURE,
        }[message.severity]
        taken = self._service.notify(
            title=message.title,
            body=message.body,
            notify_type=kind,
            body_format=self._apprise.NotifyFormat.TEXT,
        )
        if not taken:
            raise NoticeDelayedError(f"{self._name} did not take it")


def _check(target: MessageTarget, scheme: str, plugin: Any) -> None:
    where = f"notify target {target.name!r}"
    expected = _SCHEMES.get(target.kind)
    if scheme in _OF_THIS_MACHINE or (expected is not None and scheme not in expected):
        wanted = " or ".join(f"{name}://" for name in sorted(expected or {"a chat's URL"}))
        raise OperatorError(f"{where}: {target.url_file} holds {scheme}://…, expected {wanted}")
    clear = plugin.protocol or ()
    clear = {clear} if isinstance(clear, str) else set(clear)
    if scheme in clear and not set(target.hosts) <= LOCAL_HOSTS:
        raise OperatorError(
            f"{where}: {scheme}:// is not encrypted, and goes to {', '.join(target.hosts)}; "
            f"use {scheme}s://, or a host of this machine"
        )


def _read_url(target: MessageTarget) -> str:
    path = Path(target.url_file)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise OperatorError(f"notify target {target.name!r}: {path}: {e}") from e
    if "\n" in text or not 0 < len(text) <= URL_MAX:
        raise OperatorError(f"notify target {target.name!r}: {path}: expected one line with a URL")
    return text


def _import_apprise() -> Any:
    try:
        import apprise  # noqa: PLC0415 — an extra: only who notifies has it
    except ImportError as e:
        raise OperatorError(
            "apprise is not installed; 'pip install shopfloor-edge[notify]' brings it"
        ) from e
    return apprise
