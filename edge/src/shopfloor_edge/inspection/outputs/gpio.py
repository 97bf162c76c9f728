"""The line over GPIO: high while all is well. The kernel lets go of the lines when we end."""

from __future__ import annotations

from typing import Any, Protocol

from shopfloor_contracts.recipes import GpioOutput
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.extras import import_extra
from shopfloor_edge.inspection.line import LineSignal, Ruling
from shopfloor_edge.inspection.ports import Verdict


class Pins(Protocol):
    """Output lines of one chip, all low at first."""

    def set(self, offset: int, high: bool) -> None:  # noqa: FBT001
        """Set one line."""

    def close(self) -> None:
        """Let go: they fall low, or as the board pulls them."""


def open_output(spec: GpioOutput, *, lost: LineSignal, name: str) -> GpioLine:
    """Take the lines; raises ``OutputError`` when they are taken, absent, or gpiod is."""
    offsets = [spec.run] if spec.passed is None else [spec.run, spec.passed]
    line = GpioLine(spec, KernelPins(spec.chip, offsets, name))
    line.show(lost)
    return line


class KernelPins:
    """Lines of a chip of the Linux kernel, through libgpiod."""

    def __init__(self, chip: str, offsets: list[int], name: str) -> None:
        gpiod: Any = import_extra("gpiod", extra="gpio")
        line: Any = import_extra("gpiod.line", extra="gpio")
        self._high, self._low = line.Value.ACTIVE, line.Value.INACTIVE
        settings = gpiod.LineSettings(direction=line.Direction.OUTPUT, output_value=self._low)
        try:
            self._request = gpiod.request_lines(
                chip, consumer=f"shopfloor {name}", config={tuple(offsets): settings}
            )
        except (OSError, ValueError) as e:
            raise OutputError(f"{chip} lines {offsets}: {e}") from e

    def set(self, offset: int, high: bool) -> None:  # noqa: FBT001
        """See ``Pins``."""
        try:
            self._request.set_value(offset, self._high if high else self._low)
        except OSError as e:
            raise OutputError(f"line {offset}: {e}") from e

    def close(self) -> None:
        """See ``Pins``."""
        self._request.release()


class GpioLine:
    """See ``LineOutput``."""

    def __init__(self, spec: GpioOutput, pins: Pins) -> None:
        self._spec, self._pins = spec, pins

    def show(self, signal: LineSignal) -> None:
        """Set the permission to run."""
        self._pins.set(self._spec.run, signal.run)
        if not signal.run and self._spec.passed is not None:
            self._pins.set(self._spec.passed, high=False)

    def rule(self, ruling: Ruling) -> None:
        """Set whether the part has passed."""
        if self._spec.passed is not None:
            self._pins.set(self._spec.passed, ruling.verdict is Verdict.PASS)

    def beat(self, count: int) -> None:
        """A level has no counter: the keeper sets the lines when the station is silent."""

    def close(self) -> None:
        """Let go of the lines."""
        self._pins.close()
