"""Read a recipe from disk, with its paths made absolute."""

from __future__ import annotations

from pathlib import Path

from shopfloor_contracts.errors import RecipeError
from shopfloor_contracts.recipes import OpcUaSecurity, OpcUaTrigger, Recipe, parse_recipe

MAX_RECIPE_BYTES = 1_000_000
FOLDER = "folder:"


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        RecipeError: it cannot be read, or what it says cannot be run.
    """
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise RecipeError(str(path), [f"larger than {MAX_RECIPE_BYTES} bytes"])
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise RecipeError(str(path), [e.strerror or str(e)]) from e
    except UnicodeDecodeError as e:
        raise RecipeError(str(path), ["not UTF-8 text"]) from e
    return _rooted(parse_recipe(text, source=str(path)), path.resolve().parent)


def _rooted(recipe: Recipe, root: Path) -> Recipe:
    products = [
        p.model_copy(update={"reference": str(root / p.reference)}) for p in recipe.products
    ]
    golden = [g.model_copy(update={"picture": str(root / g.picture)}) for g in recipe.golden]
    judge = recipe.judge
    if judge.network is not None:
        judge = judge.model_copy(update={"network": str(root / judge.network)})
    source = recipe.source
    if source.startswith(FOLDER):
        source = FOLDER + str(root / source.removeprefix(FOLDER))
    outputs = recipe.outputs.model_copy(
        update={
            name: peer.model_copy(update={"security": _rooted_security(peer.security, root)})
            for name in ("opcua_server", "opcua_client")
            if (peer := getattr(recipe.outputs, name)) is not None
        }
    )
    trigger = recipe.trigger
    if isinstance(trigger, OpcUaTrigger):
        security = _rooted_security(trigger.security, root)
        trigger = trigger.model_copy(update={"security": security})
    return recipe.model_copy(
        update={"products": products, "golden": golden, "judge": judge, "source": source,
                "outputs": outputs, "trigger": trigger}
    )  # fmt: skip


def _rooted_security(security: OpcUaSecurity | None, root: Path) -> OpcUaSecurity | None:
    if security is None:
        return None
    files = security.model_dump(exclude={"policy", "trusted"}, exclude_none=True)
    rooted: dict[str, object] = {key: str(root / path) for key, path in files.items()}
    return security.model_copy(
        update=rooted | {"trusted": [str(root / path) for path in security.trusted]}
    )
