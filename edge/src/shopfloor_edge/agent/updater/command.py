"""``shopfloor-edge update``: what is installed, back to what was before, and from a USB stick."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime

from packaging.version import InvalidVersion, Version

from shopfloor_contracts.deltas import apply_delta
from shopfloor_contracts.site import SiteFile
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater.app import describe_device, identity_of
from shopfloor_edge.agent.updater.campaigns import Campaigns
from shopfloor_edge.agent.updater.clock import LastKnownTime
from shopfloor_edge.agent.updater.download import Limits
from shopfloor_edge.agent.updater.fit import check_fit
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.agent.updater.install import Device, Installer
from shopfloor_edge.agent.updater.repositories import FolderRepository, WebRepository, read_root
from shopfloor_edge.agent.updater.trust import Listing, Signed
from shopfloor_edge.errors import OperatorError, UpdateRefusedError
from shopfloor_edge.slots.domain import Attempt, Pair, Slots, SlotsError, roll_back, stage
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.sealed import Seals
from shopfloor_edge.slots.store import Store


def run_update(site: SiteFile | None, arguments: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        OperatorError: it cannot be done; the message says why.
        UpdateError: the update is refused, or the server does not answer.
    """
    slots = SlotsFile(arguments.state)
    if arguments.action == "status":
        told = _status(slots.read())
    elif arguments.action == "rollback":
        told = _roll_back(slots, UpdateKind(arguments.kind))
    elif site is None:
        raise OperatorError("--site FILE says what this device trusts; it is missing")
    elif arguments.action == "check":
        told = _check(site, slots)
    else:
        told = _install(site, slots, arguments)
    _show(told, as_json=arguments.json)
    return 0


def _status(slots: Slots) -> dict[str, object]:
    return {
        "model": _pair(slots.model),
        "config": _pair(slots.config),
        "wheels": _pair(slots.wheels),
        "attempt": asdict(slots.attempt) if slots.attempt else None,
        "last": asdict(slots.last) if slots.last else None,
        "quarantine": list(slots.quarantine),
    }


def _pair(pair: Pair) -> dict[str, object]:
    return {
        "active": asdict(pair.active) if pair.active else None,
        "before": asdict(pair.spare) if pair.spare else None,
    }


def _roll_back(file: SlotsFile, kind: UpdateKind) -> dict[str, object]:
    try:
        slots = file.change(lambda slots: roll_back(slots, kind))
    except SlotsError as e:
        raise OperatorError(str(e)) from e
    return _status(slots)


def _check(site: SiteFile, file: SlotsFile) -> dict[str, object]:
    """Ask registry and campaigns; change nothing."""
    spec, told = site.updates, dict[str, object]()
    http, now = Http(spec.ca_file, identity=identity_of(site)), _now(file)
    if spec.registry_url is not None:
        root = read_root(spec.root_file)
        WebRepository(http, spec.registry_url, file.folder, root).refresh(now)
        told["registry"] = "trusted"
    if spec.campaigns_url is not None:
        controller = f"{site.site}.{site.device}"
        errand = Campaigns(http, spec.campaigns_url, controller, spec.token_file).poll()
        told["campaigns"] = {"deployment": errand.deployment, "cancel": errand.cancel}
    if not told:
        raise OperatorError("updates: the site file names neither registry_url nor campaigns_url")
    return told


def _install(site: SiteFile, file: SlotsFile, arguments: argparse.Namespace) -> dict[str, object]:
    """Stage an update out of a folder; vision and the agent try it like any other."""
    if arguments.folder is None:
        raise OperatorError("nothing to do: status, rollback, check, or --from FOLDER")
    if file.read().attempt is not None:
        raise OperatorError("an update is being tried; 'update status' says which")
    root, now = read_root(site.updates.root_file), _now(file)
    repository = FolderRepository(arguments.folder, file.folder, root)
    device, store = describe_device(site), Store(file.folder, Seals(site.identity))
    listing = repository.refresh(now)
    paths = [arguments.target] if arguments.target else repository.paths()
    signed = _best(listing, paths, device)
    limits = Limits(None, site.updates.reserve_bytes)
    installer = Installer(store, device, patch=apply_delta)
    fetched = installer.fetch(repository, (listing, signed), file.read(), limits, lambda *_: None)
    if fetched.test is not None and not fetched.test.passed:
        raise UpdateRefusedError(f"{signed.path}: self-test: {fetched.test.detail}")
    attempt = Attempt(fetched.release, "", arguments.shadow_s, arguments.trial_s)
    try:
        slots = file.change(lambda slots: stage(slots, attempt))
    except SlotsError as e:
        raise UpdateRefusedError(str(e)) from e
    return _status(slots)


def _best(listing: Listing, paths: list[str], device: Device) -> Signed:
    """Return the newest signed target that fits; a delta is no target of its own.

    Raises:
        UpdateRefusedError: none does; the message says why of each.
    """
    fitting, reasons = [], []
    for path in paths:
        try:
            signed = listing.find(path)
            if signed is None:
                reasons.append(f"{path}: not signed by the registry")
            elif signed.custom.kind is not UpdateKind.DELTA:
                check_fit(signed.custom, device.capabilities, device.kinds - {UpdateKind.OS})
                fitting.append(signed)
        except UpdateRefusedError as e:
            reasons.append(str(e))
    kinds = {(signed.custom.kind, signed.custom.name) for signed in fitting}
    if len(kinds) > 1:
        names = ", ".join(signed.path for signed in fitting[:10])
        raise OperatorError(f"several updates fit, --target names one: {names}")
    if not fitting:
        raise UpdateRefusedError("; ".join(reasons[:5]) or "the folder holds no update")
    return max(fitting, key=_order)


def _order(signed: Signed) -> tuple[bool, Version, str]:
    try:
        return True, Version(signed.custom.version), ""
    except InvalidVersion:
        return False, Version("0"), signed.custom.version


def _now(file: SlotsFile) -> datetime:
    file.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LastKnownTime(file.folder / "clock", lambda: datetime.now(UTC)).now()


def _show(told: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        if not isinstance(value, dict):
            print(f"{name}: {value or '-'}")
            continue
        print(f"{name}:")
        for key, inner in value.items():
            print(f"  {key}: {_named(inner)}")


def _named(value: object) -> str:
    if isinstance(value, dict) and "name" in value:
        return f"{value['name']} {value['version']} ({str(value['digest'])[:12]})"
    return "-" if value is None else str(value)
