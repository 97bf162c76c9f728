import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from shopfloor_contracts.bundles import Build, Head, Manifest, Measure, Preprocess
from shopfloor_models.errors import MissingExtraError
from shopfloor_models.runs import RunLog, log_packed
from shopfloor_models.training.mlflow import MlflowJournal

NEEDED = ("mlflow", "sqlalchemy", "alembic")
ABSENT = [name for name in NEEDED if importlib.util.find_spec(name) is None]
wants_mlflow = pytest.mark.skipif(
    bool(ABSENT), reason=f"wants {', '.join(ABSENT)}: pip install 'shopfloor-models[mlflow]'"
)
# MLflow writes older names of SQLAlchemy and others.
pytestmark = pytest.mark.filterwarnings("ignore")


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, object]]] = []

    def write(self, event: str, **fields: object) -> None:
        self.heard.append((event, fields))


def journal(tmp_path: Path, out: str = "run") -> MlflowJournal:
    (tmp_path / out).mkdir(exist_ok=True)
    return MlflowJournal(tmp_path / "store", "aisles", out=tmp_path / out)


def runs(tmp_path: Path) -> list[Any]:
    tracking = importlib.import_module("mlflow.tracking")
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'store/mlflow.db'}")
    experiment = client.get_experiment_by_name("shopfloor-aisles")
    return list(client.search_runs([experiment.experiment_id]))


def history(tmp_path: Path, run_id: str) -> list[tuple[int, float]]:
    tracking = importlib.import_module("mlflow.tracking")
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'store/mlflow.db'}")
    return [(m.step, m.value) for m in client.get_metric_history(run_id, "loss")]


@pytest.mark.skipif(not ABSENT, reason="MLflow is installed")
def test_where_mlflow_is_absent_the_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"shopfloor-models\[mlflow\]"):
        journal(tmp_path)


def test_what_listens_to_the_log_hears_what_is_written(tmp_path: Path) -> None:
    listener = Listener()
    log = RunLog(tmp_path / "run.jsonl", [listener])

    log.write("epoch", epoch=1, loss=2.5)

    line = json.loads((tmp_path / "run.jsonl").read_text())
    assert listener.heard == [("epoch", {"epoch": 1, "loss": 2.5})]
    assert (line["event"], line["loss"]) == ("epoch", 2.5)


def test_digests_and_figures_of_what_was_packed_are_told(tmp_path: Path) -> None:
    listener = Listener()
    build = Build(target="onnx-fp32", file="a.onnx", sha256="b" * 64, size_bytes=1)
    spec = Preprocess(
        width_px=64, height_px=64, layout="nhwc-uint8", colour="bgr", letterbox="top-left"
    )
    manifest = Manifest(
        name="aisles",
        version="1",
        task="detect",
        licence="Apache-2.0",
        source="x",
        classes=["person"],
        head=Head.YOLOX,
        preprocess=spec,
        builds=[build],
        evaluation=[Measure(metric="ap", value=0.5, data="val", target="onnx-fp32")],
    )

    log = RunLog(tmp_path / "run.jsonl", [listener])
    log_packed(log, manifest, Path("out/a.bundle"), sha256="c" * 64)

    event, fields = listener.heard[0]
    assert event == "packed"
    assert fields["builds"] == {"onnx-fp32": "b" * 64}
    assert fields["figures"] == {"ap.onnx-fp32": 0.5}


@wants_mlflow
def test_a_run_holds_parameters_losses_and_digests(tmp_path: Path) -> None:
    log = journal(tmp_path)

    log.write("started", data_sha256="a" * 64, epochs=2, seed=1)
    for epoch, loss in ((1, 3.0), (2, 2.0)):
        log.write("epoch", epoch=epoch, loss=loss, seconds=1.0)
    log.write("trained", network="network.onnx", bytes=10, sha256="b" * 64)
    builds, figures = {"onnx-fp32": "d" * 64}, {"ap.onnx-fp32": 0.5}
    log.write("packed", bundle="x.bundle", sha256="c" * 64, builds=builds, figures=figures)

    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"data_sha256": "a" * 64, "epochs": "2", "seed": "1"}
    assert history(tmp_path, run.info.run_id) == [(1, 3.0), (2, 2.0)]
    assert run.data.metrics["ap.onnx-fp32"] == 0.5
    assert run.data.tags["bundle.sha256"] == "c" * 64
    assert run.data.tags["build.onnx-fp32.sha256"] == "d" * 64


@wants_mlflow
def test_a_training_that_goes_on_is_the_same_run(tmp_path: Path) -> None:
    killed = journal(tmp_path)
    killed.write("started", epochs=2)
    killed.write("epoch", epoch=1, loss=3.0, seconds=1.0)

    again = journal(tmp_path)
    again.write("resumed", epochs=2)
    again.write("epoch", epoch=2, loss=2.0, seconds=1.0)

    (run,) = runs(tmp_path)
    assert history(tmp_path, run.info.run_id) == [(1, 3.0), (2, 2.0)]


@wants_mlflow
def test_another_folder_is_another_run(tmp_path: Path) -> None:
    journal(tmp_path, "first").write("started", epochs=2)

    journal(tmp_path, "second").write("started", epochs=3)

    assert sorted(run.data.params["epochs"] for run in runs(tmp_path)) == ["2", "3"]


@wants_mlflow
def test_nothing_is_written_but_the_store_and_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    journal(tmp_path).write("started", epochs=2)

    assert list((tmp_path / "elsewhere").iterdir()) == []
