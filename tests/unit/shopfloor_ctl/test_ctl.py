from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shopfloor_ctl.errors import MistakeError
from shopfloor_ctl.keys import load_key, make_key
from shopfloor_ctl.main import main
from shopfloor_ctl.mlflow import read_run
from shopfloor_ctl.profile import Profile, Service, read_profile, write_profile
from shopfloor_ctl.screen import Screen

RUN = {
    "run": {
        "info": {"experiment_id": "7"},
        "data": {
            "params": [{"key": "lr", "value": "1e-5"}],
            "metrics": [{"key": "val/ap", "value": 0.33, "step": 4}],
        },
    }
}


def test_a_profile_is_its_owners_alone(tmp_path):
    file = tmp_path / "deep/ctl.json"

    write_profile(file, Profile({"registry": Service("http://r", "secret")}))

    assert file.stat().st_mode & 0o777 == 0o600
    assert read_profile(file).service("registry").token == "secret"


def test_a_profile_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "ctl.json"
    write_profile(file, Profile({}))
    file.chmod(0o644)

    with pytest.raises(MistakeError, match="chmod 600"):
        read_profile(file)


def test_a_service_that_is_not_set_is_told_in_one_line(tmp_path, capsys):
    code = main(["models", "list", "--profile", str(tmp_path / "none.json")])

    assert code == 2
    assert capsys.readouterr().err == (
        "shopfloorctl: no registry is set: shopfloorctl login registry URL\n"
    )


def test_a_service_that_does_not_answer_is_told_in_one_line(tmp_path, capsys):
    file = tmp_path / "ctl.json"
    write_profile(file, Profile({"registry": Service("http://127.0.0.1:9", "t")}))

    code = main(["models", "list", "--profile", str(file)])

    assert code == 1
    assert capsys.readouterr().err.startswith("shopfloorctl: http://127.0.0.1:9 does not answer")


def test_a_table_shows_no_escape_sequences():
    out = io.StringIO()

    Screen(as_json=False, out=out).table(
        [{"a": "x\x1b[31m", "b": {"k": "v"}}, {"a": None, "b": []}], ["a", "b"], empty=""
    )

    assert out.getvalue() == "A       B\nx?[31m  k=v\n-       -\n"


def test_json_holds_what_a_table_leaves_out():
    out = io.StringIO()

    Screen(as_json=True, out=out).table([{"a": 1, "b": 2}], ["a"], empty="")

    assert json.loads(out.getvalue()) == [{"a": 1, "b": 2}]


def test_a_key_opens_with_its_passphrase_only(tmp_path):
    file = tmp_path / "ada.key"
    public = make_key(file, b"right")

    assert file.stat().st_mode & 0o777 == 0o600
    assert load_key(file, b"right").public_key().public_bytes_raw().hex() == public
    with pytest.raises(MistakeError, match="another passphrase"):
        load_key(file, b"wrong")
    with pytest.raises(MistakeError, match="File exists"):
        make_key(file, b"again")


@pytest.fixture
def tracking_server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = RUN if "run_id=abc" in self.path else None
            if "experiments" in self.path:
                found = {"experiment": {"name": "people"}}
            body = json.dumps(found or {"error_code": "RESOURCE_DOES_NOT_EXIST"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_a_run_is_read_from_a_tracking_server(tracking_server):
    run = read_run(tracking_server, "abc")

    assert (run.experiment, run.params, run.metrics) == (
        "people",
        {"lr": "1e-5"},
        {"val/ap": 0.33},
    )


def test_a_run_that_is_not_there_is_told(tracking_server, tmp_path):
    for source in (tracking_server, str(tmp_path)):
        with pytest.raises(MistakeError, match="no run xyz"):
            read_run(source, "xyz")


def test_a_run_id_is_no_path(tmp_path):
    with pytest.raises(MistakeError, match="expected the id"):
        read_run(str(tmp_path), "../../etc")


def test_nested_metric_names_of_a_folder_keep_their_slash(tmp_path):
    run = tmp_path / "7/abc"
    (run / "metrics/val").mkdir(parents=True)
    (run / "params").mkdir()
    (run / "meta.yaml").write_text("run_id: abc\n")
    (run / "metrics/val/ap").write_text("1 0.1 0\n2 0.4 1\n")

    assert read_run(str(tmp_path), "abc").metrics == {"val/ap": 0.4}
