"""One-step errors of a shipped model from its card, in units of a latent's entry."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.world_models import WorldModel

MEAN_LENGTH = math.sqrt(math.pi) / 2.0
"""Mean length of an isotropic Gaussian in the plane over its root mean square."""
PLANAR = ("position", "block")
"""Quantities of which a card has the error in the plane, and which say whether a goal is reached."""


def card_sigma(dynamics: Any, states: Float[Tensor, "P T *S"]) -> tuple[float, str] | None:
    """Return σ_env and where it is from; None unless the dynamics is a `WorldModel` with an evaluated card.

    The card has mean errors e_1 of a probed position after one model step, and e_0 of the probe itself on encoded
    pictures.  An isotropic error σ of the latent moves the probed position by σ² tr(PPᵀ) in the mean square, P the
    probe's derivative at these states; so σ² = (e_1² − e_0²)/(π/4 · tr(PPᵀ)).  Nothing is said of errors that the
    probe does not see.

    Arguments
        dynamics: the model.
        states: (P, T, *S), where the probe is differentiated.
    """
    if not isinstance(dynamics, WorldModel) or dynamics.card is None:
        return None
    curves = dynamics.card.evaluation.get("curves", {}).get("all", {})
    quantity = next((name for name in PLANAR if name in curves), None)
    if quantity is None:
        return None
    before, after = curves[quantity]["model"]["mean"][:2]
    named = [i for i, name in enumerate(dynamics.card.probe_names) if name.startswith(quantity)] or [0, 1]
    seen = states.flatten(0, 1).detach().requires_grad_()
    with torch.enable_grad():
        probed = dynamics.probe(seen)[:, named].sum(0)
        slopes = [torch.autograd.grad(each, seen, retain_graph=True)[0].flatten(1) for each in probed]
    gain = float(torch.stack(slopes).square().sum((0, 2)).double().mean())
    error = math.sqrt(max(0.0, after**2 - before**2)) / MEAN_LENGTH
    return error / math.sqrt(gain), f"card: {quantity} {after:.3g}, the probe's {before:.3g}"
