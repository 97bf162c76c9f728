"""The line over OPC-UA, where PLCs read: an object per station with six variables."""

from __future__ import annotations

from typing import Any

from shopfloor_contracts.recipes import OpcUaServer
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.extras import import_extra
from shopfloor_edge.inspection.line import LineSignal, Ruling
from shopfloor_edge.inspection.opcua_security import secure_server

NAMESPACE = "urn:shopfloor:inspection"


def open_output(spec: OpcUaServer, *, lost: LineSignal, name: str) -> OpcUaServerLine:
    """Start serving; raises ``OutputError`` when the port is taken or asyncua is absent."""
    return OpcUaServerLine(spec, lost=lost, name=name)


class OpcUaServerLine:
    """See ``LineOutput``. A PLC that cannot read any more must do as for ``run`` false."""

    def __init__(self, spec: OpcUaServer, *, lost: LineSignal, name: str) -> None:
        sync = import_extra("asyncua.sync", extra="opcua")
        self._server = sync.Server()
        self._server.set_endpoint(spec.endpoint)
        try:
            secure_server(self._server, spec.security)
        except OutputError:
            self._server.tloop.stop()
            raise
        try:
            self._server.start()
        except (OSError, TimeoutError) as e:
            self._server.tloop.stop()
            raise OutputError(f"{spec.endpoint}: {e}") from e
        space = self._server.register_namespace(NAMESPACE)
        station = self._server.nodes.objects.add_object(f"ns={space};s={name}", f"{space}:{name}")
        start: dict[str, Any] = {
            "run": lost.run, "warning": lost.warning, "state": lost.state, "beat": 0,
            "part": 0, "verdict": "",
        }  # fmt: skip
        self._nodes = {
            leaf: station.add_variable(f"ns={space};s={name}.{leaf}", f"{space}:{leaf}", value)
            for leaf, value in start.items()
        }

    def show(self, signal: LineSignal) -> None:
        """Set what the line may do."""
        self._nodes["run"].write_value(signal.run)
        self._nodes["warning"].write_value(signal.warning)
        self._nodes["state"].write_value(signal.state)

    def rule(self, ruling: Ruling) -> None:
        """Set the verdict before the part's number: who waits for the number finds it there."""
        self._nodes["verdict"].write_value(ruling.verdict.value)
        self._nodes["part"].write_value(_number_of(ruling))

    def beat(self, count: int) -> None:
        """Set the counter that goes up while the inspector lives."""
        self._nodes["beat"].write_value(count)

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()


def _number_of(ruling: Ruling) -> int:
    return ruling.part if ruling.number is None else ruling.number
