"""The identity service over HTTPS, TLS 1.3: enrol, renew, ask for secrets."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import urllib3
from pydantic import BaseModel, ValidationError

from shopfloor_contracts.enrolment import (
    ENROL_PATH,
    NONCE_PATH,
    RENEW_PATH,
    SECRET_INFO,
    SECRETS_PATH,
    EnrolRequest,
    Issued,
    Nonce,
    RenewRequest,
    Secrets,
    SecretsRequest,
)
from shopfloor_edge.errors import IdentityDelayedError, IdentityError, IdentityRefusedError
from shopfloor_edge.identity.pairs import Pairs
from shopfloor_edge.identity.sealing import Opener
from shopfloor_edge.identity.tpm import Tpm

CONNECT_S, SILENCE_S = 10.0, 30.0
MAX_ANSWER_BYTES = 16_000_000
"""A hundred secrets of 64 kB, in base64."""
_CLOCK_WORDS = ("not yet valid", "has expired")
M = TypeVar("M", bound=BaseModel)


def tls_context(authority: Path | str | None) -> ssl.SSLContext:
    """Return a client's context of TLS 1.3 that believes ``authority`` alone, or the machine's.

    Raises:
        IdentityError: the file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (OSError, ssl.SSLError) as e:
        raise IdentityError(f"{authority}: no authority can be read there: {e}") from e
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


class IdentityClient:
    """Asks one identity service; ``context`` shows the device's certificate, once it has one."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._url = url.rstrip("/")
        timeout = urllib3.Timeout(connect=CONNECT_S, read=SILENCE_S)
        self._pool = urllib3.PoolManager(
            num_pools=1, timeout=timeout, retries=False, ssl_context=context
        )

    def enrol(self, request: EnrolRequest) -> Issued:
        """Ask for the first certificate.

        Raises:
            IdentityRefusedError: token, clock or request are not as they should be.
            IdentityDelayedError: nobody answers.
        """
        return self._post(ENROL_PATH, request, Issued)

    def renew(self, csr: str) -> Issued:
        """Ask for the next certificate. Raises as ``enrol``."""
        return self._post(RENEW_PATH, RenewRequest(csr=csr, at=datetime.now(UTC)), Issued)

    def secrets(self, opener: Opener, tpm: Tpm | None, registers: list[int]) -> dict[str, bytes]:
        """Return the site's secrets, opened, by name; shows a quote where there is a TPM.

        Raises:
            IdentityRefusedError, IdentityDelayedError: as ``enrol``.
            TpmError: the TPM refuses.
            SealError: a secret is not sealed to this device.
        """
        quote = None
        if tpm is not None:
            nonce = self._post(NONCE_PATH, None, Nonce).nonce
            quote = tpm.quote(b64decode(nonce), registers)
        sealed = self._post(SECRETS_PATH, SecretsRequest(quote=quote), Secrets).sealed
        try:
            return {
                name: opener.open_bare(b64decode(text), SECRET_INFO + name.encode(), name)
                for name, text in sealed.items()
            }
        except Base64Error as e:
            raise IdentityDelayedError(f"{self._url}: secrets that are not understood") from e

    def close(self) -> None:
        """Close every connection."""
        for key in self._pool.pools.keys():  # noqa: SIM118 — it cannot be iterated
            pool = self._pool.pools.get(key)
            if pool is not None:
                pool.close()
        self._pool.clear()

    def _post(self, path: str, body: BaseModel | None, model: type[M]) -> M:
        url = self._url + path
        text = b"" if body is None else body.model_dump_json().encode()
        try:
            response = self._pool.request(
                "POST", url, body=text, headers={"content-type": "application/json"},
                preload_content=False, redirect=False,
            )  # fmt: skip
            content = response.read(MAX_ANSWER_BYTES + 1, decode_content=False)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as e:
            raise _trouble(url, e) from e
        if response.status >= 500:
            raise IdentityDelayedError(f"{url}: answers {response.status}")
        if response.status >= 400:
            raise _refusal(response.status, content)
        try:
            return model.model_validate_json(content)
        except ValidationError as e:
            raise IdentityDelayedError(f"{url}: answers what is not understood") from e


def context_for(pairs: Pairs, authority: Path | str | None) -> ssl.SSLContext:
    """Return a context that shows the pair in use. Raises ``IdentityError``."""
    context = tls_context(authority or pairs.current().authority)
    pairs.load(context)
    return context


def _trouble(url: str, error: Exception) -> IdentityError | IdentityDelayedError:
    """Say it in one line; a clock that is off is told apart, since trying again does not help."""
    said = (str(error).splitlines() or [type(error).__name__])[0][:300]
    if any(words in said for words in _CLOCK_WORDS):
        now = datetime.now(UTC)
        return IdentityDelayedError(
            f"{url}: a certificate is not valid at this device's time, {now:%Y-%m-%d %H:%M} UTC; "
            f"is its clock right? ({said})"
        )
    return IdentityDelayedError(f"{url}: {said}")


def _refusal(status: int, content: bytes) -> IdentityRefusedError | IdentityDelayedError:
    try:
        problem = json.loads(content)
        slug, detail = str(problem["type"]).rpartition(":")[2], str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        slug, detail = "unknown", f"answers {status}"
    if status == 429:
        return IdentityDelayedError(f"identity service: {detail}")
    return IdentityRefusedError(slug, detail[:400])
