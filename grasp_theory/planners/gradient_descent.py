"""Gradient descent on the actions through the model's rollout, with the noise and the losses of Table 5."""

from __future__ import annotations

from dataclasses import dataclass

from grasp_theory.planners.loop.evaluations import Objective, rollout_gradient
from grasp_theory.planners.loop.optimizers import OptimizerName, make_optimizer
from grasp_theory.planners.loop.planner import Planner
from grasp_theory.planners.loop.rows import GRADIENT, Rows
from grasp_theory.planners.loop.search import Incumbents, Search
from grasp_theory.planners.loop.settings import (
    check_choices,
    check_flags,
    check_numbers,
    require_distinct_restarts,
)
from linear_systems.checked import checked


@checked
@dataclass(frozen=True, kw_only=True)
class GradientDescent(Planner):
    """a ← a − η ∇_a ‖s_T(a, s_0) − g‖², by backpropagation through the rollout.  Source: Eq. (3), (106)-(107).

    Every iteration rolls its plan out, so that the best one is known for free; with state noise the rollouts
    are not the model's own, and plans are judged every `check_every` iterations and at the end only.

    The defaults are tuned by `experiments/scripts/tune_planner_defaults.py` on actions in [−1, 1].

    Arguments
        lr: η.  With Adam in units of the actions, 0.01 to 0.5 of their range; with SGD in actions² per
            loss, below 2 / (largest eigenvalue of the loss's Hessian).
        optimizer: "adam" or "sgd".
        objective: "last" for ‖s_T − g‖², "all" for Σ_t ‖s_t − g‖² (Table 5's two modes), with the problem's own
            distance to the goal and stage cost where it has them.
        action_noise: standard deviation of the Gaussian around the actions from which each iteration's
            rollout is sampled (σ_a; Table 5 speaks of variance).
        state_noise: standard deviation of the noise added to every state of the rollout (σ_s).
        initial_action_noise: standard deviation added to the initial actions, 0 to 1 of their range.
        checkpoint: recompute the model in the backward pass, to save memory.

    Raises
        ParameterError: a value outside its domain.
    """

    lr: float = 0.3
    optimizer: OptimizerName = "adam"
    objective: Objective = "last"
    action_noise: float = 0.1
    state_noise: float = 0.0
    initial_action_noise: float = 0.0
    checkpoint: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(
            self, positive=("lr",), not_negative=("action_noise", "state_noise", "initial_action_noise")
        )
        check_choices(self, optimizer=("adam", "sgd"), objective=("last", "all"))
        check_flags(self, "checkpoint")
        require_distinct_restarts(self, self.action_noise + self.state_noise + self.initial_action_noise)

    @classmethod
    def dino_wm(cls) -> GradientDescent:
        """Return the settings of DINO-WM's gradient planner: SGD with lr 1, 1000 steps, action noise 0.003.

        Its loss is the mean of squares over the state and ours the sum, so that its lr is ours times the
        size of a state: multiply `lr` by 1/size to get the same steps.
        """
        return cls(iterations=1000, lr=1.0, optimizer="sgd", action_noise=0.003)

    def _search(self, rows: Rows) -> Search:
        return _GradientSearch(self, rows)


class _GradientSearch(Search):
    def __init__(self, options: GradientDescent, rows: Rows) -> None:
        super().__init__(rows, rows.actions.clone())
        self.options = options
        self.optimizer = make_optimizer(options.optimizer, options.lr)
        self.action_noise = rows.noise(*self.actions.shape[1:])
        self.state_noise = rows.noise(self.actions.shape[1], *rows.goal.shape[1:])
        if options.initial_action_noise:
            start = self.actions.add_(self.action_noise.draw(), alpha=options.initial_action_noise)
            self.actions = rows.problem.project(start)

    def cost(self, iteration: int) -> int:
        """Return the gradient of one rollout."""
        return (GRADIENT + self.options.checkpoint) * self.actions.shape[1]

    def step(self, iteration: int, incumbents: Incumbents) -> None:
        options, problem = self.options, self.rows.problem
        actions, noise = self.actions, None
        if options.action_noise:
            actions = problem.project(actions.add(self.action_noise.draw(), alpha=options.action_noise))
        if options.state_noise:
            noise = self.state_noise.draw() * options.state_noise
        gradient, states = rollout_gradient(
            self.rows, actions, options.objective, noise=noise, checkpoint=options.checkpoint
        )
        if noise is None:
            incumbents.consider(actions, states)
        self.actions = self.descend(self.optimizer, self.actions.clone(), gradient)
