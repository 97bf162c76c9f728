import numpy as np
import pytest

from shopfloor_edge.tracking.kalman import BOX, COVARIANCE, ROWS, VELOCITY, ConstantVelocity, Noise

NOISE = Noise(measured=0.04, acceleration=0.7, velocity_at_first=1.2)


class PlainFilter:
    """One track with full matrices: a filter of (edge, velocity) for each of the four edges."""

    def __init__(self, box):
        self.edges = [
            (np.array([edge, 0.0]), np.diag([NOISE.measured**2, NOISE.velocity_at_first**2]))
            for edge in box
        ]

    def predict(self, step_s):
        move = np.array([[1.0, step_s], [0.0, 1.0]])
        grow = NOISE.acceleration**2 * np.array(
            [[step_s**3 / 3, step_s**2 / 2], [step_s**2 / 2, step_s]]
        )
        self.edges = [(move @ m, move @ c @ move.T + grow) for m, c in self.edges]

    def correct(self, box):
        look = np.array([[1.0, 0.0]])
        corrected = []
        for (mean, cov), edge in zip(self.edges, box, strict=True):
            innovation = look @ cov @ look.T + NOISE.measured**2
            gain = cov @ look.T @ np.linalg.inv(innovation)
            moved = mean + gain @ (np.array([edge]) - look @ mean)
            corrected.append((moved, (np.eye(2) - gain @ look) @ cov))
        # The centre's velocity is the mean of its two edges' velocities.
        for axis in (0, 1):
            shared = (corrected[axis][0][1] + corrected[axis + 2][0][1]) / 2
            corrected[axis][0][1] = corrected[axis + 2][0][1] = shared
        self.edges = corrected


def test_the_filter_agrees_with_one_of_full_matrices():
    rng = np.random.default_rng(3)
    boxes = rng.uniform(0, 400, (5, 4)) + np.array([0, 0, 50, 100])
    motion, states = ConstantVelocity(NOISE), np.zeros((ROWS, 5))
    motion.begin(states, boxes.T)
    plain = [PlainFilter(box) for box in boxes]

    for step_s in (0.1, 0.1, 0.03, 1.4, 0.1):
        boxes = boxes + rng.normal(0, 8, boxes.shape)
        motion.predict(states, step_s)
        motion.correct(states, boxes.T)
        for one, box in zip(plain, boxes, strict=True):
            one.predict(step_s)
            one.correct(box)

    for column, one in zip(states.T, plain, strict=True):
        means, covariances = zip(*one.edges, strict=True)
        np.testing.assert_allclose(column[BOX], [mean[0] for mean in means], rtol=1e-9)
        np.testing.assert_allclose(column[VELOCITY], [means[0][1], means[1][1]], rtol=1e-7)
        flat = [covariances[0][0, 0], covariances[0][0, 1], covariances[0][1, 1]]
        np.testing.assert_allclose(column[COVARIANCE], flat, rtol=1e-9)


@pytest.mark.parametrize("parts", [2, 7])
def test_one_long_step_is_as_many_short_ones(parts):
    motion = ConstantVelocity(NOISE)
    whole, pieces = np.zeros((ROWS, 1)), np.zeros((ROWS, 1))
    for states in (whole, pieces):
        motion.begin(states, np.array([[10.0], [20.0], [30.0], [80.0]]))
        states[VELOCITY] = [[12.0], [-3.0]]

    motion.predict(whole, 1.4)
    for _ in range(parts):
        motion.predict(pieces, 1.4 / parts)

    np.testing.assert_allclose(whole, pieces, rtol=1e-9)


def test_a_prediction_moves_a_box_and_keeps_its_size():
    motion, states = ConstantVelocity(NOISE), np.zeros((ROWS, 1))
    motion.begin(states, np.array([[10.0], [20.0], [30.0], [80.0]]))
    states[VELOCITY] = [[5.0], [-2.0]]

    motion.predict(states, 2.0)

    np.testing.assert_allclose(states[BOX, 0], [20.0, 16.0, 40.0, 76.0])
