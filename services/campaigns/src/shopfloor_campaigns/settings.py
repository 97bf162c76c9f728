"""What an operator sets: a TOML file, then ``SHOPFLOOR_CAMPAIGNS_…``, then flags; the last wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from shopfloor_campaigns.errors import SettingsError
from shopfloor_contracts.base import Operator, Slug
from shopfloor_contracts.problems import describe
from shopfloor_kit.tls import Clients, TlsFiles, tls_of

ENV_PREFIX = "SHOPFLOOR_CAMPAIGNS_"


class Settings(Operator):
    """One campaigns process."""

    database: str = Field(
        "sqlite:///shopfloor-campaigns.db",
        description="sqlite:///path or postgresql://user@host/name; one process writes to it",
    )
    tenant: Slug = Field("default", description="first part of every device's path")
    poll_s: Annotated[int, Field(ge=1, le=86_399)] = Field(
        60, description="how often a device is asked to come"
    )
    targets_url: Annotated[str, Field(pattern=r"^https?://[^\s]+[^/\s]$")] = Field(
        "http://127.0.0.1:8090/tuf/targets", description="where the registry serves TUF targets"
    )
    registry_url: Annotated[str, Field(pattern=r"^https?://[^\s]+[^/\s]$")] | None = Field(
        None, description="where people reach the registry; the console links to its models"
    )
    artifact_folder: Path | None = Field(
        None, description="hand files out ourselves, named by their sha256, instead of the registry"
    )
    gateway_token_file: Path | None = Field(
        None, description="a file with a token that speaks for every device; none by default"
    )
    http_host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1", description="address to listen on; any other wants TLS, ours or a proxy's"
    )
    http_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8091, description="its port; 0 takes a free one"
    )
    tls_cert_file: Path | None = Field(
        None, description="certificate of this service, with its chain: TLS 1.3 by ourselves"
    )
    tls_key_file: Path | None = Field(None, description="its key")
    tls_ca_file: Path | None = Field(None, description="the root that clients' certificates end at")
    tls_clients: Clients = Field(
        "required", description="a client's certificate: required or optional (browsers)"
    )
    crl_file: Path | None = Field(
        None, description="lists of revoked certificates, from the identity service"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level that is logged"
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Settings:
        if self.tls is None and self.crl_file is not None:
            raise ValueError("crl_file wants tls_cert_file, tls_key_file and tls_ca_file")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """Return the files of TLS, or None without."""
        return tls_of(self.tls_cert_file, self.tls_key_file, self.tls_ca_file, self.tls_clients)


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


def read_gateway_token(settings: Settings) -> str | None:
    """Return the token, or None without a file. Raises ``SettingsError``."""
    if settings.gateway_token_file is None:
        return None
    try:
        token = settings.gateway_token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"gateway_token_file: {e}") from e
    if len(token) < 32:
        raise SettingsError(f"gateway_token_file: {len(token)} characters, expected 32 or more")
    return token


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
