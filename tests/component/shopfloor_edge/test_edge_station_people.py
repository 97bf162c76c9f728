"""A running station, and people who stop it, ask the doctor, and end its keeper."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from fakes.station_files import StationFiles
from shopfloor_demo.processes import wait_until
from shopfloor_edge.doctor.findings import Level
from shopfloor_edge.doctor.recipes import check_recipe
from shopfloor_edge.journal.parts import read_known
from shopfloor_edge.main import main
from shopfloor_edge.station.keeper import Keeper
from shopfloor_edge.station.recipe_file import load_recipe

pytestmark = pytest.mark.timeout(120)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_person_stops_the_line_and_lets_it_run_again(tmp_path):
    port = free_port()
    files = StationFiles(tmp_path, tables=f"[metrics]\nport = {port}")
    station = files.start()
    try:
        files.feed(1, files.good)
        files.wait_counted(1)

        def state():
            known = json.loads(read_known(files.state, "aoi"))
            return known["guard"]["state"], known["stopped_by"]

        def tell(word):
            assert main(["inspect", word, "--by", "maria", "--state", str(files.state)]) == 0

        tell("stop")
        wait_until(lambda: state() == ("stopped", "maria"), timeout_s=20, what="a stop")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            scraped = answer.read().decode()
        tell("restart")
        wait_until(lambda: state() == ("running", ""), timeout_s=20, what="a restart")
    finally:
        station.terminate()
        station.wait(30)
    assert 'shopfloor_station_line_state{state="stopped"} 1.0' in scraped
    assert 'shopfloor_station_parts_total{verdict="pass"} 1.0' in scraped


def test_the_keeper_outlives_a_supervisor_that_ends_everything_at_once(tmp_path):
    files = StationFiles(tmp_path)
    argv = [sys.executable, "-m", "shopfloor_edge.station.keeper", "--recipe", str(files.recipe)]
    keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    status = Path(f"/proc/{keeper.pid}/status")

    def ignores():
        line = next(row for row in status.read_text().splitlines() if row.startswith("SigIgn"))
        return int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1

    try:
        wait_until(ignores, timeout_s=30, what="the keeper's start")
        os.kill(keeper.pid, signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            keeper.wait(0.5)
        keeper.stdin.close()
        assert keeper.wait(20) == 0
    finally:
        keeper.kill()
        keeper.stderr.close()
        keeper.wait()


def test_the_doctor_tries_a_recipe(tmp_path):
    files = StationFiles(tmp_path)

    findings = check_recipe(files.recipe)

    assert [(one.name, one.level) for one in findings] == [
        ("recipe.toml", Level.OK),
        ("golden parts", Level.OK),
    ]
    assert findings[1].found == "2 judged rightly"


def test_the_doctor_names_what_is_wrong_with_a_recipe(tmp_path):
    files = StationFiles(tmp_path)
    text = files.recipe.read_text()
    files.recipe.write_text(text.replace('"golden-bad.png"', '"golden-good.png"'))

    misjudged = check_recipe(files.recipe)
    files.recipe.write_text(text.replace("station =", "staton ="))
    broken = check_recipe(files.recipe)

    assert misjudged[1].level is Level.BAD
    assert "golden-good.png: pass, expected fail" in misjudged[1].found
    assert [one.level for one in broken] == [Level.BAD]
    assert "staton" in broken[0].found


def test_an_output_that_does_not_answer_keeps_no_word_from_the_others(tmp_path):
    pytest.importorskip("asyncua")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"opc.tcp://127.0.0.1:{silent.getsockname()[1]}/plc"
        tables = f'[outputs.opcua_client]\nendpoint = "{endpoint}"\nrun = "ns=1;s=run"\n'
        tables += f'[outputs.opcua_server]\nendpoint = "opc.tcp://127.0.0.1:{free_port()}/x"'
        files = StationFiles(tmp_path, tables=tables)
        keeper = Keeper(load_recipe(files.recipe))
        began = time.monotonic()

        keeper.open()

        assert time.monotonic() - began < 0.5

        def has_server():
            keeper.open()
            return [name for name, _ in keeper._opened()] == ["opcua_server"]

        wait_until(has_server, timeout_s=20, what="the other output")
        keeper.close()
