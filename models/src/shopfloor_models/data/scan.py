"""Read what a dataset file names: pictures, labels, scenes, splits and digests."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfloor_contracts.bundles import DataSource
from shopfloor_models.data.dataset import Dataset, Source, Split
from shopfloor_models.data.formats import Labels, read_coco, read_yolo, yolo_text
from shopfloor_models.data.problems import Problem, error
from shopfloor_models.data.samples import Sample, images_in
from shopfloor_models.errors import DataError


@dataclass(frozen=True, slots=True)
class Item:
    """A picture of the dataset."""

    sample: Sample
    scene: str
    split: Split
    sha256: str
    """Of the picture's file."""

    def line(self) -> str:
        """Return its entry in the list of digests."""
        scores = self.sample.label_scores()
        # A score of 1 says nothing that the box does not: hard labels keep their digest.
        labels = yolo_text(
            self.sample.boxes, self.sample.classes, None if (scores == 1).all() else scores
        )
        digest = hashlib.sha256(labels.encode()).hexdigest()
        name = f"{self.sample.source}/{self.sample.image.name}"
        return f"{self.sha256}\t{digest}\t{self.split}\t{self.sample.licence_class}\t{name}"


@dataclass(frozen=True, slots=True)
class Scan:
    """A dataset as found on disk."""

    dataset: Dataset
    items: tuple[Item, ...]
    problems: tuple[Problem, ...]

    def samples(self, split: Split) -> list[Sample]:
        """Return the pictures of one split."""
        return [item.sample for item in self.items if item.split == split]

    def digests(self) -> str:
        """Return one line per picture: digest, label digest, split, licence class, name."""
        return "".join(f"{line}\n" for line in sorted(item.line() for item in self.items))

    def data_sha256(self) -> str:
        """Return the digest of the list of digests and of the classes' names."""
        text = "\n".join(self.dataset.classes) + "\n" + self.digests()
        return hashlib.sha256(text.encode()).hexdigest()

    def data_sources(self) -> list[DataSource]:
        """Return the sources as a bundle's manifest names them; validation pictures left out."""
        images = Counter(sample.source for sample in self.samples("train"))
        return [
            DataSource(
                name=source.name,
                licence_class=source.licence_class,
                images=images[source.name],
                labels=source.labelled_by,
            )
            for source in self.dataset.sources
            if images[source.name]
        ]


def scan_dataset(dataset: Dataset, folder: Path) -> Scan:
    """Read everything that the dataset names; ``folder`` is where its file lies.

    Raises:
        DataError: a source is not there, is not allowed, or there is no picture at all.
    """
    found: list[tuple[Sample, str, Source]] = []
    problems: list[Problem] = []
    for source in dataset.used_sources():
        pictures, wrong = _read_source(source, dataset, folder)
        found += pictures
        problems += wrong
    if not found and not problems:
        raise DataError(f"dataset {dataset.name}: 0 pictures in its sources")
    splits = _splits(dataset, [(scene, source) for _, scene, source in found])
    items = tuple(
        Item(sample, scene, splits[scene], _digest(sample.image)) for sample, scene, _ in found
    )
    return Scan(dataset, items, tuple(problems))


def _read_source(
    source: Source, dataset: Dataset, folder: Path
) -> tuple[list[tuple[Sample, str, Source]], list[Problem]]:
    images, labels = folder / source.images, folder / source.labels
    if not images.is_dir():
        raise DataError(f"source {source.name}: {images} is no folder")
    if not labels.exists():
        raise DataError(f"source {source.name}: labels {labels} do not exist")
    coco = read_coco(labels) if labels.is_file() else None
    found, problems = [], []
    for image in images_in(images):
        try:
            read = _labels(image, source, dataset, coco if coco is not None else labels)
            boxes, classes, scores = _chosen(read, source, dataset.classes, image)
        except DataError as e:
            problems.append(error("labels", f"{source.name}/{image.name}", e))
            continue
        sample = Sample(image, boxes, classes, source.name, source.licence_class, scores)
        found.append((sample, _scene(source, image), source))
    return found, problems


def _labels(
    image: Path, source: Source, dataset: Dataset, labels: Path | dict[str, Labels]
) -> Labels:
    if isinstance(labels, dict):
        read, where = labels.get(image.name), source.labels
    else:
        path = labels / f"{image.stem}.txt"
        where = str(path)
        read = read_yolo(path, source.names or dataset.classes) if path.is_file() else None
    if read is not None:
        return read
    if source.unlabelled == "refuse":
        raise DataError(f"no labels in {where}; unlabelled = 'empty' takes it as a negative")
    return Labels(np.zeros((0, 4), np.float32), ())


def _chosen(
    labels: Labels, source: Source, classes: Sequence[str], image: Path
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32] | None]:
    """Return boxes, class numbers and scores of the dataset's classes."""
    numbers = {name: number for number, name in enumerate(classes)}
    known = [name in numbers for name in labels.names]
    if not all(known) and source.other_classes == "refuse":
        name = labels.names[known.index(False)]
        near = difflib.get_close_matches(name, classes, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"classes are {', '.join(classes)}"
        raise DataError(f"class {name!r} of {image.name} is not in the list; {hint}")
    kept = np.array([numbers[name] for name in labels.names if name in numbers], np.int64)
    rows = np.array(known, bool)
    scores = None if labels.scores is None else labels.scores[rows]
    return labels.boxes[rows].reshape(-1, 4), kept, scores


def _scene(source: Source, image: Path) -> str:
    """Return whose split a picture shares: the source's, or that of the matched part."""
    match = re.search(source.scene, image.name) if source.scene else None
    if match is None:
        return source.name
    return f"{source.name}/{match.group(1) if match.re.groups else match.group(0)}"


def _splits(dataset: Dataset, found: Sequence[tuple[str, Source]]) -> dict[str, Split]:
    """Give each scene one split, the same on each run and on each machine."""
    fixed: dict[str, Split] = {s: src.split for s, src in found if src.split is not None}
    for wanted in dataset.val_scenes:
        if wanted not in {scene for scene, _ in found}:
            near = difflib.get_close_matches(wanted, {s for s, _ in found}, n=1, cutoff=0.3)
            raise DataError(
                f"val_scenes: no scene {wanted!r}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
        fixed[wanted] = "val"
    free = sorted(
        {s for s, _ in found} - set(fixed), key=lambda s: hashlib.sha256(s.encode()).digest()
    )
    # A written split is the person's choice: the rest is then for training.
    count = 0 if "val" in fixed.values() else round(len(free) * dataset.val_ratio)
    if not fixed and len(free) > 1 and dataset.val_ratio > 0:
        count = min(max(1, count), len(free) - 1)
    return fixed | {s: "val" if number < count else "train" for number, s in enumerate(free)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
