"""A TPM 2.0 through the OS package ``tpm2-tools``: a secret that only this machine opens, quotes.

The tools and no library: they come with security updates of the OS, need no compiler, and a fault
in them ends a child and not the agent. Secrets pass through pipes, never through files or command
lines. Objects are flushed after each step, for a TPM without a resource manager.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.enrolment import Quote
from shopfloor_edge.errors import TpmError
from shopfloor_edge.identity.files import write_private

PATIENCE_S = 60.0
DEFAULT_TCTI = "device:/dev/tpmrm0"
_SIGNING = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda"


@dataclass(frozen=True, slots=True)
class Tpm:
    """One TPM.

    Args:
        folder: keeps the public and the wrapped halves of keys; worth nothing on another machine.
        tcti: how the tools reach it: ``device:/dev/tpmrm0``, ``swtpm:host=…,port=…``.
    """

    folder: Path
    tcti: str = DEFAULT_TCTI

    def seal(self, name: str, secret: bytes, registers: Sequence[int] = ()) -> None:
        """Keep up to 128 bytes, which open on this machine only, and with these PCR values only.

        Raises:
            TpmError: there is no TPM, or it refuses.
        """
        with self._workshop() as work:
            policy: list[str] = []
            if registers:
                banks = f"sha256:{','.join(map(str, registers))}"
                self._run(work, "createpolicy", "-Q", "--policy-pcr", "-l", banks, "-L", "policy")
                policy = ["-L", "policy"]
            parts = ["-u", "key.pub", "-r", "key.priv"]
            self._run(work, "create", "-Q", "-C", "primary", *parts, *policy, "-i-", told=secret)
            self._keep(work, name)

    def unseal(self, name: str, registers: Sequence[int] = ()) -> bytes:
        """Return what was sealed. Raises ``TpmError``: other machine, or other PCR values."""
        with self._workshop() as work:
            self._load(work, name)
            auth = ["-p", f"pcr:sha256:{','.join(map(str, registers))}"] if registers else []
            return self._run(work, "unseal", "-Q", "-c", "loaded", *auth)

    def attestation_key(self) -> str:
        """Return the public key that quotes are signed with, as PEM; made at the first call.

        Raises:
            TpmError: there is no TPM, or it refuses.
        """
        with self._workshop() as work:
            if not (self.folder / "quote.pub").exists():
                parts = ["-u", "key.pub", "-r", "key.priv", "-a", _SIGNING]
                self._run(
                    work, "create", "-Q", "-C", "primary", "-G", "ecc256:ecdsa-sha256:null", *parts
                )
                self._keep(work, "quote")
            self._load(work, "quote")
            self._run(work, "readpublic", "-Q", "-c", "loaded", "-f", "pem", "-o", "quote.pem")
            return (work / "quote.pem").read_text()

    def quote(self, nonce: bytes, registers: Sequence[int]) -> Quote:
        """Return what the machine has booted, signed. Raises ``TpmError``."""
        numbers = sorted(registers)
        banks = f"sha256:{','.join(map(str, numbers))}"
        with self._workshop() as work:
            self._load(work, "quote")
            outputs = ["-m", "message", "-s", "signature", "-f", "plain", "-g", "sha256"]
            asked = ["-l", banks, "-q", nonce.hex()]
            self._run(work, "quote", "-Q", "-c", "loaded", *asked, *outputs)
            self._run(work, "pcrread", "-Q", banks, "-o", "values")
            values = (work / "values").read_bytes()
            return Quote(
                nonce=b64encode(nonce).decode(),
                message=b64encode((work / "message").read_bytes()).decode(),
                signature=b64encode((work / "signature").read_bytes()).decode(),
                registers={n: values[32 * i : 32 * i + 32].hex() for i, n in enumerate(numbers)},
            )

    @contextlib.contextmanager
    def _workshop(self) -> Iterator[Path]:
        """Give a private folder that has the machine's primary key in it."""
        with tempfile.TemporaryDirectory(prefix="shopfloor-tpm-") as name:
            work = Path(name)
            # The template and the TPM's own seed make the same key each time.
            self._run(work, "createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "ecc",
                      "-c", "primary")  # fmt: skip
            try:
                yield work
            except OSError as e:
                raise TpmError(f"tpm: {e}") from e

    def _keep(self, work: Path, name: str) -> None:
        # The private half last: it is what makes the pair look whole.
        for half in ("pub", "priv"):
            write_private(self.folder / f"{name}.{half}", (work / f"key.{half}").read_bytes())

    def _load(self, work: Path, name: str) -> None:
        halves = [str((self.folder / f"{name}.{half}").absolute()) for half in ("pub", "priv")]
        parts = ["-u", halves[0], "-r", halves[1], "-c", "loaded"]
        self._run(work, "load", "-Q", "-C", "primary", *parts)

    def _run(self, work: Path, tool: str, *arguments: str, told: bytes = b"") -> bytes:
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+NONE"}
        try:
            done = subprocess.run(
                [f"tpm2_{tool}", *arguments], cwd=work, env=environment, input=told,
                capture_output=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            subprocess.run(
                ["tpm2_flushcontext", "-t"], cwd=work, env=environment, capture_output=True,
                timeout=PATIENCE_S, check=False,
            )  # fmt: skip
        except FileNotFoundError as e:
            raise TpmError("tpm: tpm2-tools are absent; 'apt-get install tpm2-tools'") from e
        except subprocess.TimeoutExpired as e:
            raise TpmError(f"tpm: tpm2_{tool} did not end within {PATIENCE_S:.0f} s") from e
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason"]
            raise TpmError(f"tpm: {self.tcti}: tpm2_{tool}: {said[0][:200]}")
        return done.stdout
