"""What the reader chose through the environment, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shopfloor_demo.clips import Places, places
from shopfloor_demo.errors import OperatorError

REPOSITORY = Path(__file__).resolve().parents[4]
_VIDEO_BYTES_MIN = 100
"""Shorter than the header of any container."""


@dataclass(frozen=True, slots=True)
class OwnCamera:
    """The reader's own: an address, a device node, or a file."""

    uri: str
    is_file: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of the demo."""

    run_dir: Path
    footage: Places
    duration_s: float | None
    """None: one pass of the clip or file; a live camera of the reader's runs until Ctrl-C."""
    own_camera: OwnCamera | None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read ``DEMO_SECONDS``, ``CAMERA``, ``SHOPFLOOR_CACHE`` and ``SHOPFLOOR_MIRROR``.

    Raises:
        OperatorError: one of them cannot be used; the message names it.
    """
    camera = environment.get("CAMERA", "").strip()
    return Settings(
        run_dir=REPOSITORY / "var" / "demo",
        footage=places(environment, REPOSITORY),
        duration_s=_seconds(environment.get("DEMO_SECONDS", "").strip()),
        own_camera=_own_camera(camera) if camera else None,
    )


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError as e:
        raise OperatorError(f"DEMO_SECONDS is {text!r}, expected a number of seconds") from e
    if not 1 <= seconds <= 86_400:
        raise OperatorError(f"DEMO_SECONDS is {text}, expected 1 to 86400")
    return seconds


def _own_camera(text: str) -> OwnCamera:
    if "://" in text:
        address = urlsplit(text)
        if address.scheme not in ("rtsp", "rtsps") or not address.hostname:
            raise OperatorError(
                f"CAMERA is {text!r}, expected rtsp://HOST/…, /dev/video0 or a file"
            )
        return OwnCamera(text, is_file=False)
    path = Path(text).expanduser().absolute()
    if path.is_char_device():
        return OwnCamera(str(path), is_file=False)
    if not path.is_file():
        raise OperatorError(f"CAMERA is {text!r}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(_VIDEO_BYTES_MIN)
    except OSError as e:
        raise OperatorError(f"CAMERA is {text!r}: {e.strerror}") from e
    if len(start) < _VIDEO_BYTES_MIN:
        raise OperatorError(f"CAMERA is {text!r}: {len(start)} bytes are no video")
    return OwnCamera(str(path), is_file=True)
