"""``evaluate`` and ``gate``: figures on labelled pictures, and the limits they must keep."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace

from rich.console import Console
from rich.table import Table

from shopfloor_models.commands.data import read_dataset
from shopfloor_models.errors import GateError
from shopfloor_models.evaluation.measure import Figures, Subject, measure, read_subject
from shopfloor_models.evaluation.report import render, worst
from shopfloor_models.files import write_whole
from shopfloor_models.gates import (
    Evidence,
    Verdict,
    check,
    evidence_in,
    read_gates,
    reason_to_refuse,
)
from shopfloor_models.unpacked import opened


def evaluate(options: Namespace, out: Console, err: Console) -> int:
    """Measure every build of a bundle on a dataset; table, JSON, and a report where asked."""
    scan = read_dataset(options.data)
    with opened(options.bundle) as one:
        subject = read_subject(
            one.manifest, one.folder, scan, split=options.split, most=options.pictures
        )
        figures = _measured(subject, err, with_robustness=options.robustness)
    data = f"{scan.dataset.name} {scan.dataset.version} {options.split}"
    if options.json:
        out.print_json(json.dumps(_content(subject, figures, data)))
    else:
        _show(subject, figures, data, out)
    if options.report is not None:
        text = render(
            f"{one.manifest.name} {one.manifest.version} on {data}",
            figures.builds,
            classes=one.manifest.classes,
            robustness=figures.curves,
            examples=worst(subject.truth, figures.found),
        )
        write_whole(options.report, text.encode())
        err.print(str(options.report), highlight=False, soft_wrap=True)
    return 0


def gate(options: Namespace, out: Console, err: Console) -> int:
    """Hold a bundle's builds against a set of gates.

    Raises:
        GateError: a build does not pass; names each that does not, and why.
    """
    gates = read_gates(options.gates, options.file)
    with opened(options.bundle) as one:
        if options.data is None:
            evidence = [evidence_in(one.manifest, build) for build in one.manifest.builds]
        else:
            scan = read_dataset(options.data)
            subject = read_subject(
                one.manifest, one.folder, scan, split=options.split, most=options.pictures
            )
            asked = gates.robustness_ratio_min is not None
            evidence = _evidence(subject, _measured(subject, err, with_robustness=asked))
    verdicts = {one.model: check(one, gates) for one in evidence}
    if options.json:
        rows = {name: [dataclasses.asdict(v) for v in some] for name, some in verdicts.items()}
        out.print_json(json.dumps({"gates": gates.name, "builds": rows}))
    else:
        _show_verdicts(verdicts, out)
    reasons = {name: reason_to_refuse(some) for name, some in verdicts.items()}
    refused = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    if refused:
        raise GateError("; ".join(refused))
    return 0


def _measured(subject: Subject, err: Console, *, with_robustness: bool) -> Figures:
    with err.status("loading the builds") as status:
        return measure(subject, with_robustness=with_robustness, tell=status.update)


def _evidence(subject: Subject, figures: Figures) -> list[Evidence]:
    base = figures.builds[0].accuracy.ap
    return [
        Evidence(
            f"{subject.manifest.name} {build.name}",
            subject.manifest.licence,
            build.size_bytes,
            ap=build.accuracy.ap,
            ap_fp32=base,
            latency_ratio=build.speed.latency_ratio,
            # The float network's: builds that lose half a point bear bad pictures alike.
            robustness_ratio=figures.robustness_ratio,
        )
        for build in figures.builds
    ]


def _content(subject: Subject, figures: Figures, data: str) -> dict[str, object]:
    rows = [
        {
            "target": build.name,
            "ap": round(build.accuracy.ap, 4),
            "ap50": round(build.accuracy.ap50, 4),
            "agreement": round(build.agreement.agreement, 4),
            "latency_ms": round(build.speed.latency_ms, 2),
            "latency_ratio": round(build.speed.latency_ratio, 3),
            "rss_bytes": build.speed.rss_bytes,
            "size_bytes": build.size_bytes,
        }
        for build in figures.builds
    ]
    return {
        "bundle": subject.manifest.name,
        "version": subject.manifest.version,
        "data": data,
        "pictures": len(subject.truth),
        "classes": [subject.manifest.classes[number] for number in subject.classes],
        "builds": rows,
        "not_run": figures.skipped,
        "robustness": {curve.kind: [round(ap, 4) for ap in curve.ap] for curve in figures.curves},
        "robustness_ratio": figures.robustness_ratio,
    }


def _show(subject: Subject, figures: Figures, data: str, out: Console) -> None:
    title = f"{subject.manifest.name} on {data}, {len(subject.truth)} pictures"
    table = Table("target", "AP", "AP50", "agrees", "ms", "ratio", "MB", title=title)
    for build in figures.builds:
        table.add_row(
            build.name,
            f"{build.accuracy.ap:.3f}",
            f"{build.accuracy.ap50:.3f}",
            f"{build.agreement.agreement:.1%}",
            f"{build.speed.latency_ms:.1f}",
            f"{build.speed.latency_ratio:.2f}",
            f"{build.size_bytes / 1e6:.2f}",
        )
    out.print(table)
    for target, reason in figures.skipped.items():
        out.print(f"not run: {target}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if figures.robustness_ratio is None:
        return
    worse = Table("worse pictures", "AP, weakest first")
    for curve in figures.curves:
        worse.add_row(curve.kind, "  ".join(f"{ap:.3f}" for ap in curve.ap))
    worse.add_row("share of AP that is left", f"{figures.robustness_ratio:.2f}")
    out.print(worse)


def _show_verdicts(verdicts: dict[str, list[Verdict]], out: Console) -> None:
    table = Table("build", "gate", "result", "figure and limit")
    for name, some in verdicts.items():
        for verdict in some:
            result = "passed" if verdict.passed else "refused"
            table.add_row(name, verdict.gate, result, verdict.reason)
    out.print(table)
