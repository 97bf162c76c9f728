"""From a recipe to judges, and the golden parts that they must judge rightly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from shopfloor_contracts.recipes import JudgeSpec, ProductSpec, Recipe
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.inspection.capture import read_grey
from shopfloor_edge.inspection.judges.anomaly import AnomalyJudge, PatchNet
from shopfloor_edge.inspection.judges.cascade import Cascade
from shopfloor_edge.inspection.judges.template import CLASS, TemplateJudge, Tolerance
from shopfloor_edge.inspection.judges.trained import Band, DifferenceNet, TrainedJudge
from shopfloor_edge.inspection.ports import Judge, Verdict
from shopfloor_edge.inspection.registration import Reference
from shopfloor_edge.spc.guard import ALL

Network = DifferenceNet | PatchNet


def build_judges(recipe: Recipe) -> dict[str, Judge]:
    """Return a judge per product.

    Raises:
        OperatorError: a reference that is absent or shows nothing, or charts of classes that no
            judge knows; says which.
        BundleError: the judge's network cannot be used; says why.
    """
    network = _network(recipe.judge)
    classes = _classes(recipe.judge, network)
    unknown = [w.name for w in recipe.watch if w.name not in (ALL, *classes)]
    if unknown:
        raise OperatorError(
            f"watch {unknown[0]!r}: judge {recipe.judge.kind!r} knows no such class; it knows "
            f"{', '.join(classes)}"
        )
    return {
        product.name: _judge(_reference(product), recipe.judge, network)
        for product in recipe.products
    }


def _network(spec: JudgeSpec) -> Network | None:
    if spec.network is None:
        return None
    return (PatchNet if spec.kind == "anomaly" else DifferenceNet)(Path(spec.network))


def _classes(spec: JudgeSpec, network: Network | None) -> tuple[str, ...]:
    """Return the classes of defects that a judge can tell."""
    if network is None:
        return (CLASS,)
    # A cascade names no class where its cheap judge is sure.
    return (*network.classes, CLASS) if spec.kind == "cascade" else network.classes


def _judge(reference: Reference, spec: JudgeSpec, network: Network | None) -> Judge:
    band = Band(spec.review_at, spec.fail_at)
    if isinstance(network, PatchNet):
        return AnomalyJudge(reference, network, band)
    template = TemplateJudge(reference, Tolerance(edge_px=spec.edge_px, area_px=spec.area_px))
    if network is None:
        return template
    trained = TrainedJudge(reference, network, band)
    return Cascade(template, trained) if spec.kind == "cascade" else trained


def digest_of(recipe: Recipe) -> str:
    """Return the SHA-256 of the judge with its references, and its network by its manifest.

    Raises:
        OperatorError: one of them cannot be read.
    """
    digest = hashlib.sha256(recipe.judge.model_dump_json().encode())
    if recipe.judge.network is not None:
        digest.update(_read(Path(recipe.judge.network) / "manifest.json", "judge"))
    for product in recipe.products:
        digest.update(product.name.encode())
        digest.update(_read(Path(product.reference), f"product {product.name!r}"))
    return digest.hexdigest()


def judge_golden(
    recipe: Recipe, judges: Mapping[str, Judge], each: Callable[[], None] = lambda: None
) -> list[str]:
    """Return one line for each golden part that is misjudged; none is as it should be.

    Args:
        each: called for each part: many of them take longer than a line waits for a heartbeat.
    """
    wrong = []
    for golden in recipe.golden:
        each()
        name, picture = Path(golden.picture).name, read_grey(Path(golden.picture))
        if picture is None:
            wrong.append(f"{name}: no picture")
            continue
        judge = judges[golden.product or recipe.products[0].name]
        judgement = judge.judge(picture)
        if judgement.verdict is not Verdict(golden.verdict):
            why = f" ({judgement.doubt})" if judgement.doubt else ""
            wrong.append(f"{name}: {judgement.verdict}{why}, expected {golden.verdict}")
    return wrong


def _reference(product: ProductSpec) -> Reference:
    picture = read_grey(Path(product.reference))
    if picture is None:
        raise OperatorError(f"product {product.name!r}: {product.reference} is no picture")
    try:
        return Reference(picture, product.threshold)
    except ValueError as e:
        raise OperatorError(f"product {product.name!r}: {e}") from e


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise OperatorError(f"{what}: {path}: {e.strerror or e}") from e
