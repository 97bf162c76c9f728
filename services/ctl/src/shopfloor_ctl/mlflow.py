"""Reads one run of MLflow, from a folder (``mlruns``) or its tracking server; needs no mlflow.

Sources: https://mlflow.org/docs/latest/rest-api.html, and the file store's layout: per run a
folder with ``meta.yaml``, ``params/NAME`` and ``metrics/NAME`` (lines ``timestamp value step``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import httpx

from shopfloor_ctl.errors import MistakeError, RefusedError

_RUN = re.compile(r"[0-9A-Za-z_-]{1,64}")
MAX_FILE_BYTES = 1 << 20
TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Run:
    """What is taken over; of a metric the last value."""

    run_id: str
    experiment: str
    tracking_uri: str
    params: dict[str, str]
    metrics: dict[str, float]


def read_run(source: str, run_id: str) -> Run:
    """Return a run of the folder or server ``source``.

    Raises:
        MistakeError: no such run, or what is there is none.
        RefusedError: the server does not answer as one of MLflow.
    """
    if not _RUN.fullmatch(run_id):
        raise MistakeError(f"run is {run_id!r}, expected the id of an MLflow run")
    if source.startswith(("http://", "https://")):
        return _from_server(source.rstrip("/"), run_id)
    return _from_folder(Path(source), run_id)


def _from_folder(folder: Path, run_id: str) -> Run:
    found = sorted(folder.glob(f"*/{run_id}/meta.yaml"))
    if not found:
        raise MistakeError(f"{folder}: no run {run_id}: expected EXPERIMENT/{run_id}/meta.yaml")
    run = found[0].parent
    try:
        experiment = _yaml_name(run.parent / "meta.yaml") or run.parent.name
        params = {name: _text(file).strip() for name, file in _files(run / "params")}
        metrics = {name: _last_value(file) for name, file in _files(run / "metrics")}
    except OSError as e:
        raise MistakeError(f"{run}: {e.strerror or e}") from e
    return Run(run_id, experiment, folder.resolve().as_uri(), params, metrics)


def _from_server(url: str, run_id: str) -> Run:
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as http:
            answer = http.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id})
            if answer.status_code == 404:
                raise MistakeError(f"{url}: no run {run_id}")
            run = answer.raise_for_status().json()["run"]
            identity = run["info"]["experiment_id"]
            answer = http.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": identity})
            experiment = str(answer.raise_for_status().json()["experiment"]["name"])
        data = run["data"]
        params = {str(one["key"]): str(one["value"]) for one in data.get("params", [])}
        metrics = {str(one["key"]): float(one["value"]) for one in data.get("metrics", [])}
    except httpx.HTTPError as e:
        raise RefusedError(f"{url}: {e or type(e).__name__}") from e
    except (ValueError, KeyError, TypeError) as e:
        raise RefusedError(f"{url} does not answer as a tracking server of MLflow") from e
    return Run(run_id, experiment, url, params, metrics)


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Return files by name; MLflow writes a metric ``val/ap`` into a folder ``val``."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path) for path in found]


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(MAX_FILE_BYTES).decode(errors="replace")


def _last_value(file: Path) -> float:
    lines = _text(file).split("\n")
    steps = [line.split() for line in lines if line.strip()]
    try:
        return float(steps[-1][1])
    except (IndexError, ValueError) as e:
        raise MistakeError(f"{file}: expected lines of time, value and step") from e


def _yaml_name(file: Path) -> str:
    """Return ``name:`` of a flat YAML file, which is all that MLflow writes here."""
    for line in _text(file).splitlines() if file.is_file() else []:
        key, _, value = line.partition(":")
        if key == "name":
            return value.strip().strip("'\"")
    return ""
