"""Files with a secret in them: sealed to this device, or plain as on a laptop."""

from __future__ import annotations

from pathlib import Path

from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.errors import SealError
from shopfloor_edge.identity.marks import MAX_BYTES, OVERHEAD_BYTES, is_sealed, purpose_of

_KNOWN: dict[Path, IdentitySpec] = {}
"""Folders of identities whose files this process may open."""


def read_secret(path: Path, *, limit_bytes: int = MAX_BYTES) -> bytes:
    """Return what a file holds, little more than ``limit_bytes`` of it; a sealed one is opened.

    Where the key is follows from the file's place: ``IDENTITY/secrets/NAME``.

    Raises:
        OSError: it cannot be read.
        SealError: it is sealed, and not to this device.
    """
    with path.open("rb") as file:
        content = file.read(limit_bytes + OVERHEAD_BYTES + 1)
    return _open(path, content) if is_sealed(content) else content


def use_identity(site: SiteFile) -> None:
    """Let sealed files of this site's identity be opened by this process."""
    if site.identity.folder is not None:
        _KNOWN[Path(site.identity.folder).absolute()] = site.identity


def _open(path: Path, sealed: bytes) -> bytes:
    # Loaded for sealed files alone: a process without any keeps its memory.
    from shopfloor_edge.identity.pairs import opener_of  # noqa: PLC0415

    folder = path.absolute().parent.parent
    spec = _KNOWN.get(folder)
    if spec is None:
        raise SealError(f"{path}: is sealed, and no [identity] folder of the site file is {folder}")
    return opener_of(spec).open(sealed, purpose_of(path.name))
