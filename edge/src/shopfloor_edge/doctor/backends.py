"""Which runtimes work here, each really loaded and run on the bundle."""

from __future__ import annotations

from shopfloor_contracts.bundles import Manifest
from shopfloor_contracts.errors import ZooError
from shopfloor_contracts.site import ModelSpec
from shopfloor_edge.doctor.child import Answer, ask
from shopfloor_edge.doctor.findings import Finding, Level
from shopfloor_edge.errors import BundleError
from shopfloor_edge.inference.choose import CANDIDATES
from shopfloor_edge.inference.zoo import find_manifest

AREA = "inference"
LIMIT_S = 60.0
ENGINE_LIMIT_S = 900.0
"""A TensorRT engine takes minutes to build on a small device, the first time."""


def check_backends(spec: ModelSpec) -> list[Finding]:
    """Run every runtime on the bundle's builds, and say which one vision would use."""
    try:
        manifest = find_manifest(spec.bundle)
    except (BundleError, ZooError) as e:
        remedy = "name a bundle of the zoo under [model] in the site file"
        return [Finding(AREA, "bundle", Level.BAD, str(e), remedy)]
    works: list[str] = []
    findings = []
    for runtime, target in _pairs(manifest):
        limit_s = ENGINE_LIMIT_S if runtime == "tensorrt" else LIMIT_S
        answer = ask("backend", manifest.name, runtime, target, limit_s=limit_s)
        finding = judge(runtime, target, answer, asked=spec.backend)
        works += [runtime] if finding.level is Level.OK else []
        findings.append(finding)
    return [*findings, _used(spec, works)]


def judge(runtime: str, target: str, answer: Answer, *, asked: str) -> Finding:
    """Turn a probe's answer into a finding; what the site asks for must work."""
    name = f"{runtime} {target}".strip()
    if "ms" in answer.values:
        return Finding(AREA, name, Level.OK, f"{answer.values['ms']} ms a picture, one thread")
    if "absent" in answer.values:
        found = str(answer.values["absent"])
        extra = answer.values.get("extra")
        remedy = f"'pip install shopfloor-edge[{extra}]' brings it" if extra else ""
        if runtime != asked:
            return Finding(AREA, name, Level.ABSENT, found, remedy)
        remedy = remedy or 'the site file asks for it: install it, or set [model] backend = "auto"'
        return Finding(AREA, name, Level.BAD, found, remedy)
    level = Level.BAD if runtime in (asked, "onnxruntime") else Level.WARN
    if answer.failure:
        remedy = f"vision would end of it too: set [model] backend to another than {runtime}"
        return Finding(AREA, name, level, answer.failure, remedy)
    found = str(answer.values.get("broken", "no answer"))
    return Finding(
        AREA, name, level, found, "remove the file if it is there; 'shopfloor-edge fetch' brings it"
    )


def _pairs(manifest: Manifest) -> list[tuple[str, str]]:
    """Return runtime and build in the order in which vision tries them; absent ones last."""
    has = [(c.runtime, c.target) for c in CANDIDATES if manifest.build_for(c.target)]
    covered = {runtime for runtime, _ in has}
    without = {c.runtime: c.target for c in CANDIDATES if c.runtime not in covered}
    return [*has, ("motion", ""), *without.items()]


def _used(spec: ModelSpec, works: list[str]) -> Finding:
    wanted = spec.backend
    used = wanted if wanted in works else next(iter(works), "")
    name = "used by vision"
    if not used:
        return Finding(AREA, name, Level.BAD, "nothing works", "mend one of the above")
    if wanted not in ("auto", used):
        remedy = f'mend {wanted}, or set [model] backend = "auto"'
        return Finding(AREA, name, Level.BAD, f"{used}, because {wanted} does not work", remedy)
    if used == "motion" and wanted == "auto":
        remedy = "'shopfloor-edge fetch' brings the model"
        return Finding(AREA, name, Level.BAD, "motion: figures are marked degraded", remedy)
    return Finding(AREA, name, Level.OK, f'{used} (backend = "{wanted}")')
