import hashlib
import json

import pytest
import zstandard

from fakes.ingest_events import FakeDevice
from shopfloor_contracts import batches
from shopfloor_contracts.batches import (
    FULL_RAW_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_RAW_BYTES,
    batch_topic,
    is_batch,
    pack,
    pack_slim,
    shipped_dictionaries,
    slim,
    unpack,
)
from shopfloor_contracts.dictionary import make_dictionary
from shopfloor_contracts.errors import EventRejectedError
from shopfloor_contracts.events import MAX_EVENT_BYTES, encode, parse_event

DEVICE = FakeDevice()
TOPIC = batch_topic("oslo", "door")
NAME, DICTIONARY = list(shipped_dictionaries().items())[-1]
HEAD = b"SFB1" + NAME


def packed(raw, **options):
    compressor = zstandard.ZstdCompressor(dict_data=DICTIONARY, write_dict_id=False, **options)
    return HEAD + compressor.compress(raw)


def refusal(payload, topic=TOPIC):
    with pytest.raises(EventRejectedError) as refused:
        unpack(topic, payload)
    return refused.value.reason


def test_a_batch_comes_out_as_the_events_that_went_in():
    events = [DEVICE.traffic(7, prevseq=4), DEVICE.occupancy(8, prevseq=7), DEVICE.heartbeat()]

    parts = unpack(TOPIC, pack(events))

    assert [part.topic.rsplit("/", 1)[1] for part in parts] == ["traffic", "occupancy", "heartbeat"]
    # The place before is implied where nothing was dropped.
    expected = [events[0], events[1].model_copy(update={"prevseq": None}), events[2]]
    assert [parse_event(part.payload) for part in parts] == expected


def test_a_batch_is_a_json_batch_of_cloudevents_once_the_ids_are_back():
    event = DEVICE.traffic(7, prevseq=4)

    (part,) = unpack(TOPIC, pack([event]))

    assert json.loads(part.payload) == json.loads(encode(event))


def test_a_batch_is_many_times_smaller_than_its_events():
    events = [DEVICE.traffic(seq, prevseq=seq - 1) for seq in range(1, 61)]

    assert len(pack(events)) * 15 < sum(len(encode(event)) for event in events)


def test_the_dictionary_is_made_again_byte_for_byte():
    made = make_dictionary()

    assert DICTIONARY.as_bytes() == made
    assert len(made) <= 64 * 1024
    assert hashlib.sha256(made).digest()[:8] == NAME


def test_a_topic_tells_a_batch_from_an_event():
    assert is_batch(TOPIC)
    assert not is_batch("shopfloor/v1/oslo/door/traffic")
    assert not is_batch("shopfloor/v1/Oslo/door/batch")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "batch"),
        (b"SFB1", "batch"),
        (b"[{}]", "batch"),
        (HEAD + b"not zstd at all", "batch"),
        (b"SFB1" + b"\0" * 8 + b"x" * 20, "unknown-dictionary"),
        (b"x" * (MAX_BATCH_BYTES + 1), "too-large"),
        (packed(b"{"), "not-json"),
        (packed(b"\xff\xfe"), "not-json"),
        (packed(b"[NaN]"), "not-json"),
        (packed(b"[" * 5000), "not-json"),
        (packed(b"{}"), "batch"),
        (packed(b"[]"), "batch"),
        (packed(b"[1]"), "batch"),
        (packed(b"[[{}]]"), "batch"),
        (packed(b'[{"type":"shopfloor.batch.v1"}]'), "batch"),
        (packed(b'[{"type":"shopfloor.birth.v1"}]'), "batch"),
        (packed(b"[" + b",".join([b"{}"] * (MAX_BATCH_EVENTS + 1)) + b"]"), "batch"),
    ],
)
def test_what_is_no_batch_is_refused_with_its_reason(payload, reason):
    assert refusal(payload) == reason


def test_a_bomb_that_says_how_large_it_is_is_not_opened():
    assert refusal(packed(b" " * (MAX_RAW_BYTES + 1))) == "too-large"


def test_a_bomb_that_does_not_say_its_size_is_not_opened():
    assert refusal(packed(b" " * 10**7, write_content_size=False)) == "too-large"


def test_a_bomb_that_lies_about_its_size_is_stopped():
    honest = packed(b" " * 50_000_000)[len(HEAD) :]
    # zstd RFC 8878 §3.1.1.1: descriptor with a 4-byte content size and no window descriptor.
    assert honest[4] >> 6 == 2
    at = 5 if honest[4] & 0x20 else 6
    lying = honest[:at] + (1000).to_bytes(4, "little") + honest[at + 4 :]

    assert refusal(HEAD + lying) in ("batch", "too-large")


def test_a_frame_that_wants_a_huge_window_is_refused():
    options = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    compressor = zstandard.ZstdCompressor(dict_data=DICTIONARY, compression_params=options)

    assert refusal(HEAD + compressor.compress(b"[{}]")) in ("batch", "too-large")


def test_a_truncated_batch_is_refused():
    whole = pack([DEVICE.traffic(1)])

    assert {refusal(whole[:length]) for length in range(13, len(whole))} <= {"batch", "too-large"}


def test_events_of_two_outboxes_are_not_one_batch():
    other = FakeDevice()

    assert refusal(pack([DEVICE.traffic(1), other.traffic(1)])) == "batch"


def test_an_event_of_an_unknown_type_does_not_spoil_the_others():
    newer = slim(DEVICE.traffic(2)).replace(b"shopfloor.traffic.v1", b"shopfloor.laughter.v1")

    parts = unpack(TOPIC, pack_slim([slim(DEVICE.traffic(1)), newer]))

    assert [part.topic.rsplit("/", 1)[1] for part in parts] == ["traffic", "laughter"]


def test_one_more_event_fits_into_a_batch_that_is_nearly_full():
    assert FULL_RAW_BYTES + MAX_EVENT_BYTES < MAX_RAW_BYTES


def test_the_newest_dictionary_is_written_with():
    assert batches.pack([DEVICE.traffic(1)])[4:12] == NAME
