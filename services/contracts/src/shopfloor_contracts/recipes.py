"""The recipe: what one inspection station looks at, how it judges, when it stops the line."""

from __future__ import annotations

import hashlib
import tomllib
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from shopfloor_contracts.base import Operator, Ratio, Slug, refuse_twins
from shopfloor_contracts.errors import RecipeError
from shopfloor_contracts.problems import describe
from shopfloor_contracts.site import MetricsSpec

_Path = Annotated[str, Field(min_length=1, max_length=1000)]
_Topic = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^#+\x00]+$")]
_NodeId = Annotated[str, Field(min_length=3, max_length=300)]
_Endpoint = Annotated[str, Field(pattern=r"^opc\.tcp://.+", max_length=300)]
_Rate = Annotated[float, Field(gt=0, lt=1)]
_LOCAL = ("127.0.0.1", "localhost", "::1")
ALL = "all"
"""Name of the chart of defective parts, of whatever class."""


class BrokerSpec(Operator):
    """The line's MQTT broker. TLS is used when ``ca_file`` is set."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str | None = None
    password_file: _Path | None = None
    ca_file: _Path | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> BrokerSpec:
        if self.ca_file is None and self.host not in _LOCAL:
            raise ValueError(
                f"host {self.host!r} is not this machine: a ca_file for TLS is required"
            )
        return self


class OpcUaSecurity(Operator):
    """Who we are towards an OPC-UA peer, and who the peer must be. Files are PEM or DER, RSA."""

    certificate_file: _Path
    key_file: _Path
    """Without a password; readable by the station only."""
    trusted: Annotated[list[_Path], Field(min_length=1, max_length=64)]
    """Certificates of the peers: for a client the one server, for a server all of its readers."""
    policy: Literal["Aes256Sha256RsaPss", "Basic256Sha256"] = "Aes256Sha256RsaPss"
    """Messages are signed and encrypted with either; the second for peers that know no better."""
    user_certificate_file: _Path | None = None
    """Of a user that the peer knows, where it wants one beside our own."""
    user_key_file: _Path | None = None

    @model_validator(mode="after")
    def _user_is_whole(self) -> OpcUaSecurity:
        if (self.user_certificate_file is None) != (self.user_key_file is None):
            raise ValueError("user_certificate_file and user_key_file go together")
        return self


class _OpcUaPeer(Operator):
    """An endpoint that may lie on another machine."""

    endpoint: _Endpoint
    security: OpcUaSecurity | None = None
    """Required where the endpoint is not on this machine."""

    @model_validator(mode="after")
    def _is_closed(self) -> _OpcUaPeer:
        try:
            host = urlsplit(self.endpoint).hostname or ""
        except ValueError as e:
            raise ValueError(f"endpoint {self.endpoint!r}: {e}") from e
        if self.security is None and host not in _LOCAL:
            raise ValueError(
                f"endpoint {self.endpoint!r} is not this machine: a security table with "
                "certificates is required"
            )
        return self


class MqttTrigger(Operator):
    """A message for each part: ``{"number": 7, "run": "a", "product": "…", "picture": "7.png"}``.

    Every field may be absent. Parts with a number are counted though the station was down.
    """

    kind: Literal["mqtt"]
    broker: BrokerSpec = BrokerSpec()
    topic: _Topic


class OpcUaTrigger(_OpcUaPeer):
    """A counter in a PLC that goes up with each part."""

    kind: Literal["opcua"]
    node: _NodeId


class GpioTrigger(Operator):
    """A light barrier on a GPIO line: each rising edge is a part."""

    kind: Literal["gpio"]
    chip: _Path = "/dev/gpiochip0"
    offset: Annotated[int, Field(ge=0, le=1023)]


class FrameTrigger(Operator):
    """The camera is triggered: every picture is a part. Of a folder, every new file."""

    kind: Literal["frames"]


class SettleTrigger(Operator):
    """A part has come and stands still in a live picture."""

    kind: Literal["settle"]
    still_s: Annotated[float, Field(ge=0.05, le=10)] = 0.2
    changed_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Share of pixels that differ when something moves."""


TriggerSpec = Annotated[
    MqttTrigger | OpcUaTrigger | GpioTrigger | FrameTrigger | SettleTrigger,
    Field(discriminator="kind"),
]


class ProductSpec(Operator):
    """A product that comes along, and a good one's picture."""

    name: Slug
    reference: _Path
    threshold: Annotated[float, Field(ge=0, le=255)] | None = None
    """Grey level that parts material from none; found by itself when absent."""


class JudgeSpec(Operator):
    """What judges."""

    kind: Literal["template", "trained", "cascade", "anomaly"] = "template"
    """Compare with the reference; let a network name what differs; the second only where the
    first is in doubt; or find what no good part looked like."""
    network: Annotated[str, Field(max_length=500)] | None = None
    """Folder of an unpacked bundle of task ``classify-differences``, for ``anomaly`` of task
    ``score-patches``; not for ``template``."""
    review_at: Ratio = 0.2
    """A network's score from which a person decides."""
    fail_at: Ratio = 0.5
    area_px: Annotated[int, Field(ge=1, le=100_000)] = 6
    """Differing pixels that are a finding."""
    edge_px: Annotated[int, Field(ge=1, le=99)] = 5
    """Width of the band around edges in which material may begin or end."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> JudgeSpec:
        if (self.kind == "template") != (self.network is None):
            raise ValueError(
                f"judge {self.kind!r} {'takes no' if self.network else 'wants a'} network"
            )
        if self.review_at > self.fail_at:
            raise ValueError(
                f"review_at must not be above fail_at, found {self.review_at:g} and "
                f"{self.fail_at:g}"
            )
        return self


class ChartSpec(Operator):
    """What a chart has to do; ``shopfloor-edge spc design`` says what that means."""

    chart: Literal["cusum", "ewma", "p-chart"] = "cusum"
    p0: _Rate
    p1: _Rate
    arl0: Annotated[float, Field(ge=10, le=1e12)]

    @model_validator(mode="after")
    def _is_in_order(self) -> ChartSpec:
        if self.p0 >= self.p1:
            raise ValueError(f"p0 must be below p1, found p0 {self.p0:g}, p1 {self.p1:g}")
        return self


class WatchSpec(Operator):
    """The two limits of one class of defects, or of ``all``."""

    name: Slug = ALL
    alert: ChartSpec
    stop: ChartSpec


class MqttOutput(Operator):
    """Says ``<prefix>/line`` (retained), ``<prefix>/verdict`` and ``<prefix>/beat``."""

    broker: BrokerSpec = BrokerSpec()
    prefix: _Topic


class OpcUaServer(_OpcUaPeer):
    """Serves run, warning, state, beat, part and verdict to PLCs that read them."""

    endpoint: _Endpoint = "opc.tcp://127.0.0.1:4840/shopfloor"


class OpcUaClient(_OpcUaPeer):
    """Writes into a PLC's variables; only those that are named."""

    run: _NodeId
    warning: _NodeId | None = None
    beat: _NodeId | None = None
    part: _NodeId | None = None
    reject: _NodeId | None = None


class GpioOutput(Operator):
    """Lines that are high while all is well: a cut wire and a dead device read as a stop."""

    chip: _Path = "/dev/gpiochip0"
    run: Annotated[int, Field(ge=0, le=1023)]
    passed: Annotated[int, Field(ge=0, le=1023)] | None = None
    """High from a pass until the next trigger; low lets the gate reject."""


class OutputsSpec(Operator):
    """How the line hears; each is optional."""

    mqtt: MqttOutput | None = None
    opcua_server: OpcUaServer | None = None
    opcua_client: OpcUaClient | None = None
    gpio: GpioOutput | None = None


class GoldenSpec(Operator):
    """A part whose verdict is known; for "fail" any finding will do."""

    picture: _Path
    verdict: Literal["pass", "fail"]
    product: Slug | None = None


class EvidenceCrops(Operator):
    """Crops of parts that did not pass; they stay on the device."""

    quota_bytes: Annotated[int, Field(ge=100_000, le=100_000_000_000)] = 200_000_000
    keep_passed_every: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Of the parts that passed, each so-manieth is kept for people to look at; 0 keeps none."""


class Recipe(Operator):
    """One station. References, golden parts and folders are relative to the recipe's folder."""

    schema_version: Literal[1] = 1
    site: Slug
    device: Slug
    station: Slug
    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    source: _Path
    """``folder:DIR`` for pictures that a camera puts there, or a camera as in a site file."""
    capture_timeout_s: Annotated[float, Field(ge=0.01, le=5)] = 0.1
    latency_budget_ms: Annotated[float, Field(ge=5, le=60_000)] = 200.0
    """From trigger to verdict: later, the part is past the gate and counts as missed."""
    trigger: TriggerSpec
    products: Annotated[list[ProductSpec], Field(min_length=1, max_length=500)]
    judge: JudgeSpec = JudgeSpec()
    watch: Annotated[list[WatchSpec], Field(max_length=64)] = Field(default_factory=list)
    blind_after: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Parts in a row without a judgement after which people are told, and ``interlock`` acts."""
    interlock: Literal["stop", "warning"] = "stop"
    """What the line hears when the station is gone, blind, or not released."""
    dry_run: bool = False
    """Judge and count, and tell the line nothing."""
    outputs: OutputsSpec = OutputsSpec()
    golden: Annotated[list[GoldenSpec], Field(max_length=200)] = Field(default_factory=list)
    shifts: Annotated[
        list[Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]],
        Field(max_length=24),
    ] = Field(default_factory=list)
    """When golden parts are judged again, by the device's own clock: ``["06:00", "14:00"]``."""
    evidence: EvidenceCrops = EvidenceCrops()
    metrics: MetricsSpec = MetricsSpec()

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Recipe:
        refuse_twins("product", [product.name for product in self.products])
        refuse_twins("watch", [watch.name for watch in self.watch])
        names = {product.name for product in self.products}
        for golden in self.golden:
            if golden.product is not None and golden.product not in names:
                raise ValueError(
                    f"golden part {golden.picture!r}: no product is named {golden.product!r}"
                )
        is_settle = self.trigger.kind == "settle"
        if is_settle and self.source.startswith("folder:"):
            raise ValueError("a folder has no motion to settle; use the trigger kind 'frames'")
        return self

    @property
    def version(self) -> str:
        """Digest of what is judged and how: figures of different versions are not comparable."""
        text = self.model_dump_json(include={"products", "judge", "watch", "latency_budget_ms"})
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def parse_recipe(text: str, *, source: str) -> Recipe:
    """Read a recipe; ``source`` names it in errors.

    Raises:
        RecipeError: all problems at once, each with its key.
    """
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise RecipeError(source, [f"not TOML: {e}"]) from e
    except ValidationError as e:
        raise RecipeError(source, describe(e, Recipe)) from e
