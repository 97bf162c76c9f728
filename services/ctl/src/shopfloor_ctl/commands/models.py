"""``shopfloorctl models``: upload, evidence, promotion, and who runs what."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from shopfloor_ctl.client import Client, Json
from shopfloor_ctl.commands.base import Context, add_key_flags, read_key
from shopfloor_ctl.errors import MistakeError, RefusedError
from shopfloor_ctl.keys import sign_record
from shopfloor_ctl.mlflow import read_run


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    models = commands.add_parser("models", help="models, versions, evidence, stages")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, parents=[shared], help=text)
        parser.set_defaults(run=run)
        return parser

    action("list", _list, "all models, or the versions of one").add_argument("model", nargs="?")
    _version(action("show", _show, "a version, its builds, evidence and moves"))
    upload = action("upload", _upload, "a bundle, as of shopfloor-models")
    upload.add_argument("bundle", type=Path)
    report = _version(action("report", _report, "add measured figures to a version's evidence"))
    report.add_argument("file", type=Path, help="JSON, a list like evaluation of a manifest")
    link = _version(action("link", _link, "link an MLflow run, and take its figures over"))
    link.add_argument("--mlflow", required=True, metavar="FOLDER|URL")
    link.add_argument("--run", required=True, metavar="ID", dest="run_id")
    link.add_argument("--data", required=True, help="what the run's metrics were measured on")
    link.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="THEIRS=OURS",
        help="take a metric over under our name; repeat",
    )
    link.add_argument("--target", help="the build that was measured; none for the network")
    judge = _version(action("judge", _judge, "ask the gates, change nothing"))
    judge.add_argument("--to", required=True, choices=("staging", "production", "retired"))
    promote = _version(action("promote", _promote, "move a version to the next stage, signed"))
    promote.add_argument("--to", required=True, choices=("staging", "production"))
    add_key_flags(promote)
    retire = _version(action("retire", _promote, "take a version out of service, signed"))
    retire.set_defaults(to="retired")
    add_key_flags(retire)
    _version(action("publish", _publish, "have the builds wait for the TUF signature"))
    action("who", _who, "what a digest is, and which devices run it").add_argument("digest")


def _version(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("model")
    parser.add_argument("version")
    return parser


def _path(parsed: argparse.Namespace) -> str:
    return f"/models/{parsed.model}/versions/{parsed.version}"


def _list(context: Context, parsed: argparse.Namespace) -> int:
    client = context.client("registry")
    if parsed.model is None:
        rows = [row for page in client.pages("/models") for row in page["items"]]
        context.screen.table(rows, ["model", "newest", "versions"], empty="no models")
        return 0
    pages = client.pages(f"/models/{parsed.model}/versions")
    rows = [row for page in pages for row in page["items"]]
    columns = ["version", "stage", "size_bytes", "licence", "created_at", "created_by", "digest"]
    context.screen.table(rows, columns, empty="no versions")
    return 0


def _show(context: Context, parsed: argparse.Namespace) -> int:
    client, path = context.client("registry"), _path(parsed)
    found = client.get(path)
    found["evidence"] = client.get(f"{path}/evidence")["items"]
    found["promotions"] = client.get(f"{path}/promotions")["items"]
    found["runs"] = client.get(f"{path}/runs")["items"]
    if context.as_json:
        context.screen.record(found)
        return 0
    flat = {key: value for key, value in found.items() if not isinstance(value, list)}
    context.screen.record(flat)
    context.screen.table(found["builds"], ["target", "digest", "file_bytes"], empty="")
    columns = ["metric", "value", "target", "data", "source"]
    context.screen.table(found["evidence"], columns, empty="no evidence")
    context.screen.table(found["promotions"], ["to", "by", "at"], empty="never moved")
    return 0


def _upload(context: Context, parsed: argparse.Namespace) -> int:
    client = context.client("registry")
    found = client.upload("/bundles", parsed.bundle, progress=context.screen.progress)
    columns = ["model", "version", "stage", "digest"]
    context.screen.record(found if context.as_json else {key: found[key] for key in columns})
    return 0


def _report(context: Context, parsed: argparse.Namespace) -> int:
    try:
        measures = json.loads(parsed.file.read_text())
    except (OSError, ValueError) as e:
        raise MistakeError(f"{parsed.file}: {e}") from e
    body = {"measures": measures}
    found = context.client("registry").send("POST", f"{_path(parsed)}/evidence", body)
    _show_evidence(context, found)
    return 0


def _link(context: Context, parsed: argparse.Namespace) -> int:
    run, measures = read_run(parsed.mlflow, parsed.run_id), []
    for pair in parsed.metric:
        theirs, equals, ours = pair.partition("=")
        if not equals or theirs not in run.metrics:
            known = ", ".join(sorted(run.metrics)) or "none"
            raise MistakeError(f"--metric {pair}: expected THEIRS=OURS; the run has {known}")
        measures.append(
            {
                "metric": ours,
                "value": run.metrics[theirs],
                "data": parsed.data,
                "target": parsed.target,
            }
        )
    body = {
        "run_id": run.run_id,
        "experiment": run.experiment,
        "tracking_uri": run.tracking_uri,
        "params": {key: value[:1000] for key, value in run.params.items()},
        "measures": measures,
    }
    found = context.client("registry").send("POST", f"{_path(parsed)}/runs", body)
    context.screen.record({**found, "figures": len(measures)})
    return 0


def _judge(context: Context, parsed: argparse.Namespace) -> int:
    found = _judged(context.client("registry"), parsed)
    _show_verdicts(context, found)
    return 0 if found["passed"] else 1


def _promote(context: Context, parsed: argparse.Namespace) -> int:
    client = context.client("registry")
    found = _judged(client, parsed)
    if not found["passed"]:
        _show_verdicts(context, found)
        raise RefusedError(f"{parsed.model} {parsed.version} may not go to {parsed.to}")
    _check_record(found["record"], parsed)
    public_key, signature = sign_record(read_key(parsed), found["record"])
    body = {
        "to": parsed.to,
        "record": found["record"],
        "public_key": public_key,
        "signature": signature,
    }
    moved = client.send("POST", f"{_path(parsed)}/promotions", body)
    shown = {"model": parsed.model, "version": parsed.version}
    context.screen.record(shown | {key: moved[key] for key in ("to", "by", "at")})
    return 0


def _publish(context: Context, parsed: argparse.Namespace) -> int:
    found = context.client("registry").send("POST", f"{_path(parsed)}/publication")
    rows = [{"path": path} for path in found["items"]]
    context.screen.table(rows, ["path"], empty="everything is listed or waits already")
    return 0


def _who(context: Context, parsed: argparse.Namespace) -> int:
    pages = list(context.client("registry").pages(f"/digests/{parsed.digest}"))
    what = [f"{one['model']} {one['version']} {one['target']}" for one in pages[0]["what"]]
    context.screen.remark("; ".join(what) or "no version of this registry has that digest")
    rows = [row for page in pages for row in page["items"]]
    context.screen.table(rows, ["site", "device", "part"], empty="no device reports it")
    return 0


def _judged(client: Client, parsed: argparse.Namespace) -> Json:
    return client.send("POST", f"{_path(parsed)}/judgements", {"to": parsed.to})


def _show_verdicts(context: Context, found: Json) -> None:
    rows = [{**one, "passed": "yes" if one["passed"] else "NO"} for one in found["verdicts"]]
    columns = ["gate", "target", "passed", "figure", "limit", "data"]
    context.screen.table(rows, columns, empty="no gate is asked")


def _show_evidence(context: Context, found: Json) -> None:
    columns = ["metric", "value", "target", "data", "source"]
    context.screen.table(found["items"], columns, empty="no evidence")


def _check_record(record: str, parsed: argparse.Namespace) -> None:
    """Refuse to sign for another model, version or stage than what was typed."""
    said = json.loads(record)
    asked = {"model": parsed.model, "version": parsed.version, "to": parsed.to}
    found = {key: said.get(key) for key in asked}
    if found != asked:
        raise RefusedError(f"the registry asks to sign {found}, not {asked}")
