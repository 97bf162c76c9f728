"""``inspect``, ``export``, ``pack`` and ``verify``."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shopfloor_contracts.bundles import Manifest
from shopfloor_models import bundle
from shopfloor_models.data.formats import slug
from shopfloor_models.errors import GateError
from shopfloor_models.exporting import export_builds, read_request
from shopfloor_models.training.teacher import manifest_json, read_manifest
from shopfloor_models.unpacked import opened
from shopfloor_models.verification import BuildCheck, State, verify_bundle


def inspect(options: Namespace, out: Console, _err: Console) -> int:
    """Show a bundle's manifest."""
    with opened(options.bundle) as one:
        manifest = one.manifest
    if options.json:
        out.print_json(manifest_json(manifest))
        return 0
    show(manifest, out)
    return 0


def export(options: Namespace, out: Console, err: Console) -> int:
    """Write builds of a plain network, and their manifest, into a folder."""
    request = read_request(options)

    def say(line: str) -> None:
        err.print(line, markup=False, highlight=False, soft_wrap=True)

    with err.status(f"writing {', '.join(request.targets)}"):
        manifest = export_builds(request, options.out, say=say)
    if options.json:
        out.print_json(manifest_json(manifest))
        return 0
    show(manifest, out)
    return 0


def pack(options: Namespace, out: Console, _err: Console) -> int:
    """Make one file of a bundle's folder; the same folder gives the same digest."""
    manifest = read_manifest(options.folder / bundle.MANIFEST)
    path = options.out or Path(f"{manifest.name}-{slug(manifest.version)}.bundle")
    digest = bundle.pack(manifest, options.folder, path)
    if options.json:
        size_bytes = path.stat().st_size
        content = {"bundle": str(path), "sha256": digest, "size_bytes": size_bytes}
        out.print_json(json.dumps(content))
        return 0
    out.print(f"{path} sha256 {digest}", highlight=False, soft_wrap=True)
    return 0


def verify(options: Namespace, out: Console, err: Console) -> int:
    """Check digests, and run the builds on the golden clip.

    Raises:
        GateError: a build finds something else.
    """
    with opened(options.bundle) as one, err.status("running the builds"):
        checks = verify_bundle(one.manifest, one.folder)
    if options.json:
        rows = [dataclasses.asdict(check) for check in checks]
        content = {"bundle": one.manifest.name, "version": one.manifest.version, "builds": rows}
        out.print_json(json.dumps(content))
    else:
        _show_checks(checks, out)
    failed = [check for check in checks if check.state is State.FAILED]
    if failed:
        raise GateError(f"{options.bundle}: {failed[0].target}: {failed[0].reason}")
    return 0


def _show_checks(checks: list[BuildCheck], out: Console) -> None:
    table = Table("target", "file", "digest", "golden clip", "why")
    for check in checks:
        table.add_row(check.target, check.file, "right", check.state, check.reason)
    out.print(table)


def show(manifest: Manifest, out: Console) -> None:
    """Print a manifest as tables."""
    spec = manifest.preprocess
    about = Table(title=f"{manifest.name} {manifest.version}", show_header=False)
    about.add_row("licence", manifest.licence)
    about.add_row("classes", ", ".join(manifest.classes))
    about.add_row("input", f"{spec.width_px}x{spec.height_px} {spec.layout} {spec.colour}")
    if manifest.provenance is not None:
        about.add_row("recipe", manifest.provenance.recipe)
        about.add_row("inherits", manifest.provenance.inherits or "nothing")
        about.add_row("data", manifest.provenance.data_sha256 or "")
        for source in manifest.provenance.sources:
            about.add_row(
                "source", f"{source.name}: {source.images} pictures, {source.licence_class}"
            )
    for measure in manifest.evaluation:
        about.add_row(
            f"{measure.metric} {measure.target or ''}", f"{measure.value:g} on {measure.data}"
        )
    if manifest.golden is not None:
        about.add_row(
            "golden clip", f"{manifest.golden.clip}, {manifest.golden.size_bytes:,} bytes"
        )
    out.print(about)
    builds = Table("target", "file", "bytes", "sha256")
    for build in manifest.builds:
        builds.add_row(build.target, build.file, f"{build.size_bytes:,}", build.sha256[:16])
    out.print(builds)
