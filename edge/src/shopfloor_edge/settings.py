"""Read a site file from disk; shared by the device's processes."""

from __future__ import annotations

from pathlib import Path

from shopfloor_contracts.errors import SiteFileError
from shopfloor_contracts.site import SiteFile, parse_site

MAX_SITE_BYTES = 1_000_000


def load_site(path: Path) -> SiteFile:
    """Read and check a site file.

    Raises:
        SiteFileError: it cannot be read, or what it says cannot be run.
    """
    try:
        if path.stat().st_size > MAX_SITE_BYTES:
            raise SiteFileError(str(path), [f"larger than {MAX_SITE_BYTES} bytes"])
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise SiteFileError(str(path), [e.strerror or str(e)]) from e
    except UnicodeDecodeError as e:
        raise SiteFileError(str(path), ["not UTF-8 text"]) from e
    return parse_site(text, source=str(path))
