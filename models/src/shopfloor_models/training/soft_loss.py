"""Learning from a teacher's score: the objectness that a label asks for is as high as its score.

YOLOX's loss (Ge et al., 2021) asks for objectness 1 wherever a label is matched. A teacher that
is half sure would be copied as if it were certain (Hinton et al., Distilling the knowledge in a
neural network, 2015). Boxes and classes are learnt as before.
"""

from __future__ import annotations

from typing import Any

SCORE_COLUMN = 5
"""Targets are ``(B, N, 6)``: class, cx, cy, w, h in pixels, score in [0, 1]."""


def soft_head(base: Any) -> Any:
    """Return a subclass of YOLOX's head class that takes targets with a score.

    With every score 1 its losses are those of ``base``.
    """

    class SoftHead(base):  # type: ignore[misc]
        def get_losses(
            self,
            imgs: Any,
            x_shifts: Any,
            y_shifts: Any,
            expanded_strides: Any,
            labels: Any,
            outputs: Any,
            *rest: Any,
            **named: Any,
        ) -> Any:
            self.matched: list[tuple[int, Any, Any]] = []
            hard = labels[:, :, :SCORE_COLUMN]
            shifts = (x_shifts, y_shifts, expanded_strides)
            total, box, objectness, *others = super().get_losses(
                imgs, *shifts, hard, outputs, *rest, **named
            )
            excess = surplus(outputs[:, :, 4], labels[:, :, SCORE_COLUMN], self.matched)
            # Tensors of a step must not be kept: the network is copied between steps.
            self.matched = []
            return (total + excess, box, objectness + excess, *others)

        def get_assignments(self, batch_idx: int, *rest: Any) -> Any:
            found = super().get_assignments(batch_idx, *rest)
            _, foreground, _, labels, _ = found
            self.matched.append((batch_idx, foreground, labels))
            return found

    return SoftHead


def surplus(objectness: Any, scores: Any, matched: list[tuple[int, Any, Any]]) -> Any:
    """Return what turns YOLOX's objectness loss for targets of 1 into that for the scores.

    Binary cross-entropy of a logit x with target t is softplus(x) - x t, so the difference
    between the targets 1 and s is x (1 - s).

    Args:
        objectness: logits ``(B, A)``.
        scores: ``(B, N)``, of each label.
        matched: per picture with labels its number, which of A are matched, and with which label.
    """
    count = sum(int(foreground.sum()) for _, foreground, _ in matched)
    total = objectness.new_zeros(())
    for picture, foreground, labels in matched:
        missing = 1 - scores[picture][labels]
        total = total + (objectness[picture][foreground] * missing).sum()
    # YOLOX divides its losses by the same count.
    return total / max(count, 1)
