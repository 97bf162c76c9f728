"""From a recipe to judges, and the golden parts that they must judge rightly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from shopfloor_contracts.recipes import JudgeSpec, ProductSpec, Recipe
from shopfloor_edge.errors import OperatorError
from shopfloor_edge.inspection.capture import read_grey
from shopfloor_edge.inspection.judges.template import CLASS, TemplateJudge, Tolerance
from shopfloor_edge.inspection.ports import Judge, Verdict
from shopfloor_edge.inspection.registration import Reference
from shopfloor_edge.spc.guard import ALL


def build_judges(recipe: Recipe) -> dict[str, Judge]:
    """Return a judge per product.

    Raises:
        OperatorError: a reference that is absent or shows nothing, or charts of classes that no
            judge knows; says which.
    """
    judges = {product.name: _template(product, recipe.judge) for product in recipe.products}
    unknown = [w.name for w in recipe.watch if w.name not in (ALL, *classes_of(recipe.judge))]
    if unknown:
        raise OperatorError(
            f"watch {unknown[0]!r}: judge {recipe.judge.kind!r} knows no such class; it knows "
            f"{', '.join(classes_of(recipe.judge))}"
        )
    return judges


def classes_of(spec: JudgeSpec) -> tuple[str, ...]:
    """Return the classes of defects that a judge can tell."""
    return {"template": (CLASS,)}[spec.kind]


def digest_of(recipe: Recipe) -> str:
    """Return the SHA-256 of the judge with its references.

    Raises:
        OperatorError: a reference cannot be read.
    """
    digest = hashlib.sha256(recipe.judge.model_dump_json().encode())
    for product in recipe.products:
        digest.update(product.name.encode())
        digest.update(_content(product))
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


def _template(product: ProductSpec, spec: JudgeSpec) -> Judge:
    picture = read_grey(Path(product.reference))
    if picture is None:
        raise OperatorError(f"product {product.name!r}: {product.reference} is no picture")
    try:
        reference = Reference(picture, product.threshold)
    except ValueError as e:
        raise OperatorError(f"product {product.name!r}: {e}") from e
    return TemplateJudge(reference, Tolerance(edge_px=spec.edge_px, area_px=spec.area_px))


def _content(product: ProductSpec) -> bytes:
    try:
        return Path(product.reference).read_bytes()
    except OSError as e:
        raise OperatorError(
            f"product {product.name!r}: {product.reference}: {e.strerror or e}"
        ) from e
