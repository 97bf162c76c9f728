"""Section ``[notify]`` of the site file: who hears of alerts beside the console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from shopfloor_contracts.base import Operator, Slug, refuse_twins
from shopfloor_contracts.rules import QuietHours, Severity

HostName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?$|^::1$", max_length=253)
]
"""A name or an address, in lower case, without scheme and port."""
_File = Annotated[str, Field(min_length=1, max_length=1000)]
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
PUSH_SERVICES = ("fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com")


class MessageTarget(Operator):
    """One place for messages: a topic of ntfy, a mailbox, a room of a chat."""

    name: Slug
    kind: Literal["ntfy", "email", "chat"]
    hosts: Annotated[list[HostName], Field(min_length=1, max_length=8)]
    """Every host that sending may speak to; any other is refused when it is tried."""
    url_file: _File
    """Holds apprise's URL with its secrets, as ``ntfys://token@ntfy.example.org/store``."""
    severity: Severity = Severity.WARNING
    """The least severe alert that is told here."""


class WebPushSpec(Operator):
    """Browsers that asked for notices on the console. What they are sent is encrypted for them."""

    key_file: _File
    """This device's private key (P-256, PEM); made when it is absent."""
    contact: Annotated[str, Field(pattern=r"^(mailto:[^\s@]+@[^\s@]+|https://\S+)$")]
    """Whom a push service asks when something is wrong with us."""
    hosts: Annotated[list[HostName], Field(min_length=1, max_length=16)] = Field(
        default_factory=lambda: list(PUSH_SERVICES)
    )
    """Push services of the browsers' makers."""
    severity: Severity = Severity.WARNING


class HomeAssistantSpec(Operator):
    """Home Assistant's MQTT broker in the building: states of rules and cameras."""

    host: HostName
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str | None = None
    password_file: _File | None = None
    ca_file: _File | None = None
    """For TLS; needed where the broker is not this machine."""
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9_/-]{1,100}$")] = "homeassistant"

    @model_validator(mode="after")
    def _is_encrypted(self) -> HomeAssistantSpec:
        if self.ca_file is None and self.host not in LOCAL_HOSTS:
            raise ValueError(f"host {self.host!r} is not this machine: a ca_file is required")
        return self


class NotifySpec(Operator):
    """Notices of alerts: rule, camera, zone and time in words; no picture, no name of a person."""

    targets: Annotated[list[MessageTarget], Field(max_length=8)] = Field(default_factory=list)
    web_push: WebPushSpec | None = None
    home_assistant: HomeAssistantSpec | None = None
    console_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+$", max_length=300)] | None = None
    """Where a tablet finds the console; a notice links to it."""
    quiet: Annotated[list[QuietHours], Field(max_length=8)] = Field(default_factory=list)
    """When nothing is sent, beside the console's own; what is still open is told afterwards."""
    digest_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Alerts of so many seconds become one message. A critical one does not wait."""
    messages_per_hour: Annotated[int, Field(ge=1, le=1000)] = 12
    """Of each target. What is over it waits, and becomes one message."""
    remind_s: Annotated[float, Field(ge=30, le=86_400)] = 600.0
    """After the console's ``escalate_s`` an alert that nobody acknowledged is told again, and
    so often after that."""
    reminders: Annotated[int, Field(ge=0, le=100)] = 6
    """So many times."""
    give_up_s: Annotated[float, Field(ge=60, le=7 * 86_400)] = 86_400.0
    """A notice that cannot be sent for so long is dropped and counted."""
    max_waiting: Annotated[int, Field(ge=10, le=100_000)] = 2000
    """Notices kept for all targets; the oldest of the least severe goes first."""

    @field_validator("targets")
    @classmethod
    def _names_are_unique(cls, targets: list[MessageTarget]) -> list[MessageTarget]:
        refuse_twins("target", [target.name for target in targets])
        return targets

    @property
    def is_on(self) -> bool:
        """Whether anything is told to anybody."""
        return bool(self.targets or self.web_push or self.home_assistant)

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that notices may go to."""
        return frozenset(self._hosts())

    def _hosts(self) -> Iterator[str]:
        for target in self.targets:
            yield from target.hosts
        if self.web_push is not None:
            yield from self.web_push.hosts
        if self.home_assistant is not None:
            yield self.home_assistant.host
