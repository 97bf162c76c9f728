"""A version moves between stages: judged on its evidence, signed by a person, published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shopfloor_contracts.targets import TargetCustom, UpdateKind, delta_path, update_path
from shopfloor_registry.domain.gates import Rule, Subject, judge, newest
from shopfloor_registry.domain.promotions import Judgement, Promotion, write_record
from shopfloor_registry.domain.stages import Stage, is_gated, moves_from
from shopfloor_registry.domain.versions import BuildRecord, VersionKey, VersionRecord
from shopfloor_registry.errors import ConflictError, GateError, SignatureError
from shopfloor_registry.usecases.ports import (
    Artefacts,
    Entry,
    Meter,
    Promotions,
    Publisher,
    Versions,
)

CheckSignature = Callable[[str, str, str], bool]
"""Say whether a signature (public key, signature, record) fits."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a person sends to have a version moved."""

    record: str
    public_key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Promoting:
    """Judges moves and makes them."""

    versions: Versions
    promotions: Promotions
    rules: Sequence[Rule]
    is_right: CheckSignature
    meter: Meter
    now: Callable[[], datetime]

    def judge(self, key: VersionKey, to: Stage, *, by: str) -> Judgement:
        """Ask every gate, and keep what each says; the record is what ``by`` has to sign.

        Raises:
            ConflictError: no way leads from the version's stage to ``to``.
        """
        judgement, _ = self._judge(key, to, by)
        self.promotions.keep_verdicts(judgement, by, self.now())
        self.meter.judged(judgement)
        return judgement

    def promote(self, key: VersionKey, to: Stage, signed: Signed, *, by: str) -> Promotion:
        """Move a version, on a record that ``by`` has signed.

        Raises:
            ConflictError: the facts have changed since the record was made.
            GateError: a gate is against it.
            SignatureError: it is not signed by a known key of ``by``.
        """
        self._check_signature(signed, by)
        judgement, version = self._judge(key, to, by)
        if signed.record != judgement.record:
            raise ConflictError(f"{key}: what was signed is not what holds now: judge it again")
        if not judgement.passed:
            failed = "; ".join(str(v) for v in judgement.verdicts if not v.passed)
            raise GateError(f"{key} may not go to {to}: {failed}")
        at = self.now()
        promotion = Promotion(
            key=key,
            from_stage=version.stage,
            to=to,
            by=by,
            at=at,
            record=signed.record,
            public_key=signed.public_key,
            signature=signed.signature,
        )
        detail = {"from": str(version.stage), "to": str(to), "signature": signed.signature}
        entry = Entry(by, "version.promote", str(key), detail, at)
        self.promotions.move(promotion, entry)
        self.meter.promoted(promotion)
        return promotion

    def _judge(self, key: VersionKey, to: Stage, by: str) -> tuple[Judgement, VersionRecord]:
        version = self.versions.get(key)
        if to not in moves_from(version.stage):
            onward = ", ".join(moves_from(version.stage)) or "nowhere"
            raise ConflictError(f"{key} is {version.stage} and can go to {onward}, not to {to}")
        before = self.versions.in_production(key.model) if is_gated(to) else None
        figures = newest(self.versions.figures(key))
        subject = Subject(version.licence, version.builds, tuple(figures))
        verdicts = judge(self.rules, subject, to, None if before is None else self._subject(before))
        record = write_record(version, to, by, figures=figures, verdicts=verdicts)
        return Judgement(key, to, verdicts, record), version

    def _subject(self, version: VersionRecord) -> Subject:
        figures = self.versions.figures(version.key)
        return Subject(version.licence, version.builds, tuple(figures))

    def _check_signature(self, signed: Signed, by: str) -> None:
        if self.promotions.signer(signed.public_key) != by:
            raise SignatureError(f"the key {signed.public_key[:16]}… is not known as {by!r}'s")
        if not self.is_right(signed.public_key, signed.signature, signed.record):
            raise SignatureError("the signature does not fit the record and the key")


@dataclass(frozen=True, slots=True)
class Publishing:
    """Hands the builds of a version over to the TUF repository, to be signed there."""

    versions: Versions
    artefacts: Artefacts
    publisher: Publisher
    log: Callable[[Entry], None]
    now: Callable[[], datetime]

    def publish(self, key: VersionKey, *, by: str) -> list[str]:
        """Have each build wait for the signature, and its delta from what is in production.

        Returns:
            TUF paths that were neither listed nor waiting yet.

        Raises:
            ConflictError: a candidate is nobody's to install, and neither is a retired version.
        """
        version = self.versions.get(key)
        if version.stage not in (Stage.STAGING, Stage.PRODUCTION):
            raise ConflictError(f"{key} is {version.stage}, only staging and production go out")
        before = self.versions.in_production(key.model)
        paths = []
        for build in version.builds:
            paths += self._publish_build(key, build)
            if before is not None and before.key != key:
                paths += self._publish_delta(key, build, before)
        for path in paths:
            self.log(Entry(by, "target.stage", path, {}, self.now()))
        return paths

    def _publish_build(self, key: VersionKey, build: BuildRecord) -> list[str]:
        path = update_path(UpdateKind.MODEL, key.model, key.version, build.target)
        custom = _custom(UpdateKind.MODEL, key, build)
        with self.artefacts.opened(build.digest) as file:
            return [path] if self.publisher.stage(path, file, custom) else []

    def _publish_delta(
        self, key: VersionKey, build: BuildRecord, before: VersionRecord
    ) -> list[str]:
        base = next((one for one in before.builds if one.target == build.target), None)
        if base is None or base.digest == build.digest:
            return []
        path = delta_path(base.digest, build.digest)
        custom = _custom(UpdateKind.DELTA, key, build).model_copy(
            update={"base": base.digest, "result": build.digest}
        )
        with self.artefacts.opened(base.digest) as old, self.artefacts.opened(build.digest) as new:
            return [path] if self.publisher.stage_delta(path, (old, new), custom) else []


def _custom(kind: UpdateKind, key: VersionKey, build: BuildRecord) -> TargetCustom:
    return TargetCustom(kind=kind, name=key.model, version=key.version, hardware=[build.target])
