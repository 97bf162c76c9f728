"""The processes of a device: their names, and how each is called."""

from __future__ import annotations

from pathlib import PurePosixPath

from shopfloor_provisioning.layout import Layout

COMMANDS = {
    "vision": "vision",
    "agent": "agent",
    "console": "console",
    "notify": "notify",
    "sensors": "sense",
    "station": "inspect",
}
"""What ``shopfloor-edge`` calls each."""


def argv(process: str, layout: Layout) -> list[str]:
    """Return the command line of a process; the units say the same."""
    state = ["--state", str(layout.state)]
    program = [str(layout.launcher), COMMANDS[process]]
    if process == "sensors":
        return [*program, "--config", str(layout.settings / "sensors.toml"), *state]
    if process == "station":
        return [*program, "run", "--recipe", str(layout.settings / "recipe.toml"), *state]
    return [*program, "--site", str(layout.site_file), *state]


def unit(process: str) -> str:
    """Return the name of its unit."""
    return f"shopfloor-{process}.service"


def pid_file(process: str, layout: Layout) -> PurePosixPath:
    """Return where its keeper writes its id, where there is no systemd."""
    return layout.run / f"{process}.pid"
