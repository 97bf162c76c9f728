"""Ways from base to result as steps: by tensors of the same name, and by bsdiff's search."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import bsdiff4

from shopfloor_contracts.deltas import Kind, Step
from shopfloor_registry.delta.onnx_tensors import Tensor, find_tensors
from shopfloor_registry.delta.steps import merged

MAX_SEARCH_BYTES = 1 << 26
"""bsdiff's suffix array takes some 17 bytes per byte of the base."""

_TRIPLE = struct.Struct("<qqq")
_MAGNITUDE = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class _Rest:
    """What lies between a file's matched tensors, joined."""

    spans: tuple[tuple[int, int], ...]
    """Begin and end in the file."""

    def content(self, whole: bytes) -> bytes:
        return b"".join(whole[begin:end] for begin, end in self.spans)

    def split(self, at: int, size: int) -> list[tuple[int, int]]:
        """Return where a run of the rest lies in the file: begins and sizes."""
        found, passed = [], 0
        for begin, end in self.spans:
            low, high = max(at, passed), min(at + size, passed + end - begin)
            if low < high:
                found.append((begin + low - passed, high - low))
            passed += end - begin
        return found


def by_search(base: bytes, result: bytes) -> list[Step] | None:
    """Return the steps of bsdiff's search (Percival, Naive differences of executable code, 2003).

    None where the base is too large to be searched.
    """
    if len(base) > MAX_SEARCH_BYTES or len(result) > MAX_SEARCH_BYTES:
        return None
    steps, cursor, made = [], 0, 0
    control, _, _ = bsdiff4.core.diff(base, result)
    for same, extra, moved in _TRIPLE.iter_unpack(control):
        if same:
            exact = base[cursor : cursor + same] == result[made : made + same]
            steps.append(Step(Kind.COPY if exact else Kind.ADD_1, same, cursor))
        if extra:
            steps.append(Step(Kind.EXTRA, extra))
        made += same + extra
        # bsdiff writes sign and magnitude, not two's complement.
        cursor += same + (-(moved & _MAGNITUDE) if moved < 0 else moved)
    return merged(steps)


def by_tensors(base: bytes, result: bytes) -> list[Step] | None:
    """Return steps that give each tensor the one of its name and size; None where none fits.

    What lies between tensors is searched as by bsdiff.
    """
    pairs = _pairs(find_tensors(base), find_tensors(result))
    if not pairs:
        return None
    old_rest = _rest(sorted((old for old, _ in pairs), key=lambda t: t.at), len(base))
    new_rest = _rest([new for _, new in pairs], len(result))
    searched = by_search(old_rest.content(base), new_rest.content(result))
    if searched is None:
        return None
    steps = {new.at: _tensor_step(old, new, base, result) for old, new in pairs}
    made = 0
    for step in searched:
        _place(steps, step, made, old_rest, new_rest)
        made += step.size
    return merged([steps[at] for at in sorted(steps)])


def _pairs(old: Sequence[Tensor], new: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pair tensors by name, the others by kind, size and order; each is used once."""
    left = {(tensor.name, tensor.width, tensor.size): tensor for tensor in old}
    pairs, lonely = [], []
    for tensor in new:
        match = left.pop((tensor.name, tensor.width, tensor.size), None)
        if match:
            pairs.append((match, tensor))
        else:
            lonely.append(tensor)
    for tensor in lonely:
        fits = [
            one for one in left.values() if (one.width, one.size) == (tensor.width, tensor.size)
        ]
        if fits:
            del left[fits[0].name, fits[0].width, fits[0].size]
            pairs.append((fits[0], tensor))
    return sorted(pairs, key=lambda pair: pair[1].at)


def _rest(tensors: Sequence[Tensor], size: int) -> _Rest:
    spans, at = [], 0
    for tensor in tensors:
        spans.append((at, tensor.at))
        at = tensor.at + tensor.size
    return _Rest(tuple((begin, end) for begin, end in [*spans, (at, size)] if begin < end))


def _tensor_step(old: Tensor, new: Tensor, base: bytes, result: bytes) -> Step:
    same = base[old.at : old.at + old.size] == result[new.at : new.at + new.size]
    return Step(Kind.COPY if same else Kind(old.width), new.size, old.at)


def _place(steps: dict[int, Step], step: Step, made: int, old_rest: _Rest, new_rest: _Rest) -> None:
    """Put a step between two rests in terms of the two files, cut where either is cut."""
    if step.kind == Kind.EXTRA:
        for begin, size in new_rest.split(made, step.size):
            steps[begin] = Step(Kind.EXTRA, size)
        return
    passed = 0
    for at, size in old_rest.split(step.at, step.size):
        done = 0
        for begin, part in new_rest.split(made + passed, size):
            steps[begin] = Step(step.kind, part, at + done)
            done += part
        passed += size
