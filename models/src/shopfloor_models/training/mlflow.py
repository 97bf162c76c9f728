"""A run in a local MLflow store: what it was asked, each epoch's loss, digests of what it left.

An extra. The store is one SQLite file below a folder of the operator's; nothing is uploaded and
no artefact is copied.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from shopfloor_models.errors import DataError, MissingExtraError

EXPERIMENT_PREFIX = "shopfloor"
MAX_VALUE = 500
"""MLflow refuses longer parameters."""


class MlflowJournal:
    """Takes the events of a run's log; a run that goes on stays the same MLflow run."""

    def __init__(self, store: Path, experiment: str, *, out: Path) -> None:
        """Open the store, and make it where there is none.

        Args:
            out: the run's folder, where ``mlflow.json`` keeps which MLflow run it is.

        Raises:
            MissingExtraError: MLflow is not installed.
            DataError: the store cannot be written.
        """
        self._store, self._kept = store.resolve(), out / "mlflow.json"
        self._client = _client(self._store)
        self._experiment = self._open(f"{EXPERIMENT_PREFIX}-{experiment}")
        self._run_id = ""

    def write(self, event: str, **fields: object) -> None:
        """Take one event of ``run.jsonl``; unknown ones are left out."""
        if event in ("started", "resumed"):
            self._begin(fields)
        elif event == "epoch":
            self._measure({"loss": fields["loss"], "seconds": fields["seconds"]}, fields["epoch"])
        elif event == "trained":
            self._tag({"network": fields["network"], "network.sha256": fields["sha256"]})
        elif event == "packed":
            self._tag({"bundle": fields["bundle"], "bundle.sha256": fields["sha256"]})
            self._tag({f"build.{k}.sha256": v for k, v in _pairs(fields["builds"])})
            self._measure(dict(_pairs(fields["figures"])), 0)
            self._client.set_terminated(self._run_id)

    def _open(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # Named, because the default is a folder below wherever the command is typed.
        place = (self._store / "artifacts").as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def _begin(self, fields: dict[str, object]) -> None:
        self._run_id = self._known_run()
        if self._run_id:
            self._client.update_run(self._run_id, status="RUNNING")
            return
        run = self._client.create_run(self._experiment, run_name=self._kept.parent.name)
        self._run_id = str(run.info.run_id)
        for name, value in fields.items():
            self._client.log_param(self._run_id, name, str(value)[:MAX_VALUE])
        kept = {"store": str(self._store), "run_id": self._run_id}
        self._kept.write_text(json.dumps(kept) + "\n")

    def _known_run(self) -> str:
        """Return the run that an earlier start began in this store; empty where there is none."""
        if not self._kept.is_file():
            return ""
        kept = json.loads(self._kept.read_text())
        return str(kept["run_id"]) if kept["store"] == str(self._store) else ""

    def _measure(self, values: dict[str, object], step: object) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run_id, name, float(str(value)), step=int(str(step)))

    def _tag(self, values: dict[str, object]) -> None:
        for name, value in values.items():
            self._client.set_tag(self._run_id, name, str(value))


def _pairs(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, dict) else []


def _client(store: Path) -> Any:
    # Read when the package is imported.
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    try:
        tracking = importlib.import_module("mlflow.tracking")
        importlib.import_module("sqlalchemy")
        importlib.import_module("alembic")
    except ImportError as e:
        raise MissingExtraError(e.name or "mlflow", "mlflow") from e
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"{store}: {e.strerror}") from e
    return tracking.MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
