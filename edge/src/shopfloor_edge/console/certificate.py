"""The console's certificate, taken in again when it has been renewed, without a restart."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from shopfloor_edge.errors import OperatorError

_log = logging.getLogger(__name__)


class Certificate:
    """Certificate and key of a server; ``context`` speaks TLS 1.3 only.

    Raises:
        OperatorError: the files cannot be read, or do not belong together.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._files = (cert_file, key_file)
        self._seen = self._look()
        self.context = _load(cert_file, key_file)

    def renew(self) -> bool:
        """Take the files in if they have changed; connections made from now on show them.

        Files that are no pair are told and left: the pair before stays in use.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            # Tried on a context of its own: a half-loaded one would refuse every connection.
            _load(*self._files)
            self.context.load_cert_chain(*self._files)
        except (OperatorError, OSError) as e:
            _log.warning("the certificate before stays in use: %s", e)
            return False
        _log.info("certificate renewed: %s", self._files[0])
        return True

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in self._files:
            try:
                state = Path(path).stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((state.st_ino, state.st_mtime_ns, state.st_size))
        return tuple(found)


def _load(cert_file: str, key_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(cert_file, key_file)
    except OSError as e:
        raise OperatorError(f"[console] cert_file, key_file: {cert_file}, {key_file}: {e}") from e
    return context
