"""The campaigns' device API (hawkBit DDI v1), as a client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from shopfloor_contracts.ddi import CancelAction, ConfigData, DeploymentBase, Link, PollAnswer
from shopfloor_edge.agent.updater.desk import Box, Letter
from shopfloor_edge.agent.updater.http import Answer, Http
from shopfloor_edge.errors import SealError, UpdateDelayedError, UpdateRefusedError
from shopfloor_edge.identity.secret_files import read_secret

TENANT = "default"
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,100}")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Errand:
    """What a poll said."""

    sleep_s: float
    deployment: str | None
    """Number of the action."""
    cancel: str | None
    wants_attributes: bool


class Campaigns:
    """One device at one server. Every address is ours: a link only names an action."""

    def __init__(self, http: Http, url: str, controller: str, token_file: str | None) -> None:
        self._http, self._token_file = http, token_file
        self._base = f"{url.rstrip('/')}/{TENANT}/controller/v1/{quote(controller)}"

    def poll(self) -> Errand:
        """Ask what is to be done.

        Raises:
            UpdateDelayedError: no answer that is understood.
            UpdateRefusedError: the server does not know this device or its token.
        """
        answer = self._get("", PollAnswer)
        links = answer.links
        hours, minutes, seconds = map(int, answer.config.polling.sleep.split(":"))
        return Errand(
            float(hours * 3600 + minutes * 60 + seconds),
            _action(links.deployment_base),
            _action(links.cancel_action),
            links.config_data is not None,
        )

    def deployment(self, action: str) -> DeploymentBase:
        """Return what the action is about.

        Raises:
            UpdateDelayedError, UpdateRefusedError: see ``poll``.
        """
        return self._get(f"/deploymentBase/{action}", DeploymentBase)

    def cancelled(self, action: str) -> str:
        """Return the action that is to be stopped.

        Raises:
            UpdateDelayedError, UpdateRefusedError: see ``poll``.
        """
        return self._get(f"/cancelAction/{action}", CancelAction).cancel_action.stop_id

    def describe(self, data: ConfigData) -> None:
        """Say what this device is.

        Raises:
            UpdateDelayedError, UpdateRefusedError: see ``poll``.
        """
        self._checked(self._ask("PUT", "/configData", data.model_dump_json().encode()))

    def deliver(self, letter: Letter) -> None:
        """Send a letter.

        Raises:
            UpdateDelayedError: it has to be sent again.
            UpdateRefusedError: the server will never take it.
        """
        places = {
            Box.FEEDBACK: f"/deploymentBase/{letter.action}/feedback",
            Box.CANCEL: f"/cancelAction/{letter.action}/feedback",
            Box.EVIDENCE: f"/deploymentBase/{letter.action}/evidence",
        }
        self._checked(self._ask("POST", places[letter.box], letter.body.encode()))

    def _get(self, path: str, kind: type[M]) -> M:
        answer = self._checked(self._ask("GET", path))
        try:
            return kind.model_validate_json(answer.body)
        except ValidationError as e:
            raise UpdateDelayedError(f"{self._base}{path}: {e.errors()[0]['msg']}") from e

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token_file is not None:
            try:
                token = read_secret(Path(self._token_file)).decode().strip()
            except (OSError, UnicodeDecodeError, SealError) as e:
                raise UpdateRefusedError(f"{self._token_file}: {e}") from e
            headers["Authorization"] = f"TargetToken {token}"
        return self._http.ask(method, f"{self._base}{path}", headers=headers, body=body)

    def _checked(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        said = f"{self._base}: HTTP {answer.status}"
        if 400 <= answer.status < 500 and answer.status not in (401, 403, 408, 429):
            raise UpdateRefusedError(said)
        # A wrong token is mended by a person, and nothing may be lost until then.
        raise UpdateDelayedError(said)


def _action(link: Link | None) -> str | None:
    """Return the number at a link's end; what is no number could lead elsewhere."""
    if link is None:
        return None
    name = urlsplit(link.href).path.rpartition("/")[2]
    return name if _ACTION.fullmatch(name) else None
