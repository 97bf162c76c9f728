"""The other side of an update: a TUF repository, a campaigns' server, models that find a light."""

import contextlib
import hashlib
import http.server
import io
import json
import re
import tarfile
import threading
import urllib.parse
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
from onnx import TensorProto, helper
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

BITS = 4
CLASSES = ["person"]


class TufRepository:
    """A repository in a folder, with keys in memory."""

    def __init__(self, folder, *, expires=timedelta(days=1)):
        self.folder = folder
        (folder / "metadata").mkdir(parents=True)
        self.expires_at = datetime.now(UTC).replace(microsecond=0) + expires
        self.signers = {
            name: CryptoSigner.generate_ed25519()
            for name in ("root", "timestamp", "snapshot", "targets", "bins")
        }
        self.version = 0
        root = Root(version=1, expires=self.expires_at, consistent_snapshot=True)
        for name in ("root", "timestamp", "snapshot", "targets"):
            root.add_key(self.signers[name].public_key, name)
        self.root = self._signed(root, "root")
        (folder / "metadata" / "1.root.json").write_bytes(self.root)
        key = self.signers["bins"].public_key
        self.succinct = SuccinctRoles([key.keyid], 1, BITS, "bin")
        self.targets = Targets(version=1, expires=self.expires_at)
        self.targets.delegations = Delegations({key.keyid: key}, succinct_roles=self.succinct)
        self.bins = {
            name: Targets(version=1, expires=self.expires_at) for name in self.succinct.get_roles()
        }
        self.write()

    def publish(self, path, content, custom):
        """Sign ``content`` as target ``path``; return its digest."""
        file = TargetFile.from_data(path, content, ["sha256"])
        file.unrecognized_fields["custom"] = custom
        self.bins[self.succinct.get_role_for_target(path)].targets[path] = file
        digest = file.hashes["sha256"]
        place = self.place(path, digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        self.write()
        return digest

    def place(self, path, digest):
        parent, _, name = path.rpartition("/")
        return self.folder / "targets" / parent / f"{digest}.{name}"

    def write(self):
        """Sign everything anew, under the next version."""
        self.version += 1
        metas = {"targets.json": MetaFile(self.version)}
        for name, role in self.bins.items():
            role.version = self.version
            metas[f"{name}.json"] = MetaFile(self.version)
            self._put(f"{self.version}.{name}.json", self._signed(role, "bins"))
        self.targets.version = self.version
        self._put(f"{self.version}.targets.json", self._signed(self.targets, "targets"))
        snapshot = Snapshot(version=self.version, expires=self.expires_at, meta=metas)
        self._put(f"{self.version}.snapshot.json", self._signed(snapshot, "snapshot"))
        timestamp = Timestamp(
            version=self.version, expires=self.expires_at, snapshot_meta=MetaFile(self.version)
        )
        self._put("timestamp.json", self._signed(timestamp, "timestamp"))

    def _put(self, name, content):
        (self.folder / "metadata" / name).write_bytes(content)

    def _signed(self, payload, role):
        metadata = Metadata(payload)
        metadata.sign(self.signers[role])
        return metadata.to_bytes()


class Cloud:
    """Registry and campaigns on loopback. Whatever a device says is kept, in order."""

    def __init__(self, repository):
        self.repository = repository
        self.lock = threading.Lock()
        self.deployment = None
        self.cancel = None
        self.said = []
        """(path below the device, body), as answered with 200."""
        self.ranges = []
        self.sleep = "00:00:01"
        self.refuse = {}
        """Suffix of a path → status that is answered."""
        self.cut_after = None
        """Bytes after which a target's body ends too early."""
        self.mangle = None
        """Changes a metadata file or a target: (path, content) → content."""

    def offer(self, action, target, *, chunk=None, **handling):
        metadata = {"shopfloor.target": target} | (chunk or {})
        self.cancel = None
        self.deployment = {
            "id": action,
            "deployment": {
                "download": "forced",
                "update": "forced",
                "chunks": [
                    {
                        "part": "bApp",
                        "version": "1",
                        "name": "model",
                        "artifacts": [],
                        "metadata": [{"key": k, "value": str(v)} for k, v in metadata.items()],
                    }
                ],
            }
            | handling,
        }

    def endings(self, action):
        """Return the final feedbacks of an action."""
        return [
            body["status"]
            for path, body in list(self.said)
            if path == f"deploymentBase/{action}/feedback"
            and body["status"]["result"]["finished"] != "none"
        ]

    def evidence(self, action):
        return [b for path, b in list(self.said) if path == f"deploymentBase/{action}/evidence"]

    @contextlib.contextmanager
    def served(self):
        cloud = self

        class Handler(_Handler):
            pass

        Handler.cloud = cloud
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud = None

    def do_GET(self):
        path = urllib.parse.unquote(self.path)
        for suffix, status in self.cloud.refuse.items():
            if path.endswith(suffix):
                return self._answer(status, b"{}")
        if path.startswith("/tuf/"):
            return self._file(path.removeprefix("/tuf/"))
        rest = path.split("/controller/v1/", 1)[-1].split("/", 1)
        return self._ddi(rest[1] if len(rest) > 1 else "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("/controller/v1/", 1)[-1].split("/", 1)[1]
        for suffix, status in self.cloud.refuse.items():
            if path.endswith(suffix):
                return self._answer(status, b"{}")
        with self.cloud.lock:
            self.cloud.said.append((path, json.loads(body)))
        if path.startswith("cancelAction"):
            self.cloud.cancel = None
            self.cloud.deployment = None
        elif path.endswith("/feedback"):
            status = json.loads(body)["status"]
            current = self.cloud.deployment
            ended = status["result"]["finished"] != "none"
            if ended and current is not None and path.split("/")[1] == current["id"]:
                self.cloud.deployment = None
        return self._answer(200, b"")

    def do_PUT(self):
        return self.do_POST()

    def _ddi(self, rest):
        cloud, links = self.cloud, {}
        if rest.startswith("cancelAction/"):
            number = rest.split("/")[1]
            told = {"id": number, "cancelAction": {"stopId": cloud.cancel or number}}
            return self._answer(200, json.dumps(told).encode())
        if rest.startswith("deploymentBase/"):
            if cloud.deployment is None:
                return self._answer(404, b"{}")
            return self._answer(200, json.dumps(cloud.deployment).encode())
        if cloud.cancel is not None:
            links["cancelAction"] = {"href": f"{cloud.url}/x/cancelAction/{cloud.cancel}"}
        elif cloud.deployment is not None:
            number = cloud.deployment["id"]
            links["deploymentBase"] = {"href": f"{cloud.url}/x/deploymentBase/{number}?c=1"}
        answer = {"config": {"polling": {"sleep": cloud.sleep}}, "_links": links}
        return self._answer(200, json.dumps(answer).encode())

    def _file(self, name):
        path = self.cloud.repository.folder / name
        if not path.is_file():
            return self._answer(404, b"")
        content = path.read_bytes()
        if self.cloud.mangle is not None:
            content = self.cloud.mangle(name, content)
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(found[1]) if found else 0
        if name.startswith("targets/"):
            self.cloud.ranges.append(begin)
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        body = content[begin:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.cloud.cut_after
        if cut is not None and name.startswith("targets/"):
            self.wfile.write(body[:cut])
            self.close_connection = True
            return None
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        return None

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def light_model(*, sees="all", crashes=False, salt=0):
    """Return an ONNX file that finds the bright part of a 64 x 64 picture as one person.

    Args:
        sees: ``left``: only what begins left of the middle third: it never sees a crossing.
        crashes: whether it breaks on pictures that are brighter than those of the golden clip.
    """
    nodes, initials = [], []

    def const(name, value, kind=TensorProto.FLOAT):
        array = np.asarray(value)
        initials.append(helper.make_tensor(name, kind, array.shape, array.ravel().tolist()))
        return name

    def node(op, inputs, **attributes):
        name = f"n{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    pixels = node("Cast", ["in"], to=TensorProto.FLOAT)
    grey = node("ReduceMax", [pixels, const("channel", [3], TensorProto.INT64)], keepdims=0)
    bright = node("Greater", [grey, const("level", 150.0)])
    mask = node("Cast", [bright], to=TensorProto.FLOAT)
    values = []
    index = const("index", np.arange(64, dtype=np.float32)[None])
    after = const("after", np.arange(1, 65, dtype=np.float32)[None])
    high, low = const("high", 64.0), const("low", 0.0)
    for axis, name in ((1, "x"), (2, "y")):
        along = const(f"axis-{name}", [axis], TensorProto.INT64)
        present = node("Cast", [node("ReduceMax", [mask, along], keepdims=0)], to=TensorProto.BOOL)
        whole = const(f"whole-{name}", [1], TensorProto.INT64)
        first = node("ReduceMin", [node("Where", [present, index, high]), whole], keepdims=1)
        last = node("ReduceMax", [node("Where", [present, after, low]), whole], keepdims=1)
        values.append((first, last))
    (x1, x2), (y1, y2) = values
    both = const("both", [1, 2], TensorProto.INT64)
    score = node("Mul", [node("ReduceMax", [mask, both], keepdims=0), const("sure", 0.9)])
    score = node("Reshape", [score, const("column", [1, 1], TensorProto.INT64)])
    if sees == "left":
        is_left = node("Cast", [node("Less", [x1, const("edge", 18.0)])], to=TensorProto.FLOAT)
        score = node("Mul", [score, is_left])
    if crashes:
        most = node("ReduceMax", [grey, both], keepdims=0)
        far = node("Cast", [node("Greater", [most, const("too", 200.0)])], to=TensorProto.FLOAT)
        place = node("Cast", [node("Mul", [far, const("beyond", 1e6)])], to=TensorProto.INT64)
        score = node("Add", [score, node("Gather", [const("one", [0.0]), place], axis=0)])
    zero = node("Mul", [score, const("none", 0.0)])
    row = node("Concat", [x1, y1, x2, y2, score, zero], axis=1)
    row = node("Reshape", [row, const("rows", [1, 1, 6], TensorProto.INT64)])
    pads = const("pads", [0, 0, 0, 0, 299, 0], TensorProto.INT64)
    nodes.append(helper.make_node("Pad", [row, pads], ["out"]))
    graph = helper.make_graph(
        nodes,
        f"light-{salt}",
        [helper.make_tensor_value_info("in", TensorProto.UINT8, [1, 64, 64, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 300, 6])],
        initializer=initials,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def golden_clip():
    """Return an NPZ of two frames with one light each, and what is to be found."""
    frames = np.full((2, 64, 64, 3), 40, np.uint8)
    rows = np.zeros((2, 300, 6), np.float32)
    for number, left in enumerate((4, 12)):
        frames[number, 20:40, left : left + 8] = 180
        rows[number, 0] = (left, 20, left + 8, 40, 0.9, 0)
    content = io.BytesIO()
    np.savez_compressed(content, frames=frames, detections=rows)
    return content.getvalue()


def bundle(model, *, version="1.0.0", golden=None, padding=0):
    """Return a bundle's archive in the contract's format."""
    clip = golden_clip() if golden is None else golden
    files = {"light.onnx": model, "golden.npz": clip}
    manifest = {
        "name": "person-nano",
        "version": version,
        "task": "detect",
        "licence": "Apache-2.0",
        "source": "test" + "." * padding,
        "classes": CLASSES,
        "head": "end2end",
        "preprocess": {
            "width_px": 64,
            "height_px": 64,
            "layout": "nhwc-uint8",
            "colour": "bgr",
            "letterbox": "top-left",
        },
        "builds": [{"target": "onnx-fp32", "file": "light.onnx"} | _promise(model)],
        "golden": {"clip": "golden.npz"} | _promise(clip),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in ({"manifest.json": json.dumps(manifest).encode()} | files).items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _promise(content):
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def custom(kind="model", version="1.0.0", hardware=("onnx-fp32",), **others):
    said = {"kind": kind, "name": "person-nano", "version": version, "hardware": list(hardware)}
    return said | others


@contextlib.contextmanager
def light_camera(*, fps=20, steps=14, finish=lambda picture: picture):
    """Serve MJPEG: a light goes from left to right, and again; yields the address.

    ``finish`` draws over each picture before it is sent, at the best quality.
    """
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
            self.end_headers()
            with contextlib.suppress(OSError):
                number = 0
                while not stop.wait(1 / fps):
                    picture = finish(light_frame(number % (steps + 4), steps))
                    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
                    head = "--frame\r\nContent-Type: image/jpeg\r\n"
                    head += f"Content-Length: {jpeg.size}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
                    number += 1

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/video.mjpg"
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def light_frame(step, steps):
    """Return a picture of 128 x 96 with the light at ``step``; dark from ``steps`` on."""
    picture = np.full((96, 128, 3), 40, np.uint8)
    if step < steps:
        left = 2 + round(step * (128 - 28) / (steps - 1))
        picture[24:72, left : left + 24] = 235
    return picture


def write_zoo(folder, model):
    """Make the zoo of what the device was provisioned with."""
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "light.onnx").write_bytes(model)
    promise = _promise(model)
    (folder / "zoo.toml").write_text(f"""[[bundle]]
name = "person-nano"
version = "0"
task = "detect"
licence = "Apache-2.0"
source = "test"
classes = ["person"]
head = "end2end"
[bundle.preprocess]
width_px = 64
height_px = 64
layout = "nhwc-uint8"
colour = "bgr"
letterbox = "top-left"
[[bundle.builds]]
target = "onnx-fp32"
file = "light.onnx"
sha256 = "{promise["sha256"]}"
size_bytes = {promise["size_bytes"]}
""")
    return {
        "SHOPFLOOR_ZOO": str(folder / "zoo.toml"),
        "SHOPFLOOR_MIRROR": str(folder),
        "SHOPFLOOR_CACHE": str(folder / "cache"),
    }


def write_site(path, *, camera, cloud, root, campaigns=None, extra=""):
    path.write_text(f"""site = "s1"
device = "d1"
window_s = 5
[model]
bundle = "person-nano"
[updates]
root_file = "{root}"
registry_url = "{cloud}"
campaigns_url = "{campaigns or cloud}"
poll_min_s = 0.2
poll_max_s = 5
reserve_bytes = 0
shadow_cpu_ratio = 1.0
{extra}
[[cameras]]
name = "door"
uri = "{camera}"
fps = 20
picture_check = false
motion_gate = false
[[cameras.lines]]
name = "middle"
a = [0.5, 1.0]
b = [0.5, 0.0]
""")
    return path
