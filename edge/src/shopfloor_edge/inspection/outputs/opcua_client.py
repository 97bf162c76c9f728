"""The line over OPC-UA, where the PLC is the server: its variables are written."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from shopfloor_contracts.recipes import OpcUaClient
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.extras import import_extra
from shopfloor_edge.inspection.line import LineSignal, Ruling
from shopfloor_edge.inspection.opcua_security import secure_client
from shopfloor_edge.inspection.ports import Verdict

TIMEOUT_S = 2.0


def open_output(spec: OpcUaClient, *, lost: LineSignal, name: str) -> OpcUaClientLine:
    """Connect; raises ``OutputError`` when the PLC does not answer or asyncua is absent."""
    line = OpcUaClientLine(spec, name)
    line.show(lost)
    return line


class OpcUaClientLine:
    """See ``LineOutput``. The PLC watches ``beat``: nobody can write after a power cut."""

    def __init__(self, spec: OpcUaClient, name: str) -> None:
        sync = import_extra("asyncua.sync", extra="opcua")
        self._ua = import_extra("asyncua.ua", extra="opcua")
        self._spec = spec
        self._client = sync.Client(spec.endpoint, timeout=TIMEOUT_S)
        self._errors = (OSError, TimeoutError, FutureTimeoutError, self._ua.UaError)
        try:
            secure_client(self._client, spec.security, name=name)
            self._client.connect()
        except OutputError:
            self._client.tloop.stop()
            raise
        except self._errors as e:
            self._client.tloop.stop()
            raise OutputError(f"{spec.endpoint}: {e or type(e).__name__}") from e

    def show(self, signal: LineSignal) -> None:
        """Set what the line may do."""
        self._write(self._spec.run, signal.run)
        self._write(self._spec.warning, signal.warning)

    def rule(self, ruling: Ruling) -> None:
        """Set whether the part is rejected, then its number."""
        self._write(self._spec.reject, ruling.verdict is not Verdict.PASS)
        number = ruling.part if ruling.number is None else ruling.number
        self._write(self._spec.part, number)

    def beat(self, count: int) -> None:
        """Set the counter that goes up while the inspector lives."""
        self._write(self._spec.beat, count)

    def close(self) -> None:
        """Disconnect."""
        try:
            self._client.disconnect()
        except self._errors as e:
            raise OutputError(f"{self._spec.endpoint}: {e}") from e

    def _write(self, node: str | None, value: Any) -> None:
        if node is None:
            return
        try:
            variable = self._client.get_node(node)
            # A PLC's integers have their own width: a value of another type is refused.
            kind = variable.read_data_type_as_variant_type()
            variable.write_value(self._ua.DataValue(self._ua.Variant(value, kind)))
        except self._errors as e:
            raise OutputError(f"{self._spec.endpoint} {node}: {e}") from e
