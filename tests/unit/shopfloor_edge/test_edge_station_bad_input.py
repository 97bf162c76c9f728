"""What goes wrong in front of a station: doubt or an alarm, never a silent pass."""

import threading
import time

import cv2
import numpy as np
import pytest

from fakes.differences import network, write_bundle
from fakes.line import FakeCamera, FakeLine
from fakes.station_files import StationFiles
from shopfloor_contracts.alerts import AlertData, AlertState
from shopfloor_contracts.errors import RecipeError
from shopfloor_edge.errors import BundleError, OperatorError
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.evidence import EvidenceStore
from shopfloor_edge.inspection.judges.cascade import Cascade
from shopfloor_edge.inspection.judges.trained import TrainedJudge
from shopfloor_edge.inspection.ports import Verdict
from shopfloor_edge.inspection.triggers.mqtt import parse_trigger
from shopfloor_edge.journal.outbox import Outbox
from shopfloor_edge.journal.parts import PartBook, read_parts
from shopfloor_edge.station.judging import build_judges, judge_golden
from shopfloor_edge.station.ledger import StationLedger
from shopfloor_edge.station.loop import Clock, Equipment, StationLoop
from shopfloor_edge.station.recipe_file import load_recipe
from shopfloor_edge.station.watching import build_guard


class Bench:
    """A station with pictures from memory, run until its queue is empty."""

    def __init__(self, files, queue_size=64):
        self.files, self.recipe = files, load_recipe(files.recipe)
        self.line, self.queue = FakeLine(), TriggerQueue(queue_size)
        self.judges = build_judges(self.recipe)

    def run(self, pictures, triggers=None):
        """Judge one part per picture; return the rows of the book."""
        for trigger in triggers or [Trigger(time.monotonic()) for _ in pictures]:
            self.queue.put(trigger)
        book = PartBook(self.files.state, "aoi", max_rows=1000, max_bytes=10**7)
        ledger = StationLedger(
            self.recipe, book, build_guard(self.recipe.watch), digest="0" * 64, at_s=time.time()
        )
        equipment = Equipment(
            self.judges,
            FakeCamera(pictures),
            self.queue,
            self.line,
            EvidenceStore(self.files.state / "evidence", 10**6),
            lambda: judge_golden(self.recipe, self.judges),
        )
        StationLoop(self.recipe, equipment, ledger, Clock()).run(StopWhenEmpty(self.queue))
        book.close()
        return read_parts(self.files.state, "aoi")

    def alerts(self):
        outbox = Outbox(self.files.state, max_rows=1000, max_bytes=10**7)
        data = [waiting.event.data for waiting in outbox.waiting(0, 1000)]
        outbox.close()
        return [(a.metric, a.state) for a in data if isinstance(a, AlertData)]


class StopWhenEmpty(threading.Event):
    """Ends the loop when nothing waits any more."""

    def __init__(self, queue):
        super().__init__()
        self._queue = queue

    def is_set(self):
        return self._queue._waiting.empty()


@pytest.fixture
def files(tmp_path):
    return StationFiles(tmp_path)


@pytest.fixture
def bench(files):
    return Bench(files)


def half(picture):
    shown = np.full_like(picture, 230)
    shown[:, :320] = picture[:, 320:]
    return shown


def two(picture):
    small = cv2.resize(picture, (320, 640))
    return np.hstack([small, small])


BAD = {
    "half a part": half,
    "no part": lambda picture: np.full_like(picture, 230),
    "two parts": two,
    "upside down": lambda picture: np.ascontiguousarray(picture[::-1, ::-1]),
    "another product": lambda picture: np.ascontiguousarray(picture.T[:, ::-1]),
    "a dirty lens": lambda picture: cv2.GaussianBlur(picture, (0, 0), 9),
    "light off": lambda picture: np.full_like(picture, 2),
    "another size": lambda picture: picture[:200, :300].copy(),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_judged_is_left_to_people(bench, files, what):
    [row] = bench.run([BAD[what](files.good)])

    assert row.verdict == "review"
    assert row.reason
    assert [ruling.verdict for ruling in bench.line.rulings] == [Verdict.REVIEW]


def test_a_good_part_passes_and_a_bad_one_fails(bench, files):
    rows = bench.run([files.good, files.bad])

    assert [row.verdict for row in rows] == ["pass", "fail"]


def test_a_trigger_without_a_picture_is_a_missed_part_and_no_pass(bench):
    [row] = bench.run([None])

    assert (row.verdict, row.reason) == ("missed", "no-picture")
    assert bench.line.rulings[0].verdict is not Verdict.PASS


def test_a_part_that_is_past_the_gate_is_missed_and_not_judged(bench, files):
    late = Trigger(time.monotonic() - 60)

    [row] = bench.run([files.good], [late])

    assert (row.verdict, row.reason) == ("missed", "late")


def test_parts_without_judgement_in_a_row_stop_the_line_and_tell_people(bench, files):
    dark = [np.zeros_like(files.good)] * 5

    bench.run(dark)

    assert bench.line.signals[-1].run is False
    assert ("station", AlertState.RAISED) in bench.alerts()


def test_a_storm_of_triggers_is_counted_and_none_is_lost(files):
    bench = Bench(files, queue_size=4)

    bench.run([files.good] * 4, [Trigger(time.monotonic(), n, "r") for n in range(1, 101)])

    assert sum(bench.files.totals().get(name, 0) for name in ("pass", "missed")) == 100


def test_a_trigger_that_is_told_twice_is_judged_once(bench, files):
    now = time.monotonic()
    triggers = [Trigger(now, 1, "r"), Trigger(now, 1, "r"), Trigger(now, 2, "r")]

    rows = bench.run([files.good] * 3, triggers)

    assert [row.number for row in rows] == [1, 2]


def test_parts_that_went_by_unseen_are_missed(bench, files):
    now = time.monotonic()

    bench.run([files.good] * 2, [Trigger(now, 1, "r"), Trigger(now, 5, "r")])

    assert bench.files.totals() == {"pass": 2, "missed": 3}


def test_a_count_of_the_line_that_jumps_absurdly_is_no_gap(bench, files):
    now = time.monotonic()

    bench.run([files.good] * 2, [Trigger(now, 1, "r"), Trigger(now, 10**15, "r")])

    assert bench.files.totals() == {"pass": 2}


def test_a_product_that_the_recipe_does_not_know_is_left_to_people(bench, files):
    [row] = bench.run([files.good], [Trigger(time.monotonic(), product="other")])

    assert (row.verdict, row.reason) == ("review", "other-product")


def test_a_station_that_misjudges_a_golden_part_is_not_released(files):
    cv2.imwrite(str(files.folder / "golden-bad.png"), files.good)
    bench = Bench(files)

    [row] = bench.run([files.good])

    assert bench.line.signals[0].state == "held"
    assert bench.line.signals[0].run is False
    assert row.verdict == "review"
    assert ("station", AlertState.RAISED) in bench.alerts()


def test_a_missing_reference_is_named(files):
    (files.folder / "reference.png").unlink()

    with pytest.raises(OperatorError, match=r"product 'board': .*reference.png is no picture"):
        Bench(files)


def test_a_chart_of_a_class_that_the_judge_does_not_know_is_refused(files):
    text = files.recipe.read_text().replace("[[watch]]", '[[watch]]\nname = "scratch"')
    files.recipe.write_text(text)

    with pytest.raises(OperatorError, match=r"'scratch'.*knows no such class; it knows difference"):
        Bench(files)


@pytest.mark.parametrize(("kind", "judge"), [("trained", TrainedJudge), ("cascade", Cascade)])
def test_a_network_judges_where_the_recipe_says_so(files, kind, judge):
    write_bundle(files.folder / "net", network())
    files.recipe.write_text(
        files.recipe.read_text() + f'\n[judge]\nkind = "{kind}"\nnetwork = "net"\n'
    )

    judges = build_judges(load_recipe(files.recipe))

    assert [type(one) for one in judges.values()] == [judge]


def test_the_anomaly_judge_takes_no_bundle_of_another_task(files):
    write_bundle(files.folder / "net", network())
    files.recipe.write_text(
        files.recipe.read_text() + '\n[judge]\nkind = "anomaly"\nnetwork = "net"\n'
    )

    with pytest.raises(BundleError, match="not to score-patches"):
        build_judges(load_recipe(files.recipe))


def test_a_judge_without_its_network_is_named(files):
    files.recipe.write_text(
        files.recipe.read_text() + '\n[judge]\nkind = "trained"\nnetwork = "net"\n'
    )

    with pytest.raises(BundleError, match="net"):
        build_judges(load_recipe(files.recipe))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[[watch]]", '[judge]\nkind = "trained"\n[[watch]]', "'trained' wants a network"),
        ("[[watch]]", '[judge]\nnetwork = "n"\n[[watch]]', "'template' takes no network"),
        ("station =", "staton =", "unknown key 'staton'; did you mean 'station'"),
        ("p1 = 0.2", "p1 = 0.001", "p0 must be below p1"),
        ('kind = "frames"', 'kind = "settle"', "no motion to settle"),
        ('picture = "golden-good.png"', 'picture = "g"\nproduct = "x"', "no product is named 'x'"),
        (
            "[[watch]]",
            '[outputs.opcua_server]\nendpoint = "opc.tcp://0.0.0.0:4840"\n[[watch]]',
            "'opc.tcp://0.0.0.0:4840' is not this machine: a security table",
        ),
        (
            'kind = "frames"',
            'kind = "opcua"\nendpoint = "opc.tcp://plc:4840"\nnode = "ns=1;s=n"',
            "'opc.tcp://plc:4840' is not this machine",
        ),
        (
            "[[watch]]",
            '[outputs.opcua_server.security]\ncertificate_file = "c"\nkey_file = "k"\n'
            'trusted = ["p"]\nuser_key_file = "u"\n[[watch]]',
            "user_certificate_file and user_key_file go together",
        ),
    ],
)
def test_a_recipe_that_cannot_be_run_says_why(files, old, new, says):
    files.recipe.write_text(files.recipe.read_text().replace(old, new))

    with pytest.raises(RecipeError) as error:
        load_recipe(files.recipe)

    assert says in str(error.value)


@pytest.mark.parametrize(
    "payload",
    [b"\xff\xfe", b"[]", b'{"number": -1}', b'{"picture": "../../etc/passwd"}', b"x" * 5000],
)
def test_a_trigger_message_that_makes_no_sense_is_none(payload):
    assert parse_trigger(payload, 0.0) is None


def test_certificates_are_looked_for_beside_the_recipe(files):
    table = (
        '[outputs.opcua_server]\nendpoint = "opc.tcp://0.0.0.0:4840"\n'
        '[outputs.opcua_server.security]\ncertificate_file = "c.pem"\nkey_file = "/keys/k.pem"\n'
        'trusted = ["plc.pem"]\n'
    )
    files.recipe.write_text(files.recipe.read_text() + table)

    security = load_recipe(files.recipe).outputs.opcua_server.security

    assert security.certificate_file == str(files.folder / "c.pem")
    assert security.trusted == [str(files.folder / "plc.pem")]
    assert security.key_file == "/keys/k.pem"
