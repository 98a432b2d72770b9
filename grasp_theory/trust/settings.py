"""What a planner should be given, each value with its reason: data for `GRASP(**...)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from grasp_theory.planners.grasp import GRASP
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.linearisation import Linearisation
from grasp_theory.trust.noise import Tube
from grasp_theory.trust.rates import Rates

USEFUL = 100.0
"""An error must shrink by this factor within the planner's iterations for plain gradient steps to be recommended."""
PERIOD_STEPS = 2.0
"""Typical steps that Adam may move a state by between two syncs."""
CROSSINGS = 2.0
"""How often Adam may cross half the range of an action in all iterations."""
SYNC_STEPS = 20
"""Gradient steps of a sync."""
SYNC_REACH = 0.5
"""How far they may move an action together, in half ranges."""
SPREAD = 0.3
"""Noise on the first actions in half ranges: around zero actions that change nothing, no gradient says what would."""
EXTREME = 1e6
"""How far the projection is asked, relative to the actions seen; a set that has not answered by then counts as all actions."""


@dataclass(frozen=True)
class Setting:
    """A recommended value and why.

    Arguments
        value: what the planner's field of this name should be.
        reason: in a sentence, with the theorem or the measurement behind it.
    """

    value: float | int | str
    reason: str


def iterations_to(rate: float, factor: float) -> float:
    """Return how many iterations at a rate r < 1 shrink an error by a factor; infinity for r >= 1."""
    return math.log(factor) / -math.log(rate) if 0.0 < rate < 1.0 else (math.inf if rate >= 1.0 else 1.0)


def choose_settings(
    problem: PlanningProblem, linear: Linearisation, goal_weight: float, rates: Rates, tube: Tube
) -> Mapping[str, Setting]:
    """Return arguments of `GRASP`: plain gradient steps where their rate is of use, and else Adam in the model's units."""
    default = GRASP()
    budget, period = default.iterations, default.sync_every or default.iterations
    size = action_range(problem, linear.actions)
    chosen: dict[str, Setting] = {}
    pair, worst = rates.step_sizes, float(rates.rate.max())
    needed = math.inf if pair is None else iterations_to(worst, USEFUL)
    if pair is not None and rates.exists and needed <= budget:
        chosen["optimizer"] = Setting(
            "sgd", f"r = {worst:.3g}: {needed:.0f} iterations to a hundredth of an error (U1, U7)"
        )
        chosen["state_lr"] = Setting(pair[0], f"η_s of the pair with the smallest r found, {worst:.3g} (U4)")
        chosen["action_lr"] = Setting(pair[1], "η_a of the same pair, in actions² per loss (U4)")
        chosen["state_noise"] = Setting(
            tube.live_sigma,
            f"a tube {tube.width:g} steps wide with live states (Theorem 7, Eq. (96); state chain)",
        )
    else:
        why = (
            "no plain step sizes have r < 1 at every horizon"
            if not rates.exists
            else f"plain gradient steps need {needed:.3g} iterations"
        )
        chosen["optimizer"] = Setting(
            "adam", f"{why}; Adam is not covered by Theorem 6, and is what was tuned"
        )
        state_lr = PERIOD_STEPS * tube.entry_step / period
        why = f"Adam moves an entry by about its rate: {PERIOD_STEPS:g} typical steps in {period} iterations"
        if state_lr == 0.0:
            state_lr, why = default.state_lr, "the planner's own: the typical step of these trajectories is 0"
        chosen["state_lr"] = Setting(state_lr, why)
        chosen["action_lr"] = Setting(
            CROSSINGS * size / budget,
            f"{CROSSINGS:g} times half the range of an action, {size:.3g}, in {budget} iterations",
        )
        chosen["initial_action_noise"] = Setting(
            SPREAD * size,
            f"{SPREAD:g} of half the range of an action: around actions that change nothing, no gradient says what would",
        )
        chosen["state_noise"] = Setting(
            tube.adam_sigma(state_lr), f"Adam's tube {tube.width:g} steps wide, σ² = 2ℓw − ℓ² (U18, β₁ = 0)"
        )
    chosen["goal_weight"] = Setting(
        goal_weight, "γ as the rates were computed with; larger is faster and greedier (U4, U6)"
    )
    chosen["sync_every"] = Setting(period, "without syncs the plan is the greedy one (U19)")
    chosen["sync_method"] = Setting(
        default.sync_method,
        "Eq. (15); for up to 16 state entries `GRASP.parallel` syncs in parallel over time",
    )
    chosen["sync_steps"] = Setting(
        SYNC_STEPS, "more and smaller steps of the actions than by default: plans stay nearer to the data"
    )
    chosen["sync_lr"] = Setting(
        SYNC_REACH * size / SYNC_STEPS,
        f"Adam on the rollout loss: {SYNC_STEPS} steps move an action by about {SYNC_REACH:g} of half its range at most",
    )
    return chosen


def action_range(problem: PlanningProblem, actions: Tensor) -> float:
    """Return the half range of an action's entries: of the action set, or of these actions where that is unbounded."""
    seen = float(actions.abs().max())
    if problem.allowed is None:
        return seen if seen > 0.0 else 1.0
    far = EXTREME * max(seen, 1.0)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(64, problem.action_dim, generator=generator).to(actions)
    projected = problem.project(torch.cat([far * directions, -far * directions])[:, None])
    low, high = projected.amin((0, 1)), projected.amax((0, 1))
    half = ((high - low) / 2.0).median()
    return float(half) if 0.0 < float(half) < far / 10.0 else (seen if seen > 0.0 else 1.0)
