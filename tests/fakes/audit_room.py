"""A state folder with audit clips of vtest's size: small pictures, counts as a device would say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from shopfloor_contracts.site import AuditsSpec, CameraSpec
from shopfloor_edge.journal.audit_clips import AuditBook, Basis, KeptClip
from shopfloor_edge.vision.audit_clips import AuditClip, AuditStore
from shopfloor_edge.vision.clips import Still

NOON_S = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()
MODEL = "c" * 64


def keep_clips(state: Path, camera: CameraSpec, counts: list[int], *, slot: str = "correct"):
    """Keep one clip per count: so many came in, nobody went out, so many stand in each zone."""
    book = AuditBook(state)
    store = AuditStore(state / "audits", AuditsSpec(), book, clock=lambda: 0.0)
    basis = Basis(MODEL, "onnxruntime", "int8", camera.zone_version)
    drawn = {
        "lines": [line.model_dump() for line in camera.lines],
        "zones": [zone.model_dump() for zone in camera.zones],
        "slots": [one.model_dump() for one in camera.slots],
    }
    for number, count in enumerate(counts):
        began_at = NOON_S + 600.0 * number
        at = datetime.fromtimestamp(began_at, UTC)
        counted: dict[str, list[int] | str] = {
            f"line/{one.name}": [count, 0] for one in camera.lines
        }
        counted |= {f"zone/{zone.name}": [count] for zone in camera.zones}
        counted |= {f"slot/{one.name}": slot for one in camera.slots}
        jpeg = _picture(count)
        kept = KeptClip(
            f"{at:%Y%m%dT%H%M%S}-{camera.name}",
            camera.name,
            began_at,
            began_at + 10,
            at.hour,
            0.2,
            float(count),
            basis,
            counted,
            json.dumps(drawn),
        )
        store.add(AuditClip((Still(0.0, jpeg), Still(0.5, jpeg)), jpeg, kept))
    book.close()
    return basis


def _picture(count: int) -> bytes:
    picture = np.full((180, 320, 3), 90, np.uint8)
    for person in range(count):
        cv2.rectangle(picture, (40 + 50 * person, 80), (60 + 50 * person, 140), (60, 60, 160), -1)
    return cv2.imencode(".jpg", picture)[1].tobytes()
