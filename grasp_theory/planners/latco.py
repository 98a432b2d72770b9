"""LatCo: collocation, states and actions optimised together under the dynamics as a constraint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from grasp_theory.objectives import step_defects
from grasp_theory.planners.loop.evaluations import INDIFFERENT, gradients
from grasp_theory.planners.loop.lifted import LiftedPlanner, LiftedSearch
from grasp_theory.planners.loop.optimizers import OptimizerName
from grasp_theory.planners.loop.rows import GRADIENT, Rows
from grasp_theory.planners.loop.search import Incumbents, Search
from grasp_theory.planners.loop.settings import check_choices, check_numbers, require_distinct_restarts
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer

MULTIPLIER_RANGE = (1e-6, 1e6)
"""Limits of the multipliers, so that a constraint that cannot be met does not overflow them."""


@checked
@dataclass(frozen=True, kw_only=True)
class LatCo(LiftedPlanner):
    """Collocation with c_t = ‖F(s_t, a_t) − s_{t+1}‖², the state gradient kept.  Source: Eq. (4).

    "penalty", the baseline of the paper: minimise Σ_t c_t with s_T = g.
    "multipliers", as in the original: minimise w ‖s_T − g‖² + Σ_t λ_t (c_t − ε) over states (s_T free) and
    actions, while every `multiplier_every` iterations λ_t ← λ_t ((c_t + ε/100) / ε)^ρ: a constraint that is
    violated (c_t > ε) becomes dearer, one that is met cheaper.  The original takes Gauss-Newton steps where
    we take Adam's, and maximises a learned reward where we approach a goal.
    The rollout differs from the virtual states as long as the defect is not zero; what is judged and
    returned is the rollout, seen every `check_every` iterations and at the end.  The defaults are tuned by
    `experiments/scripts/tune_planner_defaults.py` on states of unit scale; `paper` is the paper's baseline.
    Source: Rybkin et al., Model-based reinforcement learning via latent-space collocation (2021).

    Arguments
        constraint: "penalty" or "multipliers".
        state_lr: step size of the states; with Adam in units of a state's entry.
        action_lr: step size of the actions; with Adam in units of an action's entry.
        optimizer: "adam" or "sgd".
        goal_weight: w, with multipliers only.
        initial_multiplier: λ_t at the start.
        multiplier_rate: ρ in (0, 1].
        multiplier_every: iterations between the steps of the multipliers.
        defect_tolerance: ε, the square of the defect of a step that counts as feasible, in states².
        initial_state_noise: standard deviation around the linear interpolation from s_0 to g.
        initial_action_noise: standard deviation added to the initial actions.

    Raises
        ParameterError: a value outside its domain.
    """

    iterations: int = 500
    check_every: int | None = 25
    constraint: Literal["penalty", "multipliers"] = "multipliers"
    state_lr: float = 0.05
    action_lr: float = 0.1
    optimizer: OptimizerName = "adam"
    goal_weight: float = 1.0
    initial_multiplier: float = 1.0
    multiplier_rate: float = 0.1
    multiplier_every: int = 20
    defect_tolerance: float = 1e-4
    initial_state_noise: float = 0.2
    initial_action_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self, constraint=("penalty", "multipliers"), optimizer=("adam", "sgd"))
        check_numbers(
            self,
            positive=("state_lr", "action_lr", "initial_multiplier", "multiplier_rate", "defect_tolerance"),
            not_negative=("goal_weight", "initial_state_noise", "initial_action_noise"),
        )
        positive_integer("multiplier_every", self.multiplier_every)
        require_distinct_restarts(self, self.initial_state_noise + self.initial_action_noise)

    @classmethod
    def paper(cls) -> LatCo:
        """Return the paper's baseline: the penalty alone, s_T = g, straight initial states.

        The paper sweeps the step sizes and gives none; those here are ours.
        """
        return cls(constraint="penalty", state_lr=0.05, action_lr=0.05, initial_state_noise=0.0)

    def _search(self, rows: Rows) -> Search:
        return _LatCoSearch(self, rows)


class _LatCoSearch(LiftedSearch):
    def __init__(self, options: LatCo, rows: Rows) -> None:
        super().__init__(options, rows, final_state_free=options.constraint == "multipliers")
        self.options = options
        self.multipliers = torch.ones_like(self.actions[:, :, 0])
        if options.constraint == "multipliers":
            self.multipliers *= options.initial_multiplier

    def cost(self, iteration: int) -> int:
        return GRADIENT * self.actions.shape[1]

    def step(self, iteration: int, incumbents: Incumbents) -> None:
        options, problem, goal = self.options, self.rows.problem, self.rows.goal
        states = self.states.detach().requires_grad_()
        actions = self.actions.detach().requires_grad_()
        with torch.enable_grad():
            prediction = self.predict(states[:, :-1], actions)
            defects = step_defects(prediction, states, 1)
            loss = (self.multipliers * defects).sum()
            if options.constraint == "multipliers":
                final = problem.goal_losses(states[:, -1:], goal.unsqueeze(1))
                if not final.requires_grad:
                    raise ParameterError("goal_distance", *INDIFFERENT)
                loss = loss + options.goal_weight * final.sum()
            if problem.stage_cost is not None:
                loss = loss + problem.stage_costs(states[:, 1:], actions).sum()
        along_actions, along_states = gradients(loss, (actions, states))
        self.state_optimizer.step(self.states[:, self.free], along_states[:, self.free])
        self.actions = self.descend(self.action_optimizer, self.actions, along_actions)
        if options.constraint == "multipliers" and (iteration + 1) % options.multiplier_every == 0:
            tolerance = options.defect_tolerance
            ratio = (defects.detach() + 0.01 * tolerance) / tolerance
            self.multipliers = (self.multipliers * ratio**options.multiplier_rate).clamp(*MULTIPLIER_RANGE)
