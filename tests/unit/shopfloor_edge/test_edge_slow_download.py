"""A download with a cap is slow, and still hears that it is not wanted any more."""

import hashlib

import pytest
from tuf.api.metadata import TargetFile

from shopfloor_contracts.targets import TargetCustom
from shopfloor_edge.agent.updater.download import Download, Limits
from shopfloor_edge.agent.updater.trust import Signed

CONTENT = bytes(50_000)


class CancelledError(Exception):
    pass


class OneChunk:
    """Gives everything at once, as a fast network does."""

    def read(self, signed, begin):
        yield begin, CONTENT[begin:40_000]
        yield 40_000, CONTENT[40_000:]


@pytest.fixture
def signed():
    custom = TargetCustom(kind="model", name="m", version="1", hardware=["any"])
    file = TargetFile.from_data("m", CONTENT, ["sha256"])
    return Signed("m", file, custom, f"{hashlib.sha256(CONTENT).hexdigest()}.m")


def test_the_cap_holds_in_the_mean(tmp_path, signed):
    slept = []

    Download(OneChunk(), tmp_path, Limits(1000), sleep=slept.append).fetch(signed, lambda *_: None)

    assert sum(slept) >= 39
    assert max(slept) <= 1.0


def test_a_cancellation_is_heard_while_the_cap_makes_it_wait(tmp_path, signed):
    slept = []

    def progress(_here, _whole):
        if len(slept) == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        Download(OneChunk(), tmp_path, Limits(1000), sleep=slept.append).fetch(signed, progress)

    assert sum(slept) <= 3.0
