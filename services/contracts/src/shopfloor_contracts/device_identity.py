"""``[identity]`` of the site file: where key and certificate of a device are, and how kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shopfloor_contracts.base import Operator, refuse_twins


class IdentitySpec(Operator):
    """Key and certificate of this device. Off until ``folder`` is set."""

    folder: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Keeps both, and what is sealed to the device; the agent renews into it."""
    url: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """Of the identity service."""
    ca_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The root that the identity service is believed by; after enrolment ``folder`` has it."""
    key: Literal["file", "tpm"] = "file"
    """``tpm``: private keys are encrypted with a key that only this machine's TPM opens."""
    tpm: Annotated[str, Field(min_length=1, max_length=200)] = "device:/dev/tpmrm0"
    """How ``tpm2-tools`` reach it."""
    seal_pcrs: Annotated[list[Annotated[int, Field(ge=0, le=23)]], Field(max_length=24)] = Field(
        default_factory=list
    )
    """Registers that must be as they were at enrolment for the key to open."""
    quote_pcrs: Annotated[
        list[Annotated[int, Field(ge=0, le=23)]], Field(min_length=1, max_length=24)
    ] = Field(default=[0, 2, 4, 7])
    """Registers that the identity service is shown before it hands secrets out."""
    encrypt_at_rest: bool = False
    """Model bundles are kept sealed to the device's key, and opened in memory only."""

    @model_validator(mode="after")
    def _is_consistent(self) -> IdentitySpec:
        if self.url is not None and not self.url.startswith("https://"):
            raise ValueError(f"url is {self.url!r}, expected https://")
        if self.folder is None and (self.url is not None or self.encrypt_at_rest):
            raise ValueError("url and encrypt_at_rest want a folder")
        for name, pcrs in (("seal_pcrs", self.seal_pcrs), ("quote_pcrs", self.quote_pcrs)):
            refuse_twins(f"{name} register", [str(pcr) for pcr in pcrs])
        return self
