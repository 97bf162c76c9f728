"""What the page *Zones* does: check a drawing, try it on the last minutes, save it, go back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from shopfloor_contracts.base import Operator
from shopfloor_contracts.errors import ContractError
from shopfloor_contracts.problems import describe
from shopfloor_contracts.site import (
    CameraSpec,
    LineSpec,
    SiteFile,
    SlotSpec,
    ZoneSpec,
    parse_site,
)
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.analytics.replay import Trial, replay
from shopfloor_edge.console.footsteps import footprints
from shopfloor_edge.journal.site_versions import SiteVersion, add_version, versions
from shopfloor_edge.journal.trials import Trials
from shopfloor_edge.settings import load_site
from shopfloor_edge.slots.domain import Slots, SlotsError, Step
from shopfloor_edge.slots.file import SlotsFile
from shopfloor_edge.slots.local import settle, try_site
from shopfloor_edge.slots.site_text import site_text
from shopfloor_edge.slots.store import Store

_MANY = Field(max_length=64)


class Drawing(Operator):
    """One camera's geometry, as the page sends it."""

    base: Annotated[str, Field(max_length=64)]
    """What it was drawn upon (``Drawings.base``)."""
    lines: Annotated[list[LineSpec], _MANY]
    zones: Annotated[list[ZoneSpec], _MANY]
    slots: Annotated[list[SlotSpec], _MANY]


class DrawingRefusedError(ValueError):
    """A drawing that cannot be taken; ``problems`` are lines for a person."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts now."""

    tried: bool
    """A drawing is on trial."""
    digest: str
    """Of the site file's text in force; empty for what was provisioned."""
    failed: str
    """Why vision could not run the last drawing; empty where it could."""


class Drawings:
    """The site's geometry, and its versions.

    Args:
        provisioned: the site file that the device was installed with.
    """

    def __init__(self, provisioned: SiteFile, state: Path, clock: Callable[[], datetime]) -> None:
        self._provisioned, self._state, self._clock = provisioned, state, clock
        self._slots = SlotsFile(state)

    def site(self) -> SiteFile:
        """Return the site file in force: on trial, good, or provisioned."""
        release = self._slots.read().runs(UpdateKind.CONFIG)
        if release is None:
            return self._provisioned
        try:
            return load_site(Store(self._slots.folder).site_file(release.digest))
        except ContractError:
            # Vision does the same with a slot that is worn.
            return self._provisioned

    def base(self) -> str:
        """Return what names the geometry of all cameras: another one was saved meanwhile."""
        drawn = {"name", "lines", "zones", "slots"}
        text = "".join(one.model_dump_json(include=drawn) for one in self.site().cameras)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self, camera: str, body: bytes) -> tuple[SiteFile, Drawing]:
        """Check a drawing; return the site with it.

        Raises:
            DrawingRefusedError: every problem at once.
        """
        try:
            drawing = Drawing.model_validate_json(body)
        except ValidationError as e:
            raise DrawingRefusedError(describe(e, Drawing)) from e
        site = self.site()
        drawn = {name: getattr(drawing, name) for name in ("lines", "zones", "slots")}
        cameras = [
            one.model_copy(update=drawn) if one.name == camera else one for one in site.cameras
        ]
        dumped = site.model_copy(update={"cameras": cameras}).model_dump()
        try:
            return SiteFile.model_validate(dumped), drawing
        except ValidationError as e:
            raise DrawingRefusedError(describe(e, SiteFile)) from e

    def preview(self, camera: str, body: bytes) -> Trial:
        """Count the last minutes again with a drawing.

        Raises:
            DrawingRefusedError: see ``read``.
        """
        _, drawing = self.read(camera, body)
        return replay(
            footprints(self._state, camera),
            {line.name: (line.a, line.b) for line in drawing.lines},
            {zone.name: zone.polygon for zone in drawing.zones},
        )

    def save(self, camera: str, body: bytes, by: str) -> int:
        """Put a drawing on trial as a new version, and return its number.

        Raises:
            DrawingRefusedError: it is not valid, drawn upon something else, or an update is
                being tried.
            JournalError: the disk refuses.
        """
        site, drawing = self.read(camera, body)
        before = self.site()
        if drawing.base != self.base():
            raise DrawingRefusedError(["somebody saved another drawing meanwhile: load it first"])
        note = "; ".join(_changes(_camera(before, camera), _camera(site, camera)))
        if not note:
            raise DrawingRefusedError(["nothing has changed"])
        return self._put(site, note=f"{camera}: {note}", by=by)

    def restore(self, version: int, by: str) -> int:
        """Put the geometry of an earlier version on trial, as a new version.

        Raises:
            DrawingRefusedError: there is no such version, or an update is being tried.
            JournalError: the disk refuses.
        """
        found = next((v for v in self.versions() if v.version == version), None)
        if found is None:
            raise DrawingRefusedError([f"version {version} is not known"])
        old, site = parse_site(found.text, source=f"version {version}"), self.site()
        drawn = {one.name: one for one in old.cameras}
        cameras = [_with_geometry(one, drawn.get(one.name)) for one in site.cameras]
        dumped = site.model_copy(update={"cameras": cameras}).model_dump()
        try:
            back = SiteFile.model_validate(dumped)
        except ValidationError as e:
            raise DrawingRefusedError(describe(e, SiteFile)) from e
        return self._put(back, note=f"back to version {version}", by=by)

    def versions(self) -> list[SiteVersion]:
        """Return what was saved, the newest first."""
        return versions(self._state)

    def standing(self) -> Standing:
        """Return what counts now; makes a drawing good that has run long enough."""
        slots = self._settled()
        attempt, last = slots.attempt, slots.last
        release = slots.runs(UpdateKind.CONFIG)
        tried = attempt is not None and attempt.release.kind is UpdateKind.CONFIG
        known = {one.digest for one in self.versions()[:1]}
        failed = last is not None and not last.committed and last.digest in known
        return Standing(
            tried and attempt is not None and attempt.step is not Step.SHADOW,
            release.digest if release else "",
            last.reason if failed and last is not None and not tried else "",
        )

    def _settled(self) -> Slots:
        attempt = self._slots.read().attempt
        if attempt is None:
            return self._slots.read()
        trials = Trials(self._state)
        try:
            newest, _ = trials.endured(attempt.release.digest, Step.TRIAL)
        finally:
            trials.close()
        return settle(self._state, endured_s=newest.elapsed_s, frames=newest.frames)

    def _put(self, site: SiteFile, *, note: str, by: str) -> int:
        at = self._clock()
        if not self.versions():
            # What was there before the first drawing can be gone back to as well.
            first = site_text(self.site(), comment="as it was before the first drawing")
            add_version(self._state, first, note="before", by="", at=at.timestamp())
        text = site_text(site, comment=f"drawn {at.isoformat(timespec='milliseconds')}")
        try:
            try_site(self._state, text, version=at.strftime("%Y%m%d.%H%M%S"))
        except SlotsError as e:
            raise DrawingRefusedError([str(e)]) from e
        return add_version(self._state, text, note=note, by=by, at=at.timestamp())


def _camera(site: SiteFile, name: str) -> CameraSpec:
    found = next((one for one in site.cameras if one.name == name), None)
    if found is None:
        raise DrawingRefusedError([f"no camera is named {name!r}"])
    return found


def _with_geometry(camera: CameraSpec, drawn: CameraSpec | None) -> CameraSpec:
    if drawn is None:
        return camera
    names = ("lines", "zones", "slots")
    return camera.model_copy(update={name: getattr(drawn, name) for name in names})


def _changes(before: CameraSpec, after: CameraSpec) -> list[str]:
    """Return what differs, in words of the site file."""
    found = []
    for sort in ("line", "zone", "slot"):
        old = {one.name: one for one in getattr(before, f"{sort}s")}
        new = {one.name: one for one in getattr(after, f"{sort}s")}
        found += [f"new {sort} {name}" for name in new if name not in old]
        found += [f"{sort} {name} removed" for name in old if name not in new]
        found += [f"{sort} {name} changed" for name in new if old.get(name, new[name]) != new[name]]
    return found
