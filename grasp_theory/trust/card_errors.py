"""One-step errors of a shipped model from its card, in its latents."""

from __future__ import annotations

from typing import Any

import torch

from grasp_theory.trust.noise import ErrorLaw
from grasp_theory.world_models import WorldModel


def card_errors(dynamics: Any) -> tuple[ErrorLaw, str] | None:
    """Return mean and covariance of s' − F(s, a) as the card has them, and where they were measured.

    Along plans, where planners go, if the card has those; else on held-out behaviour.  None unless the dynamics is a
    `WorldModel` whose card has either.

    Arguments
        dynamics: the model.
    """
    if not isinstance(dynamics, WorldModel) or dynamics.card is None:
        return None
    evaluation = dynamics.card.evaluation
    for measured, where in (
        (evaluation.get("exploitability", {}), "along plans"),
        (evaluation, "on behaviour"),
    ):
        found = measured.get("one_step", {})
        if found.get("bias") is not None:  # a card of large latents leaves them out
            bias, covariance = (
                torch.tensor(found[name], dtype=torch.float64) for name in ("bias", "covariance")
            )
            return ErrorLaw(bias, covariance), f"card, {found['steps']} steps {where}"
    return None
