"""The judges that ``eval-inspection`` and ``bench-inspection`` measure, made alike for both."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shopfloor_demo.errors import OperatorError
from shopfloor_demo.pcb import THRESHOLD
from shopfloor_demo.settings import REPOSITORY, read_settings
from shopfloor_edge.inspection.judges.anomaly import BAND, AnomalyJudge, PatchNet
from shopfloor_edge.inspection.judges.cascade import Cascade
from shopfloor_edge.inspection.judges.template import TemplateJudge
from shopfloor_edge.inspection.judges.trained import Band, DifferenceNet, TrainedJudge
from shopfloor_edge.inspection.ports import Grey, Judge
from shopfloor_edge.inspection.registration import Reference

BUNDLE = REPOSITORY / "var" / "train" / "inspection" / "pcb-differences"
ONE_CLASS = REPOSITORY / "var" / "train" / "inspection" / "pcb-one-class"
NO_BUNDLE = "no trained judge: 'make train-inspection' makes it"
NO_ONE_CLASS = "no anomaly judge: 'make train-one-class' makes it"


@dataclass(frozen=True, slots=True)
class Entry:
    """One judge to be measured."""

    make: Callable[[Grey], Judge]
    """From a good part."""
    names_classes: bool
    lenient: Callable[[Grey], Judge]
    """The same, that also says what it hardly believes: for the area under its curve."""


def entries() -> dict[str, Entry]:
    """Return the judges by name; those that want a bundle only where it is."""
    template = Entry(_template, names_classes=False, lenient=_template)
    found = {"template": template}
    if (BUNDLE / "manifest.json").is_file():
        found |= _trained()
    if (ONE_CLASS / "manifest.json").is_file():
        net = PatchNet(ONE_CLASS)
        found["anomaly"] = anomaly(lambda _: net)
    return found


def anomaly(net_of: Callable[[Grey], PatchNet]) -> Entry:
    """Return the one-class judge, with the network that belongs to a good part."""

    def make(good: Grey, band: Band = BAND) -> Judge:
        return AnomalyJudge(Reference(good, THRESHOLD), net_of(good), band)

    # Below this, scores of patches run into one another and a box is the whole part.
    return Entry(make, names_classes=False, lenient=lambda good: make(good, Band(0.05, 0.5)))


def _trained() -> dict[str, Entry]:
    net = DifferenceNet(BUNDLE)

    def trained(good: Grey) -> Judge:
        return TrainedJudge(Reference(good, THRESHOLD), net)

    def lenient(good: Grey) -> Judge:
        return TrainedJudge(Reference(good, THRESHOLD), net, Band(0.01, 0.5))

    def cascade(good: Grey) -> Judge:
        reference = Reference(good, THRESHOLD)
        return Cascade(TemplateJudge(reference), TrainedJudge(reference, net))

    return {
        "trained": Entry(trained, names_classes=True, lenient=lenient),
        "cascade": Entry(cascade, names_classes=False, lenient=cascade),
    }


def _template(good: Grey) -> Judge:
    return TemplateJudge(Reference(good, THRESHOLD))


def data_folder(environment: dict[str, str]) -> Path:
    """Return where DeepPCB lies.

    Raises:
        OperatorError: there is no mirror.
    """
    mirror = read_settings(environment).footage.mirror
    if mirror is None or not (mirror / "data" / "deeppcb").is_dir():
        raise OperatorError("DeepPCB lies in the mirror: SHOPFLOOR_MIRROR names it")
    return mirror / "data" / "deeppcb"


def machine() -> str:
    """Return the processor's name and the number of cores."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
