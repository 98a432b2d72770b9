"""What `diagnose` measured, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.linearisation import Linearisation
from grasp_theory.trust.noise import Drift, Tube
from grasp_theory.trust.rates import Rates
from grasp_theory.trust.reach import Reach
from grasp_theory.trust.settings import Setting
from grasp_theory.trust.smoothness import Smoothness


@dataclass(frozen=True, eq=False, repr=False)
class Measured:
    """What the theory says of planning with a model along P trajectories.

    Arguments
        problem: what was diagnosed.
        linear: the model along the trajectories.
        planned: whether the trajectories were planned here.
        goal_weight: β (γ of the planner) with which rates were computed.
        rank_tolerance: part of the strongest direction of actions below which one counts as idle.
        smoothness: L_S, L_L, condition numbers, gradients through the rollout.
        rates: ρ(K), r, the best step sizes, certificates.
        tube: noise on virtual states.
        drift: errors that a rollout accumulates; None where no errors are known.
        reach: sensitivity to inputs, what actions reach.
        settings: what a planner should be given, with reasons: `{name: setting.value ...}` are arguments of `GRASP`.
    """

    problem: PlanningProblem
    linear: Linearisation
    planned: bool
    goal_weight: float
    rank_tolerance: float
    smoothness: Smoothness
    rates: Rates
    tube: Tube
    drift: Drift | None
    reach: Reach
    settings: Mapping[str, Setting]
