"""What an operator sets: a TOML file, then ``SHOPFLOOR_IDENTITY_…``; the last wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Operator, Slug
from shopfloor_contracts.problems import describe
from shopfloor_identity.domain.quotes import Policy
from shopfloor_identity.errors import SettingsError
from shopfloor_kit.tls import TlsFiles

ENV_PREFIX = "SHOPFLOOR_IDENTITY_"


class Settings(Operator):
    """One identity process, and its commands."""

    database: str = Field(
        "sqlite:///shopfloor-identity.db",
        description="sqlite:///path or postgresql://user@host/name",
    )
    authority: Path = Field(
        Path("online"), description="the ceremony's online folder: intermediate and root.crt"
    )
    crl_file: Path = Field(
        Path("ca.crl"), description="lists of revoked certificates, as the broker's crlfile"
    )
    broker_pid_file: Path | None = Field(
        None, description="of mosquitto, which is told by SIGHUP to read the lists again"
    )
    broker_restart: bool = Field(
        default=True,
        description="after a revocation end the broker by SIGTERM, for its supervisor to start "
        "it again: that cuts the revoked device's open connection too",
    )
    secrets_folder: Path | None = Field(
        None, description="SITE/NAME and SITE/DEVICE/NAME, handed out sealed; none by default"
    )
    attestation_file: Path | None = Field(
        None, description="which sites want a TPM's quote before they hand secrets out"
    )
    certificate_days: Annotated[int, Field(ge=1, le=397)] = Field(
        30, description="life of a device's certificate"
    )
    http_host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1", description="address to listen on"
    )
    http_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8092, description="its port; 0 takes a free one"
    )
    tls_cert_file: Path | None = Field(
        None, description="certificate of this service, with its chain; renewal wants TLS"
    )
    tls_key_file: Path | None = Field(None, description="its key")
    tls_ca_file: Path | None = Field(None, description="the root that devices' certificates end at")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level that is logged"
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Settings:
        given = [self.tls_cert_file, self.tls_key_file, self.tls_ca_file]
        if any(given) != all(given):
            raise ValueError("tls_cert_file, tls_key_file and tls_ca_file belong together")
        if not any(given) and self.http_host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(f"http_host {self.http_host!r} is not this machine: TLS is required")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """Return the files; a device that enrols has no certificate yet, so it is optional."""
        if self.tls_cert_file is None or self.tls_key_file is None or self.tls_ca_file is None:
            return None
        return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_ca_file, "optional")


class SitePolicy(Operator):
    """What one site wants to see of a device before it hands secrets out."""

    required: bool = True
    pcrs: dict[str, Annotated[list[str], Field(min_length=1, max_length=16)]] = Field(
        default_factory=dict
    )
    """PCR number → values that are accepted."""


class _Policies(Operator):
    sites: dict[Slug, SitePolicy] = Field(default_factory=dict)


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Merge both sources. Raises ``SettingsError``: a file, key or value is wrong."""
    values: dict[str, object] = {}
    if file is not None:
        values = _toml(file)
        _validated(values, str(file))
    from_environment = {
        key.removeprefix(ENV_PREFIX).lower(): value
        for key, value in environment.items()
        if key.startswith(ENV_PREFIX)
    }
    return _validated({**values, **from_environment}, "environment")


def load_policies(file: Path | None) -> dict[str, Policy]:
    """Return each site's policy. Raises ``SettingsError``."""
    if file is None:
        return {}
    try:
        found = _Policies.model_validate(_toml(file))
        return {
            site: Policy(
                policy.required,
                {_register(k): tuple(_value(v) for v in vs) for k, vs in policy.pcrs.items()},
            )
            for site, policy in found.sites.items()
        }
    except ValidationError as e:
        raise SettingsError(f"{file}: " + "; ".join(describe(e, _Policies))) from e
    except ValueError as e:
        raise SettingsError(f"{file}: {e}") from e


def _register(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 23:
        raise ValueError(f"pcr {text!r} is no register, expected 0 to 23")
    return int(text)


def _value(text: str) -> str:
    value = text.lower().removeprefix("0x")
    if len(value) != 64 or any(c not in "0123456789abcdef" for c in value):
        raise ValueError(f"pcr value {text[:80]!r} is no SHA-256 in hexadecimal")
    return value


def _toml(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as e:
        raise SettingsError(f"{file}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{file}: not TOML: {e}") from e


def _validated(values: Mapping[str, object], source: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as e:
        raise SettingsError(f"{source}: " + "; ".join(describe(e, Settings))) from e
