"""The site file of each device, made from the site's file and read as the device will read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from pydantic import JsonValue, ValidationError

from shopfloor_contracts.problems import describe
from shopfloor_contracts.site import SiteFile
from shopfloor_provisioning.errors import StoreFileError
from shopfloor_provisioning.job import Places
from shopfloor_provisioning.layout import Layout
from shopfloor_provisioning.store import Camera, DeviceFile, StoreFile

Table = dict[str, JsonValue]

HEADER = "# Written by shopfloor-site from cloud/sites: change it there, and apply again.\n"
_OURS = ("site", "device", "time_zone", "schema_version", "cameras", "rules", "uplink")


@dataclass(frozen=True, slots=True)
class Composed:
    """What a device is to be told."""

    site: SiteFile
    text: str

    @property
    def digest(self) -> str:
        """Of the text, short."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def compose_all(
    store: StoreFile, path: Path, places: Places, layouts: dict[str, Layout]
) -> dict[str, Composed]:
    """Return every device's site file by the device's name.

    Raises:
        StoreFileError: all problems of all devices at once.
    """
    composed, problems = {}, []
    for device in store.devices:
        table = _table(store, device, places, layouts[device.name])
        clashes = [key for key in _OURS if key in store.site_file or key in device.site]
        problems += [
            f"devices.{device.name}: {key!r} is not written in site_file, it has a place of its own"
            for key in clashes
            if key != "uplink"
        ]
        try:
            site = SiteFile.model_validate(table)
        except ValidationError as e:
            problems += [f"devices.{device.name}: {line}" for line in describe(e, SiteFile)]
            continue
        composed[device.name] = Composed(site, HEADER + tomlkit.dumps(table))
    if problems:
        raise StoreFileError(path, problems)
    return composed


def _table(store: StoreFile, device: DeviceFile, places: Places, layout: Layout) -> Table:
    sections: Table = {"schema_version": 1, "site": store.site, "device": device.name}
    sections["time_zone"] = store.time_zone
    _merge(sections, store.site_file)
    _merge(sections, device.site)
    uplink = _uplink(places, layout)
    if places.identity_url is not None:
        _lay_below(sections, "identity", _identity(places.identity_url, layout))
        _lay_below(sections, "console", _console(sections, device, layout))
    _merge(uplink, _section(sections, "uplink"))
    sections["uplink"] = uplink
    if device.model is not None:
        sections["model"] = device.model.model_dump(mode="json", exclude_none=True)
    updates = _updates(store, places, layout)
    if updates:
        _merge(updates, _section(sections, "updates"))
        sections["updates"] = updates
    sections["cameras"] = [_camera(camera, layout) for camera in device.cameras]
    sections["rules"] = [
        rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for rule in device.rules
    ]
    return sections


def _lay_below(sections: Table, name: str, ours: Table) -> None:
    """Put a section below what the operator wrote of it, where the device's version knows it."""
    if ours and name in SiteFile.model_fields:
        _merge(ours, _section(sections, name))
        sections[name] = ours


def _console(sections: Table, device: DeviceFile, layout: Layout) -> Table:
    """Serve the tablets of the building, with the certificate that the device has enrolled for."""
    # A key that is sealed to the TPM is no file that a web server can read.
    sealed = _section(sections, "identity").get("key") == "tpm"
    if sealed or "console" not in device.processes or device.connector == "local":
        return {}
    return {
        "host": "0.0.0.0",  # noqa: S104 — tablets are in the building's network
        "cert_file": str(layout.identity / "device.crt"),
        "key_file": str(layout.identity / "device.key"),
    }


def _identity(url: str, layout: Layout) -> Table:
    return {"folder": str(layout.identity), "url": url, "ca_file": str(layout.authority)}


def _uplink(places: Places, layout: Layout) -> Table:
    table: Table = {
        "host": places.broker_host,
        "port": places.broker_port,
        "ca_file": str(layout.identity / "ca.crt"),
    }
    if places.identity_url is not None:
        return table  # the agent shows its identity's certificate, which it renews
    return table | {
        "cert_file": str(layout.identity / "device.crt"),
        "key_file": str(layout.identity / "device.key"),
    }


def _updates(store: StoreFile, places: Places, layout: Layout) -> Table:
    if store.cloud.root_file is None:
        return {}
    updates: Table = {"root_file": str(layout.trust / "root.json")}
    if places.registry_url is not None:
        updates["registry_url"] = places.registry_url
    if places.campaigns_url is not None:
        updates["campaigns_url"] = places.campaigns_url
    return updates


def _camera(camera: Camera, layout: Layout) -> Table:
    table: Table = camera.model_dump(
        mode="json", exclude_none=True, exclude_defaults=True, exclude={"password_secret"}
    )
    if camera.password_secret is not None:
        table["password_file"] = str(layout.secrets / camera.password_secret.lower())
    return table


def _section(table: Table, name: str) -> Table:
    section = table.get(name, {})
    return section if isinstance(section, dict) else {}


def _merge(into: Table, other: Table) -> None:
    """Lay ``other`` over ``into``; tables are merged, anything else is replaced."""
    for key, value in other.items():
        held = into.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            _merge(held, value)
        else:
            into[key] = dict(value) if isinstance(value, dict) else value


def secret_names(devices: Iterable[DeviceFile]) -> set[str]:
    """Return the secrets that these devices keep: the passwords of their cameras."""
    cameras = (camera for device in devices for camera in device.cameras)
    return {camera.password_secret for camera in cameras if camera.password_secret is not None}
