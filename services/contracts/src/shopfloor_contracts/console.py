"""Section ``[console]`` of the site file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shopfloor_contracts.base import Operator, refuse_twins
from shopfloor_contracts.rules import QuietHours


class ConsoleSpec(Operator):
    """The staff's web app in the building. Without a certificate only this device reaches it."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8480
    cert_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """With the chain up to the authority that the tablets trust."""
    key_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    languages: Annotated[tuple[Literal["en", "de"], ...], Field(min_length=1, max_length=2)] = (
        "en",
        "de",
    )
    """The first is for whoever has chosen none."""
    escalate_s: Annotated[float, Field(ge=10, le=86_400)] = 300.0
    """An alert that nobody has acknowledged by then is escalated."""
    quiet: Annotated[list[QuietHours], Field(max_length=8)] = Field(default_factory=list)
    """When nothing sounds and no notice goes out; the page still shows every alert."""

    @model_validator(mode="after")
    def _is_consistent(self) -> ConsoleSpec:
        refuse_twins("language", self.languages)
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        if self.cert_file is None and self.host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(
                f"host {self.host!r} is not this machine: cert_file and key_file are required"
            )
        return self
