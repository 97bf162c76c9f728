"""Programs of the operating system that parts are, and the packages that they come in."""

from __future__ import annotations

import shutil
from pathlib import Path

from shopfloor_stack.errors import PackageMissingError

POSTGRESQL = Path("/usr/lib/postgresql")
OLDEST_POSTGRESQL = 15

# Debian keeps servers in /usr/sbin, which is not on everybody's path.
_PLACES = "/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin"
_PACKAGES = {
    "mosquitto": "mosquitto",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "psql": "postgresql-client",
    "postgres": "postgresql-15",
}
_OTHER_NAMES = {"prometheus-alertmanager": "alertmanager"}


def find(name: str) -> Path | None:
    """Return where the program is, or None."""
    for known in filter(None, (name, _OTHER_NAMES.get(name))):
        path = shutil.which(known) or shutil.which(known, path=_PLACES)
        if path is not None:
            return Path(path)
    return None


def postgresql_versions() -> dict[int, Path]:
    """Return the folder of programs of each PostgreSQL that can be used, by major version."""
    folders = {
        int(folder.name): folder / "bin"
        for folder in POSTGRESQL.glob("*")
        if folder.name.isdigit() and (folder / "bin" / "postgres").exists()
    }
    return {version: path for version, path in folders.items() if version >= OLDEST_POSTGRESQL}


def require() -> dict[str, Path]:
    """Return every program that a stack cannot do without, by name.

    Raises:
        PackageMissingError: some are not installed; names them and their packages.
    """
    found = {name: find(name) for name in _PACKAGES if name != "postgres"}
    missing = [name for name, path in found.items() if path is None]
    if not postgresql_versions():
        missing.append("postgres")
    if missing:
        raise PackageMissingError(missing, sorted({_PACKAGES[name] for name in missing}))
    return {name: path for name, path in found.items() if path is not None}


def grafana() -> list[str] | None:
    """Return the command that starts Grafana's server, or None: no distribution packages it."""
    server = find("grafana-server")
    if server is not None:
        return [str(server)]
    program = find("grafana")
    return None if program is None else [str(program), "server"]
