"""From a TUF path to a verified, unpacked, self-tested release in the store."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tuf.api.exceptions import LengthOrHashMismatchError

from shopfloor_contracts.errors import ContractError, SiteFileError
from shopfloor_contracts.evidence import SelfTest
from shopfloor_contracts.site import SiteFile, parse_site
from shopfloor_contracts.targets import UpdateKind, delta_path
from shopfloor_edge.agent.updater.download import (
    Download,
    Limits,
    OnProgress,
    Source,
    check_space,
)
from shopfloor_edge.agent.updater.fit import SUPPORTED, check_fit
from shopfloor_edge.agent.updater.trust import Listing, Signed
from shopfloor_edge.errors import (
    BundleError,
    DiskFullError,
    UpdateDelayedError,
    UpdateRefusedError,
)
from shopfloor_edge.slots.applications import Home
from shopfloor_edge.slots.domain import Release, Slots
from shopfloor_edge.slots.store import Store
from shopfloor_edge.slots.wheels import SPACE_FACTOR, install_wheels

log = logging.getLogger(__name__)

TRUST_ATTEMPTS = 4
MAX_SITE_BYTES = 1_000_000
Patch = Callable[[Path, Path, Path], None]
"""base, delta, result: writes the result; raises ContractError or OSError."""


class Repository(Protocol):
    """Where signed targets are: a registry, or a folder."""

    @property
    def source(self) -> Source:
        """Of their bytes."""
        ...

    def refresh(self, now: datetime) -> Listing:
        """Return what is signed now; see ``Trust``."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A release in the store, and how it came there."""

    release: Release
    notes: tuple[str, ...]
    test: SelfTest | None


@dataclass(frozen=True, slots=True)
class Device:
    """What an update must fit."""

    site: SiteFile
    capabilities: frozenset[str]
    test: Callable[[Path], SelfTest]
    """Runs an unpacked bundle on its golden clip."""
    test_application: Callable[[Path, Path | None], SelfTest]
    """Loads the application of a venv, and runs the active bundle in it."""
    home: Home | None = None
    """Where applications go; None where no launcher starts the processes."""
    handles_os: bool = False

    @property
    def kinds(self) -> frozenset[UpdateKind]:
        """What this device can install."""
        more = {UpdateKind.WHEELS} if self.home is not None else set()
        return SUPPORTED | more | ({UpdateKind.OS} if self.handles_os else set())


class Installer:
    """Brings releases into the store; never touches what runs."""

    def __init__(self, store: Store, device: Device, *, patch: Patch | None = None) -> None:
        self._store, self._device, self._patch = store, device, patch

    def resolve(self, repository: Repository, path: str, now: datetime) -> tuple[Listing, Signed]:
        """Find a target that fits.

        Raises:
            UpdateDelayedError: the repository does not answer, several times.
            UpdateRefusedError: not signed, not to be trusted, or not for this device.
        """
        for attempt in range(TRUST_ATTEMPTS):
            try:
                listing = repository.refresh(now)
                signed = listing.find(path)
                break
            except UpdateDelayedError as e:
                log.info("repository does not answer", extra={"reason": str(e)})
                if attempt == TRUST_ATTEMPTS - 1:
                    raise
                time.sleep(0.5 * 2**attempt)
        if signed is None:
            raise UpdateRefusedError(f"{path}: not signed by the registry")
        check_fit(signed.custom, self._device.capabilities, self._device.kinds)
        return listing, signed

    def fetch(
        self,
        repository: Repository,
        found: tuple[Listing, Signed],
        slots: Slots,
        limits: Limits,
        on_progress: OnProgress,
    ) -> Fetched:
        """Bring the target into the store: by a delta where there is one, else whole.

        Raises:
            UpdateRefusedError, UpdateDelayedError: see ``Download``; or it is no update of its
                kind, or fails the self-test.
        """
        listing, signed = found
        if signed.digest in slots.quarantine:
            raise UpdateRefusedError(f"{signed.path}: failed on this device before, quarantined")
        self._store.prepare()
        notes: tuple[str, ...] = ()
        download = Download(repository.source, self._store.partial, limits)
        try:
            if not self._store.archive(signed.digest).is_file():
                self._check_room(signed, limits)
                notes = self._bring(download, listing, signed, slots, on_progress)
            release = _release(signed)
            test = self._check(release, slots)
        except OSError as e:
            raise UpdateRefusedError(f"{signed.path}: {e.strerror or e}") from e
        return Fetched(release, notes, test)

    def _check_room(self, signed: Signed, limits: Limits) -> None:
        # The archive, and once more what it holds; an image of the OS is not unpacked here.
        factor = 1 if signed.custom.kind is UpdateKind.OS else 2
        places = [(self._store.partial, factor)]
        if signed.custom.kind is UpdateKind.WHEELS and self._device.home is not None:
            places.append((self._device.home.folder, SPACE_FACTOR))
        for place, times in places:
            check_space(place, times * signed.file.length, reserve_bytes=limits.reserve_bytes)

    def _bring(
        self,
        download: Download,
        listing: Listing,
        signed: Signed,
        slots: Slots,
        on_progress: OnProgress,
    ) -> tuple[str, ...]:
        made, note = None, ""
        if signed.custom.kind is not UpdateKind.OS:
            made, note = self._by_delta(download, listing, signed, slots, on_progress)
        if made is None:
            made = download.fetch(signed, on_progress)
            note = f"full, {signed.file.length} bytes{f': {note}' if note else ''}"
        self._store.take(made, signed.digest, signed.custom.kind)
        return (note,)

    def _by_delta(
        self,
        download: Download,
        listing: Listing,
        signed: Signed,
        slots: Slots,
        on_progress: OnProgress,
    ) -> tuple[Path | None, str]:
        """Return the file that a delta makes, or None and why there is none."""
        active = slots.pair(signed.custom.kind).active
        base = self._store.archive(active.digest) if active else None
        if self._patch is None or active is None or base is None or not base.is_file():
            return None, "no base for a delta"
        out = self._store.partial / f"{signed.digest}.made"
        try:
            delta = listing.find(delta_path(active.digest, signed.digest))
            if delta is None:
                return None, "no delta from what is active"
            if delta.file.length >= signed.file.length:
                return None, "the delta is no smaller"
            part = download.fetch(delta, on_progress)
            with self._store.opened_archive(active.digest) as plain:
                self._patch(plain, part, out)
            with out.open("rb") as file:
                signed.file.verify_length_and_hashes(file)
            part.unlink()
        except DiskFullError:
            raise
        except (UpdateRefusedError, UpdateDelayedError, ContractError, BundleError, OSError) as e:
            return None, f"delta failed: {str(e)[:150]}"
        except LengthOrHashMismatchError:
            return None, "delta failed: it makes something else than what is signed"
        return out, f"delta, {delta.file.length} of {signed.file.length} bytes"

    def _check(self, release: Release, slots: Slots) -> SelfTest | None:
        if release.kind is UpdateKind.CONFIG:
            self._check_site(release)
        if release.kind in (UpdateKind.CONFIG, UpdateKind.OS):
            return None
        if release.kind is UpdateKind.WHEELS:
            return self._check_wheels(release, slots)
        try:
            manifest = self._store.unpack(release.digest, release.kind)
        except BundleError as e:
            self._forget(release.digest)
            raise UpdateRefusedError(str(e)) from e
        targets = {build.target for build in manifest.builds} if manifest else set()
        if not targets & self._device.capabilities:
            raise UpdateRefusedError(
                f"{release.path}: has builds for {', '.join(sorted(targets))}, none runs here"
            )
        with self._store.opened(release.digest) as folder:
            return self._device.test(folder)

    def _check_wheels(self, release: Release, slots: Slots) -> SelfTest:
        home = self._device.home
        assert home is not None  # noqa: S101 — such a device has refused the kind
        try:
            made = install_wheels(self._store.archive(release.digest), release.digest, home)
        except BundleError as e:
            home.forget(release.digest)
            self._forget(release.digest)
            raise UpdateRefusedError(f"{release.path}: {e}") from e
        if made.platform not in self._device.capabilities:
            raise UpdateRefusedError(f"{release.path}: holds wheels for {made.platform}")
        active = slots.model.active
        bundle = self._store.unpacked(active.digest) if active else None
        return self._device.test_application(home.venv(release.digest), bundle)

    def _check_site(self, release: Release) -> None:
        """Read the new site file as the processes will."""
        path, site = self._store.site_file(release.digest), self._device.site
        try:
            if path.stat().st_size > MAX_SITE_BYTES:
                raise UpdateRefusedError(f"{release.path}: larger than {MAX_SITE_BYTES} bytes")
            new = parse_site(path.read_text(encoding="utf-8"), source=release.path)
        except (SiteFileError, UnicodeDecodeError) as e:
            self._forget(release.digest)
            raise UpdateRefusedError(str(e)[:400]) from e
        if (new.site, new.device) != (site.site, site.device):
            raise UpdateRefusedError(
                f"{release.path}: is for {new.site}/{new.device}, "
                f"this device is {site.site}/{site.device}"
            )

    def _forget(self, digest: str) -> None:
        with contextlib.suppress(OSError):
            self._store.archive(digest).unlink(missing_ok=True)


def _release(signed: Signed) -> Release:
    custom = signed.custom
    return Release(
        custom.kind, signed.digest, signed.file.length, signed.path, custom.name, custom.version
    )
