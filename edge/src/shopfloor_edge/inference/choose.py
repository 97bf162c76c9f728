"""Which runtime runs which build here: the first that works, in a stated order."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from shopfloor_contracts.bundles import Build, Manifest, Preprocess
from shopfloor_contracts.site import ModelSpec
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.litert import LiteRtBackend, check_edge_tpu
from shopfloor_edge.inference.motion import MOTION_DIGEST, PREPROCESS, MotionBackend
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.openvino import OpenVinoBackend
from shopfloor_edge.inference.ports import InferenceBackend
from shopfloor_edge.inference.tensorrt import TensorRtBackend, check_gpu
from shopfloor_edge.inference.zoo import resolve, verify

log = logging.getLogger(__name__)

Precision = Literal["fp32", "fp16", "int8", "none"]
FP32 = "onnx-fp32"


class Load(Protocol):
    """How each backend is made."""

    def __call__(
        self,
        manifest: Manifest,
        path: Path,
        *,
        wanted: tuple[str, ...],
        threads: int,
        build: Build,
    ) -> InferenceBackend:
        """Load ``path`` and compare it with the manifest."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime with a kind of build, and whether its hardware and libraries are here."""

    runtime: str
    target: str
    load: Load
    probe: Callable[[], None] | None = None
    """Raises BackendUnavailableError; cheap, and before the build's file is looked for."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What finds people on this device, and why it is not something better."""

    name: str
    precision: Precision
    model_digest: str
    preprocess: Preprocess
    degraded: str = ""
    """Why another than the wanted model or runtime had to do; empty where none had to."""
    shared: InferenceBackend | None = field(default=None, repr=False)
    """None for motion: a background belongs to one camera."""
    person: int = 0
    """Class number that motion gives."""

    def for_camera(self) -> InferenceBackend:
        """Return the backend for one more camera; a model's is the same for all."""
        return MotionBackend(self.person) if self.shared is None else self.shared

    @property
    def sees_still_people(self) -> bool:
        """Whether its boxes may be trusted to mask everybody in a picture."""
        return self.shared is not None


def choose(
    manifest: Manifest, spec: ModelSpec, *, wanted: tuple[str, ...], folder: Path | None = None
) -> Chosen:
    """Load the best build that works here; motion where none does.

    Args:
        folder: of an unpacked bundle, the only place where its builds are looked for.

    A runtime or accelerator that is not installed is passed over in silence, unless the site file
    asks for it; a build that should work and does not makes the result degraded.

    Raises:
        BundleError: the bundle does not know a wanted class: no other build would help.
    """
    missing = [name for name in wanted if name not in manifest.classes]
    if missing:
        raise BundleError(f"bundle {manifest.name} does not know the class {missing[0]!r}")
    faults: list[str] = []
    found = _first(_Bundle(manifest, folder), spec, wanted, faults)
    runtime = found[0].runtime if found else "motion"
    degraded = "" if spec.backend == "motion" else _reason(spec, runtime, manifest, faults)
    if found is None:
        person = manifest.classes.index(wanted[0])
        return _told(Chosen("motion", "none", MOTION_DIGEST, PREPROCESS, degraded, person=person))
    _, build, backend = found
    precision, preprocess = precision_of(build), manifest.preprocess
    return _told(Chosen(backend.name, precision, build.sha256, preprocess, degraded, backend))


def precision_of(build: Build) -> Precision:
    """Return the numbers that a build is run in, by its target's name."""
    words = build.target.split("-")
    return "int8" if "int8" in words else "fp16" if "fp16" in words else "fp32"


def check_module(runtime: str, module: str) -> None:
    """Look for an optional library without importing it.

    Raises:
        BackendUnavailableError: it is not installed; the message names the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise BackendUnavailableError(runtime, f"{module} is not installed", extra=runtime)


CANDIDATES = (
    Candidate("tensorrt", "onnx-int8-tensorrt", TensorRtBackend, check_gpu),
    Candidate("tensorrt", FP32, TensorRtBackend, check_gpu),
    Candidate("litert", "litert-int8-edgetpu", LiteRtBackend, check_edge_tpu),
    # Without an accelerator fp32 goes first: a bundle's figures are measured on it.
    Candidate("onnxruntime", FP32, OnnxBackend),
    Candidate("onnxruntime", "onnx-int8", OnnxBackend),
    Candidate("openvino", FP32, OpenVinoBackend, lambda: check_module("openvino", "openvino")),
    Candidate(
        "openvino", "onnx-int8", OpenVinoBackend, lambda: check_module("openvino", "openvino")
    ),
    Candidate(
        "litert", "litert-int8", LiteRtBackend, lambda: check_module("litert", "ai_edge_litert")
    ),
)
"""In the order in which "auto" tries them."""


@dataclass(frozen=True, slots=True)
class _Bundle:
    """A manifest, and where its builds are: None for the zoo's places."""

    manifest: Manifest
    folder: Path | None

    def file(self, build: Build) -> Path:
        if self.folder is None:
            return resolve(build, download=False)
        path = self.folder / build.file
        try:
            verify(path, build.sha256)
        except OSError as e:
            raise BundleError(f"{path}: {e.strerror or e}") from e
        return path


def _first(
    bundle: _Bundle, spec: ModelSpec, wanted: tuple[str, ...], faults: list[str]
) -> tuple[Candidate, Build, InferenceBackend] | None:
    """Return the first candidate that loads; note in ``faults`` what should have and did not."""
    for candidate in _in_order(spec.backend):
        pinned = spec.sha256 if bundle.folder is None else None
        build = _build(bundle.manifest, candidate.target, pinned)
        if build is None:
            continue
        try:
            backend = _load(candidate, bundle, build, wanted=wanted, threads=spec.threads)
        except BackendUnavailableError as e:
            log.debug("backend is not here", extra={"reason": str(e)})
            faults += [str(e)] if candidate.runtime == spec.backend else []
        except BundleError as e:
            faults.append(str(e))
        except Exception as e:  # a library's own classes; another one may still work
            log.exception("backend ended unexpectedly", extra={"backend": candidate.runtime})
            faults.append(f"{candidate.runtime}: {type(e).__name__}")
        else:
            return candidate, build, backend
    return None


def _in_order(backend: str) -> Iterable[Candidate]:
    """Return the candidates, those of the runtime that is asked for first."""
    if backend == "motion":
        return ()
    return sorted(CANDIDATES, key=lambda candidate: candidate.runtime != backend)


def _build(manifest: Manifest, target: str, pinned: str | None) -> Build | None:
    build = manifest.build_for(target)
    if pinned is None or build is None or build.sha256 == pinned:
        return build
    known = any(one.sha256 == pinned for one in manifest.builds)
    # A site's own build is float ONNX: no other file may take the place of one that is pinned.
    return build.model_copy(update={"sha256": pinned}) if target == FP32 and not known else None


def _load(
    candidate: Candidate,
    bundle: _Bundle,
    build: Build,
    *,
    wanted: tuple[str, ...],
    threads: int,
) -> InferenceBackend:
    if candidate.probe is not None:
        candidate.probe()
    path = bundle.file(build)
    backend = candidate.load(bundle.manifest, path, wanted=wanted, threads=threads, build=build)
    backend.warmup()
    return backend


def _reason(spec: ModelSpec, runtime: str, manifest: Manifest, faults: list[str]) -> str:
    if spec.backend not in ("auto", runtime) and not faults:
        return f"bundle {manifest.name} has no build for {spec.backend}"
    if runtime == "motion" and not faults:
        return f"bundle {manifest.name} has no build that runs here"
    return "; ".join(dict.fromkeys(faults))


def _told(chosen: Chosen) -> Chosen:
    told = {"backend": chosen.name, "precision": chosen.precision}
    if chosen.degraded:
        log.warning("inference is degraded", extra=told | {"reason": chosen.degraded})
    else:
        log.info("inference is ready", extra=told)
    return chosen
