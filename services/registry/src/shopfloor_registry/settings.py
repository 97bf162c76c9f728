"""What an operator sets: a TOML file, then ``SHOPFLOOR_REGISTRY_…``, then flags; the last wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Operator
from shopfloor_contracts.problems import describe
from shopfloor_kit.tls import Clients, TlsFiles, tls_of
from shopfloor_registry.errors import SettingsError

ENV_PREFIX = "SHOPFLOOR_REGISTRY_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(Operator):
    """One registry process."""

    database: str = Field(
        "sqlite:///shopfloor-registry.db",
        description="sqlite:///path or postgresql://user@host/name",
    )
    folder: Path = Field(
        Path("shopfloor-registry"), description="artefacts, and uploads while they are checked"
    )
    s3_bucket: str | None = Field(None, description="keep artefacts there instead; extra 's3'")
    s3_prefix: str = Field("", description="what their names begin with there")
    s3_endpoint: str | None = Field(None, description="URL of a store that is not Amazon's")
    s3_region: str = Field("us-east-1", description="region of the bucket")
    gates: Path | None = Field(None, description="rules of gates in TOML, instead of our own")
    tuf_repository: Path | None = Field(
        None, description="folder of the TUF repository; without it nothing is published"
    )
    tuf_online_keys: Path | None = Field(
        None, description="folder of its online keys, snapshot and timestamp"
    )
    http_host: Annotated[str, Field(min_length=1)] = Field(
        "127.0.0.1", description="address to listen on; any other wants TLS, ours or a proxy's"
    )
    http_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        8081, description="its port; 0 takes a free one"
    )
    upload_bytes_max: Annotated[int, Field(ge=10_240)] = Field(
        1 << 30, description="largest bundle that is taken, in bytes"
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
