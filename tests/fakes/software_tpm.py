"""swtpm on free ports: a TPM 2.0 as the tools see one, with state in a folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

wants_tpm = pytest.mark.skipif(
    not (shutil.which("swtpm") and shutil.which("tpm2_quote")),
    reason="wants the OS packages swtpm and tpm2-tools",
)


@contextmanager
def software_tpm(folder: Path):
    """Run one; gives what ``[identity] tpm`` is to be."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _two_free_ports()
    argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}"]
    argv += ["--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}"]
    process = subprocess.Popen([*argv, "--flags", "not-need-init,startup-clear"])
    try:
        tcti = f"swtpm:host=127.0.0.1,port={port}"
        for _ in range(200):
            if _answers(port):
                break
            threading.Event().wait(0.02)
        yield tcti
    finally:
        process.terminate()
        process.wait(10)


def extend(tcti: str, register: int, digest: str) -> None:
    """Extend a PCR, as another boot would."""
    argv = ["tpm2_pcrextend", "-T", tcti, f"{register}:sha256={digest}"]
    subprocess.run(argv, check=True, capture_output=True)


def _answers(port: int) -> bool:
    # The control channel: a connection to the other one would end the TPM.
    try:
        socket.create_connection(("127.0.0.1", port + 1), timeout=1).close()
    except OSError:
        return False
    return True


def _two_free_ports() -> int:
    # The tools look for the control channel at the port after the TPM's.
    for _ in range(50):
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except (OSError, OverflowError):
                continue
            return port
    raise OSError("no two free ports beside each other")
