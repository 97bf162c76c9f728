import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from shopfloor_models.data.dataset import Dataset
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.scan import Item, scan_dataset
from shopfloor_models.training.augment import AugmentSettings, Labelled, disturb, mosaic, single
from shopfloor_models.training.network import NetworkSpec, build_network
from shopfloor_models.training.soft_loss import surplus
from shopfloor_models.training.torch_compat import import_torch
from shopfloor_models.training.yolox import TrainSettings, _batches, _Pictures

NO_TORCH = importlib.util.find_spec("torch") is None or importlib.util.find_spec("yolox") is None
wants_torch = pytest.mark.skipif(NO_TORCH, reason="wants torch: tools/setup-training.sh")
BOX = [0.2, 0.2, 0.6, 0.8]


def sample(scores: list[float] | None) -> Sample:
    boxes, kinds = np.array([BOX], np.float32), np.zeros(1, np.int64)
    given = None if scores is None else np.array(scores, np.float32)
    return Sample(Path("a.png"), boxes, kinds, "x", "own", given)


def test_what_people_drew_is_sure() -> None:
    assert sample(None).label_scores().tolist() == [1.0]


def test_a_teachers_score_comes_from_the_sixth_column(tmp_path: Path) -> None:
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for name, line in (("a", "0 .5 .5 .2 .2 0.625"), ("b", "0 .5 .5 .2 .2")):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.zeros((9, 9, 3), np.uint8))
        (tmp_path / "labels" / f"{name}.txt").write_text(line)
    source = {"name": "s", "images": "images", "labels": "labels", "licence_class": "own"}
    dataset = Dataset.model_validate(
        {"name": "d", "version": "1", "classes": ["person"], "sources": [source]}
    )

    scan = scan_dataset(dataset, tmp_path)

    found = [item.sample.label_scores().tolist() for item in scan.items]
    assert found == [[0.625], [1.0]]


def test_scores_are_part_of_the_digest_and_hard_labels_keep_theirs() -> None:
    lines = [Item(sample(s), "x", "train", "0").line() for s in (None, [1.0], [0.5])]

    assert lines[0] == lines[1]
    assert lines[0] != lines[2]


def test_scores_survive_every_disturbance() -> None:
    random, settings = np.random.default_rng(1), AugmentSettings()
    boxes = np.array([[0, 20, 20, 60, 80, 0.625]], np.float32)
    item = Labelled(np.zeros((100, 100, 3), np.uint8), boxes)

    seen = [disturb(single(item, (96, 96), settings, random), settings, random).boxes]
    seen.append(mosaic([item] * 4, (96, 96), settings, random).boxes)

    scores = np.concatenate(seen)[:, 5]
    assert len(scores) >= 2
    assert set(scores.tolist()) == {0.625}


@pytest.mark.parametrize(("soft", "expected"), [(True, 0.625), (False, 1.0)])
def test_the_score_reaches_the_targets_where_it_is_asked_for(
    tmp_path: Path, soft: bool, expected: float
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((100, 100, 3), np.uint8))
    labelled = replace(sample([0.625]), image=tmp_path / "a.png")
    settings = TrainSettings(
        network=NetworkSpec(classes=1), input_px=(64, 64), epochs=1, batch=1, soft_scores=soft
    )
    batches = _batches(_Pictures([labelled]), settings, np.random.default_rng(1), plain=True)

    [(images, rows)] = list(batches)

    assert images.shape == (1, 64, 64, 3)
    assert rows[0, 0, 5] == np.float32(expected)
    assert rows[0, 1:].any() == np.False_


@wants_torch
def test_the_surplus_is_the_difference_of_two_cross_entropies() -> None:
    torch = import_torch()
    logits = torch.tensor([[0.3, -1.2, 2.0, 0.1]])
    foreground = torch.tensor([True, False, True, False])
    labels = torch.tensor([1, 0])
    scores = torch.tensor([[0.25, 0.75]])

    found = surplus(logits, scores, [(0, foreground, labels)])

    loss = torch.nn.BCEWithLogitsLoss(reduction="sum")
    hard = torch.tensor([1.0, 0.0, 1.0, 0.0])
    soft = torch.tensor([0.75, 0.0, 0.25, 0.0])
    expected = (loss(logits[0], soft) - loss(logits[0], hard)) / 2
    assert float(found) == pytest.approx(float(expected), abs=1e-6)


@wants_torch
@pytest.mark.filterwarnings("ignore::FutureWarning")  # YOLOX writes torch's older names
def test_hard_labels_are_learnt_as_before() -> None:
    torch, network, pixels = fixed_network()
    published = type(network.head).__mro__[1]

    ours = network(pixels, targets(torch, 1.0))
    network.head.__class__ = published
    theirs = network(pixels, targets(torch, 1.0)[:, :, :5])

    assert published.__name__ == "YoloxHead"
    assert float(ours["total_loss"].detach()) == float(theirs["total_loss"].detach())


@wants_torch
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("score", [0.3, 0.9])
def test_the_target_of_objectness_follows_the_score(score: float) -> None:
    torch, network, pixels = fixed_network()

    pulls = [pull_on_objectness(network, pixels, targets(torch, s)) for s in (1.0, score)]

    # The gradient at a logit x is sigmoid(x) - target, of each matched cell in equal shares.
    assert pulls[1] - pulls[0] == pytest.approx(1 - score, abs=1e-5)


def pull_on_objectness(network: Any, pixels: Any, rows: Any) -> float:
    """Return the loss's gradient with respect to all objectness logits, summed up."""
    network.zero_grad()
    network(pixels, rows)["total_loss"].backward()
    return sum(float(conv.bias.grad.sum()) for conv in network.head.obj_preds)


def fixed_network() -> tuple[Any, Any, Any]:
    torch = import_torch()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    network = build_network(NetworkSpec(classes=1, width=0.125)).train()
    return torch, network, torch.rand(1, 3, 64, 64) * 255


def targets(torch: Any, score: float) -> Any:
    rows = torch.zeros(1, 3, 6)
    rows[0, 0] = torch.tensor([0, 32.0, 32.0, 24.0, 40.0, score])
    return rows
