"""``shopfloorctl devices sync``: what the campaigns hear of devices, and the registry's labels."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from shopfloor_ctl.client import Client, Json
from shopfloor_ctl.commands.base import Context

PARTS = ("model", "config", "wheels")
"""Attributes of a device that hold the digest of what runs."""
_BATCH = 500


def sync(context: Context, _: argparse.Namespace) -> int:
    """Take devices' reports over into the registry, and its labels into the campaigns.

    A device without any label in the registry gets those that the campaigns have.
    """
    registry, campaigns = context.client("registry"), context.client("campaigns")
    heard = {one["name"]: one for one in _items(campaigns, "devices")}
    for device in heard.values():
        registry.send("PUT", _place(device), _report(device))
    labels = {f"{one['site']}.{one['device']}": one["labels"] for one in _items(registry, "items")}
    for name, device in heard.items():
        if device["labels"] and not labels[name]:
            labels[name] = device["labels"]
            registry.send("PUT", f"{_place(device)}/labels", {"labels": device["labels"]})
    changed = [
        {"name": name, "labels": labels[name], "time_zone": device["time_zone"]}
        for name, device in heard.items()
        if labels[name] != device["labels"]
    ]
    for begin in range(0, len(changed), _BATCH):
        campaigns.send("POST", "/devices", {"devices": changed[begin : begin + _BATCH]})
    context.screen.record({"devices": len(heard), "labelled": len(changed)})
    return 0


def _place(device: Json) -> str:
    return f"/devices/{device['name'].replace('.', '/', 1)}"


def _items(client: Client, key: str) -> Iterator[Json]:
    for page in client.pages("/devices", key=key):
        yield from page[key]


def _report(device: Json) -> Json:
    """Return the registry's body of what a device says; what it does not say stays as it was."""
    said = device["attributes"]
    report = {
        "hardware": said.get("hardware"),
        "capabilities": said["capabilities"].split(",") if said.get("capabilities") else None,
        "reported": {part: said[part] for part in PARTS if part in said} if said else None,
        "seen_at": device["last_seen_at"],
    }
    return {key: value for key, value in report.items() if value is not None}
