"""Asks a service over HTTP; its problem documents become one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from shopfloor_ctl.errors import MistakeError, RefusedError
from shopfloor_ctl.profile import Service

TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 18

Json = dict[str, Any]


class Client:
    """One service."""

    def __init__(self, service: Service) -> None:
        headers = {"Authorization": f"Bearer {service.token}"}
        try:
            self._http = httpx.Client(
                base_url=service.url.rstrip("/") + "/api/v1", headers=headers, timeout=TIMEOUT_S
            )
        except (httpx.InvalidURL, ValueError) as e:
            raise MistakeError(f"{service.url}: no URL: {e}") from e
        self._url = service.url

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> Json:
        """Return the document at ``path``; parameters that are None are left out."""
        given = {key: value for key, value in query.items() if value is not None}
        return self._ask("GET", path, params=given)

    def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send a document, return the answer."""
        return self._ask(method, path, json=body)

    def send_text(self, path: str, text: bytes, media_type: str) -> Json:
        """Post a file as it is, return the answer."""
        return self._ask("POST", path, content=text, headers={"Content-Type": media_type})

    def pages(self, path: str, *, key: str = "items", **query: str | None) -> Iterator[Json]:
        """Yield every page of a list."""
        after: str | None = None
        while True:
            page = self.get(path, limit=500, after=after, **query)
            yield page
            after = page.get("next")
            if not after or not page.get(key):
                return

    def upload(self, path: str, file: Path, *, progress: Callable[[int, int], None]) -> Json:
        """Post a file as a stream, telling bytes sent and in all."""
        try:
            size = file.stat().st_size
            with file.open("rb") as opened:

                def chunks() -> Iterator[bytes]:
                    sent = 0
                    while chunk := opened.read(_CHUNK_BYTES):
                        yield chunk
                        sent += len(chunk)
                        progress(sent, size)

                headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
                return self._ask("POST", path, content=chunks(), headers=headers)
        except OSError as e:
            raise MistakeError(f"{file}: {e.strerror or e}") from e

    def _ask(self, method: str, path: str, **options: Any) -> Json:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as e:
            said = str(e) or type(e).__name__
            raise RefusedError(f"{self._url} does not answer: {said}") from e
        if answer.is_success:
            return _document(answer, self._url)
        raise RefusedError(_complaint(answer), status=answer.status_code)


def _document(answer: httpx.Response, url: str) -> Json:
    if not answer.content:
        return {}
    try:
        found = answer.json()
    except ValueError as e:
        raise RefusedError(f"{url} is no service of Shopfloor: its answer is no JSON") from e
    return found if isinstance(found, dict) else {"items": found}


def _complaint(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code}: {answer.json()['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}"
