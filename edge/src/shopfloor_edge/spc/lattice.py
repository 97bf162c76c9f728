"""Average run lengths, exactly: a chart whose state is a whole number is a Markov chain.

Source: Brook, Evans: An approach to the probability distribution of cusum run length
(Biometrika 59, 1972). It approximates continuous charts; the charts here keep whole numbers, so
nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, identity
from scipy.sparse.linalg import spsolve

States = NDArray[np.int64]
"""``(N,)`` states, each a whole number from 0."""
MAX_STATES = 200_000
"""A chart with more wants more memory than a device has to spare while it is designed."""


def run_length(
    states: int, step: Callable[[States, int], States], moves: Mapping[int, float]
) -> NDArray[np.float64]:
    """Return the mean number of steps until the chart leaves its states, from each of them.

    Args:
        states: the chart is silent in ``0 … states - 1``; beyond, it signals.
        step: ``(all states, what was seen) -> the states after it``; any value of ``states`` or
            more is a signal.
        moves: what can be seen, with its probability; they add up to 1, and some sequence of
            them leads to a signal.

    Returns:
        ``(states,)`` steps, the signalling one included; ``inf`` where floats cannot tell the
        chance of a signal from none.

    Raises:
        ValueError: more than ``MAX_STATES`` states.
    """
    if states > MAX_STATES:
        raise ValueError(f"the chart has {states} states, at most {MAX_STATES} can be solved")
    now = np.arange(states)
    rows, columns, shares = [], [], []
    for seen, probability in moves.items():
        after = step(now, seen)
        silent = after < states
        rows.append(now[silent])
        columns.append(after[silent])
        shares.append(np.full(int(silent.sum()), probability))
    chain = coo_array(
        (np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))),
        shape=(states, states),
    )
    system = (identity(states, format="csc") - chain.tocsc()).tocsc()
    length: NDArray[np.float64] = np.atleast_1d(spsolve(system, np.ones(states)))
    # Where a signal is rarer than floats can tell from never, the solver answers below 1.
    return np.where(np.isfinite(length) & (length >= 1.0), length, np.inf)
