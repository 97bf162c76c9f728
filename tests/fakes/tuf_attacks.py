"""Attacks on updates, each against a real client over real HTTP: what refused it, by its name.

``run_attacks(folder)`` is for a report: every attack that was refused as it must be, or why not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater

from fakes.tuf_site import Serve, TufSite, long_ago

PATH = "model/m/1/onnx-fp32"
GOOD = b"weights " * 500
REFUSALS = (RepositoryError, DownloadError)


def install(device: Updater, path: str = PATH) -> bytes | None:
    """Refresh, look up and download as a device does; None for a target that is not listed."""
    target = device.get_targetinfo(path)
    return None if target is None else Path(device.download_target(target)).read_bytes()


def _attempt(site: TufSite, serve: Serve, name: str = "device") -> str:
    with site.served(serve) as address:
        try:
            got = install(site.device(address, name))
        except REFUSALS as e:
            return type(e).__name__
    return "unknown" if got is None else "installed"


def tampered(site: TufSite) -> str:
    return _attempt(site, lambda p, c: b"x" + c[1:] if p.startswith("/targets") else c)


def truncated(site: TufSite) -> str:
    return _attempt(site, lambda p, c: c[:-1] if p.startswith("/targets") else c)


def endless(site: TufSite) -> str:
    return _attempt(site, lambda p, c: c * 1000 if p.startswith("/targets") else c)


def endless_metadata(site: TufSite) -> str:
    return _attempt(site, lambda p, c: c + b" " * (1 << 20) if p.endswith("timestamp.json") else c)


def replayed(site: TufSite) -> str:
    old = (site.repository.metadata / "timestamp.json").read_bytes()
    site.add("model/m/2/onnx-fp32", b"newer")
    with site.served() as address:
        install(site.device(address))
    return _attempt(site, lambda p, c: old if p.endswith("timestamp.json") else c)


def frozen(site: TufSite) -> str:
    site.repository.publish(now=long_ago())
    return _attempt(site, lambda _path, content: content)


def wrong_key(site: TufSite) -> str:
    thief = CryptoSigner.generate_ed25519()

    def serve(path: str, content: bytes) -> bytes:
        if ".bin-" not in path:
            return content
        metadata = Metadata.from_bytes(content)
        metadata.sign(thief)
        return metadata.to_bytes()

    return _attempt(site, serve)


def changed_promise(site: TufSite) -> str:
    """A stolen registry that lists other hardware under the old signature."""

    def serve(path: str, content: bytes) -> bytes:
        if ".bin-" not in path:
            return content
        document = json.loads(content)
        for target in document["signed"]["targets"].values():
            target["custom"]["hardware"] = ["another"]
        return json.dumps(document).encode()

    return _attempt(site, serve)


def mixed(site: TufSite) -> str:
    """An older bin, well signed, beside the newest snapshot."""
    role = site.repository.chain.delegated().get_role_for_target(PATH)
    old = site.repository.chain.read(f"1.{role}.json")
    return _attempt(site, lambda p, c: old if f".{role}." in p else c)


def unknown(site: TufSite) -> str:
    site.repository.stage_removal(PATH, now=site.repository.chain.root().signed.expires)
    site.accept(site.keys)
    return _attempt(site, lambda _path, content: content)


ATTACKS: dict[str, tuple[Callable[[TufSite], str], str]] = {
    "tampered target": (tampered, "LengthOrHashMismatchError"),
    "truncated target": (truncated, "LengthOrHashMismatchError"),
    "endless target": (endless, "DownloadLengthMismatchError"),
    "endless metadata": (endless_metadata, "DownloadLengthMismatchError"),
    "replayed metadata": (replayed, "BadVersionNumberError"),
    "frozen metadata": (frozen, "ExpiredMetadataError"),
    "wrong key": (wrong_key, "UnsignedMetadataError"),
    "changed promise": (changed_promise, "UnsignedMetadataError"),
    "mix and match": (mixed, "BadVersionNumberError"),
    "unknown target": (unknown, "unknown"),
}


def run_attacks(folder: Path) -> dict[str, str]:
    """Run every attack on a repository of its own; return what answered it."""
    answers = {}
    for number, (name, (attack, _)) in enumerate(ATTACKS.items()):
        site = TufSite(folder / str(number))
        site.add(PATH, GOOD)
        answers[name] = attack(site)
    return answers
