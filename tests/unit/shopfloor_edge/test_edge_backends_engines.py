"""An engine is loaded only where it was built for; any other is built again."""

import dataclasses

import pytest

from shopfloor_edge.inference.engines import EngineCache, Fingerprint

FINGERPRINT = Fingerprint("a" * 64, "tensorrt 10.3.0", "Orin", "8.7")
ENGINE = b"engine of this device" * 100


class Builder:
    """Counts what it builds."""

    def __init__(self, engine=ENGINE):
        self.engine, self.built = engine, 0

    def __call__(self):
        self.built += 1
        return self.engine


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "engines"


def kept(folder):
    (path,) = folder.glob("*.engine")
    return path


def test_an_engine_is_built_once(folder):
    builder = Builder()

    first = EngineCache(folder).load_or_build(FINGERPRINT, builder)
    second = EngineCache(folder).load_or_build(FINGERPRINT, builder)

    assert first == second == ENGINE
    assert builder.built == 1


@pytest.mark.parametrize("length", [0, 10, 60, 83, 84, 500])
def test_a_truncated_engine_is_built_again(folder, length):
    EngineCache(folder).load_or_build(FINGERPRINT, Builder())
    kept(folder).write_bytes(kept(folder).read_bytes()[:length])
    builder = Builder()

    engine = EngineCache(folder).load_or_build(FINGERPRINT, builder)

    assert (engine, builder.built) == (ENGINE, 1)


@pytest.mark.parametrize("at", [3, 30, 60, -1])
def test_an_engine_with_a_flipped_bit_is_built_again(folder, at):
    EngineCache(folder).load_or_build(FINGERPRINT, Builder())
    content = bytearray(kept(folder).read_bytes())
    content[at] ^= 1
    kept(folder).write_bytes(bytes(content))
    builder = Builder()

    assert EngineCache(folder).load_or_build(FINGERPRINT, builder) == ENGINE
    assert builder.built == 1


@pytest.mark.parametrize(
    "other",
    [
        {"model_sha256": "a" * 63 + "b"},
        {"library": "tensorrt 10.7.0"},
        {"gpu": "Xavier"},
        {"capability": "7.2"},
    ],
)
def test_an_engine_of_another_device_library_or_model_is_not_loaded(folder, other):
    EngineCache(folder).load_or_build(FINGERPRINT, Builder(b"foreign"))
    builder = Builder()

    engine = EngineCache(folder).load_or_build(dataclasses.replace(FINGERPRINT, **other), builder)

    assert (engine, builder.built) == (ENGINE, 1)


def test_a_foreign_engine_under_this_devices_name_is_not_loaded(folder):
    cache, here = EngineCache(folder), dataclasses.replace(FINGERPRINT, gpu="Xavier")
    cache.load_or_build(here, Builder())
    name = kept(folder).name
    cache.load_or_build(FINGERPRINT, Builder(b"foreign"))
    kept(folder).rename(folder / name)
    builder = Builder()

    assert cache.load_or_build(here, builder) == ENGINE
    assert builder.built == 1


def test_the_engine_before_is_removed_with_the_new_one(folder):
    cache = EngineCache(folder)
    cache.load_or_build(FINGERPRINT, Builder())

    cache.load_or_build(dataclasses.replace(FINGERPRINT, library="tensorrt 10.7.0"), Builder())

    assert len(list(folder.iterdir())) == 1


def test_a_discarded_engine_is_built_again(folder):
    cache, builder = EngineCache(folder), Builder()
    cache.load_or_build(FINGERPRINT, builder)

    cache.discard(FINGERPRINT)
    cache.load_or_build(FINGERPRINT, builder)

    assert builder.built == 2


def test_a_folder_that_cannot_be_written_costs_only_the_next_start(tmp_path):
    folder = tmp_path / "file" / "engines"
    folder.parent.write_text("in the way")

    assert EngineCache(folder).load_or_build(FINGERPRINT, Builder()) == ENGINE
