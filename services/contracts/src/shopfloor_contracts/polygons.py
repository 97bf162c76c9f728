"""Geometry of drawn areas, corners as shares of the picture."""

from __future__ import annotations

Corner = tuple[float, float]


def crosses_itself(polygon: list[Corner]) -> bool:
    """Tell whether two edges of a closed polygon that are no neighbours meet."""
    count = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % count]) for i in range(count)]
    return any(
        _meet(*edges[i], *edges[j])
        for i in range(count)
        for j in range(i + 2, count)
        if (j + 1) % count != i
    )


def has_area(polygon: list[Corner]) -> bool:
    """Tell whether any three corners span more than a ten-thousandth of the picture.

    A figure eight has area though that of its halves cancels out.
    """
    first = polygon[0]
    rest = [(x - first[0], y - first[1]) for x, y in polygon[1:]]
    return any(abs(a[0] * b[1] - b[0] * a[1]) >= 2e-4 for a in rest for b in rest)


def _meet(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    one, two = _turn(a, b, c), _turn(a, b, d)
    three, four = _turn(c, d, a), _turn(c, d, b)
    if one != two and three != four:
        return True
    on = ((one, a, b, c), (two, a, b, d), (three, c, d, a), (four, c, d, b))
    return any(turn == 0 and _between(start, end, point) for turn, start, end, point in on)


def _turn(a: Corner, b: Corner, c: Corner) -> int:
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    # Corners are shares of a picture: below a millionth they lie on one line.
    return 0 if abs(cross) < 1e-9 else 1 if cross > 0 else -1


def _between(a: Corner, b: Corner, point: Corner) -> bool:
    return all(min(a[k], b[k]) <= point[k] <= max(a[k], b[k]) for k in (0, 1))
