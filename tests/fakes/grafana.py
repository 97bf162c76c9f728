"""A Grafana that keeps what it is told: the part of its HTTP API that pushing boards needs.

After the documents of Grafana 9.1 to 13: bearer tokens with roles, folders, data sources,
dashboards and contact points. What it stores it numbers, secrets it only admits to have, and like
Grafana 12 it lifts a dashboard to its own schema.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SCHEMA = 99
TOKENS = {"admin-token": "Admin", "viewer-token": "Viewer"}


class FakeGrafana:
    """The server; ``stored`` maps a kind to its things by uid, ``writes`` lists what was sent."""

    def __init__(self) -> None:
        kinds = ("folders", "datasources", "dashboards", "contact-points")
        self.stored: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
        self.writes: list[str] = []
        self.answers_instead: tuple[int, str] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        """Return status and JSON of one request."""
        if path == "/api/health":
            return 200, {"database": "ok", "version": "12.4.0"}
        role = TOKENS.get(token)
        if role is None:
            return 401, {"message": "Invalid API key"}
        if method != "GET":
            if role != "Admin":
                return 403, {"message": "You'll need additional permissions to perform this action"}
            self.writes.append(f"{method} {path}")
        return self._routed(method, path.removeprefix("/api/").split("/"), body)

    def _routed(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        found: tuple[int, Any] = (404, {"message": "Not found"})
        match [method, *parts]:
            case [_, "folders", *uid]:
                found = self._plain(method, "folders", uid, body, done=200)
            case [_, "datasources", "uid", uid]:
                found = self._plain(method, "datasources", [uid], body, done=200)
            case ["POST", "datasources"]:
                found = self._new_source(body)
            case ["GET", "dashboards", "uid", uid]:
                found = self._plain(method, "dashboards", [uid], body, done=200)
            case ["POST", "dashboards", "db"]:
                found = self._dashboard(body)
            case ["GET", "v1", "provisioning", "contact-points"]:
                found = 200, list(self.stored["contact-points"].values())
            case [_, "v1", "provisioning", "contact-points", *uid]:
                found = self._plain(method, "contact-points", uid, body, done=202)
        return found

    def _plain(self, method, kind, uid, body, *, done):
        things = self.stored[kind]
        if method == "GET":
            found = things.get(uid[0])
            return (200, found) if found else (404, {"message": "not found"})
        name = uid[0] if uid else body["uid"]
        if method == "POST" and name in things:
            return 409, {"message": "a thing with that uid already exists"}
        if method == "PUT" and name not in things:
            return 404, {"message": "not found"}
        if kind == "folders" and method == "PUT" and not body.get("overwrite"):
            return 412, {"message": "The folder has been changed by someone else"}
        things[name] = _told({**things.get(name, {}), **body, "uid": name})
        return done, things[name]

    def _new_source(self, body):
        if any(one["name"] == body["name"] for one in self.stored["datasources"].values()):
            return 409, {"message": "data source with the same name already exists"}
        return self._plain("POST", "datasources", [], body, done=200)

    def _dashboard(self, body):
        board, folder = body["dashboard"], body.get("folderUid", "")
        if folder and folder not in self.stored["folders"]:
            return 400, {"message": "folder not found"}
        before = self.stored["dashboards"].get(board["uid"])
        if before and not body.get("overwrite"):
            return 412, {"message": "A dashboard with the same uid already exists"}
        version = before["dashboard"]["version"] + 1 if before else 1
        lifted = {**board, "id": 7, "version": version, "schemaVersion": SCHEMA, "weekStart": ""}
        meta = {"folderUid": folder, "provisioned": False}
        self.stored["dashboards"][board["uid"]] = {"dashboard": lifted, "meta": meta}
        return 200, {"status": "success", "uid": board["uid"], "version": version}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        grafana = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(size)) if size else None
                token = self.headers.get("authorization", "").removeprefix("Bearer ")
                if grafana.answers_instead is not None:
                    status, text = grafana.answers_instead
                else:
                    status, found = grafana.answer(self.command, self.path, token, body)
                    text = json.dumps(found)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = do_PUT = do_GET  # noqa: N815 — names of the base class

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def _told(body: dict[str, Any]) -> dict[str, Any]:
    """Return what Grafana tells of it: secrets by name only."""
    told = {key: value for key, value in body.items() if key != "secureJsonData"}
    secrets = body.get("secureJsonData", {})
    fields = {**body.get("secureJsonFields", {}), **dict.fromkeys(secrets, True)}
    return {**told, "id": 7, "version": 1, "secureJsonFields": fields}
