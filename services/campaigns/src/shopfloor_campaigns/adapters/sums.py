"""Sums over a wave's devices, kept up to date report by report instead of read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from shopfloor_campaigns.adapters.tables import FIGURES, HISTOGRAMS, SUMMED
from shopfloor_campaigns.domain.gates import Figures
from shopfloor_campaigns.domain.intervals import Clusters

MOST = 256
"""Waves that are remembered; one that is forgotten is added up in SQL again."""

Key = tuple[str, int, int]
"""Campaign, wave, round."""

_OLD = FIGURES.c.agreed + FIGURES.c.only_old
_MORE = FIGURES.c.only_new - FIGURES.c.only_old
_CLUSTERS = ("k", "dd", "db", "bb", "b")
_SUMS = select(
    *(func.coalesce(func.sum(FIGURES.c[name]), 0).label(name) for name in ("observed_s", *SUMMED)),
    func.count().filter(_OLD > 0).label("k"),
    # As floats: sums of squares of a large fleet would leave a bigint.
    func.coalesce(func.sum(1.0 * _MORE * _MORE), 0).label("dd"),
    func.coalesce(func.sum(1.0 * _MORE * _OLD), 0).label("db"),
    func.coalesce(func.sum(1.0 * _OLD * _OLD), 0).label("bb"),
    func.coalesce(func.sum(1.0 * _OLD), 0).label("b"),
)
_PLAIN = tuple(name for name in SUMMED if name in Figures.__dataclass_fields__)


class WaveSums:
    """The writer's; whoever rolls back has to ``clear`` it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sums: dict[Key, dict[str, float]] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._sums.clear()

    def add(self, key: Key, more: Mapping[str, float], pair: tuple[int, int, int]) -> None:
        """Add one report; ``pair`` is its device's agreed, only old and only new after it."""
        sums = self._sums.get(key)
        if sums is None:
            return
        for name, value in more.items():
            if value:
                sums[name] += value
        before = [
            total - more.get(name, 0)
            for total, name in zip(pair, ("agreed", "only_old", "only_new"), strict=True)
        ]
        for sign, (agreed, only_old, only_new) in ((-1, before), (1, pair)):
            old, grown = agreed + only_old, only_new - only_old
            terms = (old > 0, grown * grown, grown * old, old * old, old)
            for name, term in zip(_CLUSTERS, terms, strict=True):
                sums[name] += sign * term

    def figures(self, connection: Connection, key: Key) -> Figures:
        """Return a wave's figures; devices that ended are not counted here."""
        if key not in self._sums:
            if len(self._sums) >= self._most:
                self.clear()
            campaign, wave, round_ = key
            query = _SUMS.where(
                FIGURES.c.campaign == campaign, FIGURES.c.wave == wave, FIGURES.c.round == round_
            )
            row = connection.execute(query).one()._mapping  # noqa: SLF001
            self._sums[key] = {
                name: float(row[name])
                if name in _CLUSTERS or name == "observed_s"
                else int(row[name])
                for name in row
            }
        return _figures(self._sums[key])


def _figures(sums: Mapping[str, float]) -> Figures:
    histograms: dict[str, Any] = {
        name: tuple(sums[f"{name}_{bucket}"] for bucket in range(size))
        for name, size in HISTOGRAMS.items()
    }
    plain: dict[str, Any] = {name: sums[name] for name in _PLAIN}
    k, *rest = (sums[name] for name in _CLUSTERS)
    clusters = Clusters(int(k), *rest)
    return Figures(observed_s=sums["observed_s"], clusters=clusters, **plain, **histograms)
