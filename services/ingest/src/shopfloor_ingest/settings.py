"""What an operator sets: a TOML file, then ``SHOPFLOOR_INGEST_…``, then flags; the last wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Operator
from shopfloor_contracts.problems import describe
from shopfloor_ingest.errors import SettingsError

ENV_PREFIX = "SHOPFLOOR_INGEST_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Port = Annotated[int, Field(ge=1, le=65_535)]


class Settings(Operator):
    """One ingest process."""

    broker_host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1", description="the MQTT 5 broker"
    )
    broker_port: Port = Field(1883, description="its port")
    broker_username: str | None = Field(None, description="our account there")
    broker_password_file: Path | None = Field(None, description="a file with its password")
    broker_ca_file: Path | None = Field(
        None, description="who signed the broker's certificate; turns TLS on"
    )
    broker_cert_file: Path | None = Field(None, description="our certificate, for mutual TLS")
    broker_key_file: Path | None = Field(None, description="its key")
    client_id: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        "shopfloor-ingest", description="name of our session at the broker; one per replica"
    )
    session_expiry_s: Annotated[int, Field(ge=0, le=0xFFFFFFFE)] = Field(
        604_800, description="how long the broker keeps messages for us while we are away"
    )
    database: str = Field(
        "sqlite:///shopfloor-ingest.db", description="sqlite:///path or postgresql://user@host/name"
    )
    keep_events_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        90, description="days until a raw event is deleted, its sums stay; 0 keeps all"
    )
    keep_minutes_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        400, description="days until sums per minute are deleted, hours and days stay; 0 keeps all"
    )
    http_host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1", description="address to listen on; the API asks for no password"
    )
    http_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8080, description="its port; 0 takes a free one"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level that is logged"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Settings:
        if (self.broker_cert_file is None) != (self.broker_key_file is None):
            raise ValueError("broker_cert_file and broker_key_file belong together")
        if self.broker_password_file is not None and self.broker_username is None:
            raise ValueError("broker_password_file needs a broker_username")
        if self.broker_ca_file is None and self.broker_host not in LOOPBACK:
            raise ValueError(
                f"broker_host {self.broker_host!r} is not this machine: "
                "a broker_ca_file for TLS is required"
            )
        return self


def load_settings(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]
) -> Settings:
    """Merge the three sources; ``flags`` are by setting name.

    Raises:
        SettingsError: the file cannot be read, or a key or value is wrong.
    """
    values: dict[str, object] = {} if file is None else _checked_file(file)
    from_environment = {
        key.removeprefix(ENV_PREFIX).lower(): value
        for key, value in environment.items()
        if key.startswith(ENV_PREFIX)
    }
    return _validated({**values, **from_environment, **flags}, "flags and environment")


def read_password(settings: Settings) -> str | None:
    """Return the password, or None without a file.

    Raises:
        SettingsError: it cannot be read.
    """
    if settings.broker_password_file is None:
        return None
    try:
        return settings.broker_password_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"broker_password_file: {e}") from e


def _checked_file(file: Path) -> dict[str, object]:
    """Read the file, and check it by itself, so that an error names it."""
    try:
        values = tomllib.loads(file.read_text())
    except OSError as e:
        raise SettingsError(f"{file}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{file}: not TOML: {e}") from e
    _validated(values, str(file))
    return values


def _validated(values: Mapping[str, object], source: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as e:
        raise SettingsError(f"{source}: " + "; ".join(describe(e, Settings))) from e
