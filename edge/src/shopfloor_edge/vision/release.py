"""What vision runs: the site file and the model of the active slots, or what was provisioned."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.errors import ContractError
from shopfloor_contracts.site import ModelSpec, SiteFile
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.choose import Chosen, choose
from shopfloor_edge.inference.zoo import find_manifest
from shopfloor_edge.settings import load_site
from shopfloor_edge.slots.applications import running_application
from shopfloor_edge.slots.archive import read_unpacked
from shopfloor_edge.slots.domain import Release, Slots, Step, fail, load
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.sealed import Seals
from shopfloor_edge.slots.store import Store
from shopfloor_edge.vision.figures import wanted_classes

log = logging.getLogger(__name__)

SHOWN_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory."""

    manifest: Manifest
    """With the preprocessing of what was chosen."""
    chosen: Chosen
    release: Release | None
    """None for the bundle that the site file names."""


@dataclass(frozen=True, slots=True)
class Running:
    """What one session of vision runs, and the slots that said so."""

    site: SiteFile
    model: Loaded
    slots: Slots


class Releases:
    """Vision's view of the slots."""

    def __init__(self, state: Path, seals: Seals | None = None) -> None:
        self.file = SlotsFile(state)
        self._store = Store(self.file.folder, seals)

    def take_up(self, provisioned: SiteFile) -> Running:
        """Load what the slots say; an attempt that cannot be loaded ends here.

        Raises:
            BundleError: not even the bundle that was provisioned can be used.
            JournalError: the slots cannot be read.
        """
        # Counted on disk before anything of the attempt is touched: see ``slots.domain``.
        slots = self.count_load()
        try:
            site = self._site(slots, provisioned)
            return Running(site, self._model(slots, site), slots)
        except (BundleError, ContractError) as e:
            attempt = slots.attempt
            if attempt is None or attempt.step is not Step.TRIAL:
                raise
            self.give_up(attempt.release.digest, str(e))
            return self.take_up(provisioned)

    def count_load(self) -> Slots:
        """Count that the attempt is about to be loaded.

        Raises:
            JournalError: the slots cannot be read.
        """
        slots = self.read()
        if slots.attempt is None or slots.attempt.step is Step.STAGED:
            return slots
        return self.file.change(load).seen_by(running_application())

    def read(self) -> Slots:
        """Return the slots as this process sees them.

        Raises:
            JournalError: the slots cannot be read.
        """
        return self.file.read().seen_by(running_application())

    def give_up(self, digest: str, reason: str) -> None:
        """End the attempt with ``digest``: it cannot be run."""

        def end(slots: Slots) -> Slots:
            attempt = slots.attempt
            same = attempt is not None and attempt.release.digest == digest
            return fail(slots, reason[:200]) if same else slots

        log.error("update cannot be run, going back", extra={"digest": digest, "reason": reason})
        self.file.change(end)

    def load(self, release: Release, site: SiteFile) -> Loaded:
        """Load a release's model.

        Raises:
            BundleError: it cannot be run as it should.
        """
        with contextlib.ExitStack() as stack:
            try:
                folder = self._store.unpacked(release.digest)
                if not folder.is_dir():
                    self._store.unpack(release.digest, release.kind)
                manifest = read_unpacked(folder)
                plain = stack.enter_context(self._store.opened(release.digest))
            except OSError as e:
                raise BundleError(f"{release.path}: {e.strerror or e}") from e
            loaded = _loaded(manifest, site, release, plain)
        if loaded.chosen.shared is None or loaded.chosen.degraded:
            reason = loaded.chosen.degraded or "no build of it runs here"
            raise BundleError(f"{release.path}: {reason}")
        return loaded

    def _site(self, slots: Slots, provisioned: SiteFile) -> SiteFile:
        release = slots.runs(UpdateKind.CONFIG)
        if release is None:
            return provisioned
        try:
            return load_site(self._store.site_file(release.digest))
        except ContractError as e:
            if slots.attempt is not None and slots.attempt.release == release:
                raise
            log.error("site file of the slot cannot be read", extra={"reason": str(e)})  # noqa: TRY400 — the message says all
            return provisioned

    def _model(self, slots: Slots, site: SiteFile) -> Loaded:
        release = slots.runs(UpdateKind.MODEL)
        if release is not None and site.model.backend != "motion":
            try:
                return self.load(release, site)
            except BundleError as e:
                if slots.attempt is not None and slots.attempt.release == release:
                    raise
                # A good release whose file is gone: the zoo's bundle is better than no counting.
                log.error("model of the slot cannot be used", extra={"reason": str(e)})  # noqa: TRY400 — the message says all
        return _loaded(find_manifest(site.model.bundle), site, None, None)


def wanted(site: SiteFile, manifest: Manifest) -> tuple[str, ...]:
    """Return the classes that the cameras need, people first.

    Raises:
        BundleError: the bundle does not know the product of a slot; says which.
    """
    for spec in site.cameras:
        for slot in spec.slots:
            if slot.expects not in manifest.classes:
                raise BundleError(
                    f"camera {spec.name!r}, slot {slot.name!r} expects {slot.expects!r}, which "
                    f"bundle {manifest.name} does not know; it knows "
                    f"{', '.join(manifest.classes[:SHOWN_CLASSES])}"
                    f"{', …' if len(manifest.classes) > SHOWN_CLASSES else ''}"
                )
    names = [name for spec in site.cameras for name in wanted_classes(spec)]
    return tuple(dict.fromkeys(["person", *names]))


def _loaded(
    manifest: Manifest, site: SiteFile, release: Release | None, folder: Path | None
) -> Loaded:
    spec: ModelSpec = site.model
    chosen = choose(manifest, spec, wanted=wanted(site, manifest), folder=folder)
    manifest = manifest.model_copy(update={"preprocess": chosen.preprocess})
    return Loaded(manifest, chosen, release)
