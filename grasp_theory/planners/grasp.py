"""GRASP: parallel stochastic gradient-based planning, Algorithm 1 and Eq. (4)-(15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from grasp_theory.dynamics import is_compiled
from grasp_theory.objectives import lifted_pulls
from grasp_theory.planners.cem import refine_around
from grasp_theory.planners.loop.evaluations import INDIFFERENT, gradients, rollout_gradient
from grasp_theory.planners.loop.greedy import GREEDY, greedy_rollout
from grasp_theory.planners.loop.levenberg_marquardt import LARGEST_STATE, LevenbergMarquardt, sync_passes
from grasp_theory.planners.loop.lifted import LiftedPlanner, LiftedSearch, interpolation
from grasp_theory.planners.loop.optimizers import OptimizerName, make_optimizer
from grasp_theory.planners.loop.rows import GRADIENT, Rows
from grasp_theory.planners.loop.search import Incumbents, Search
from grasp_theory.planners.loop.settings import (
    check_choices,
    check_flags,
    check_fractions,
    check_numbers,
    require_distinct_restarts,
)
from grasp_theory.problem import PlanningProblem
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer


@checked
@dataclass(frozen=True, kw_only=True)
class GRASP(LiftedPlanner):
    """GRASP.  Source: Algorithm 1; the joint step is Eq. (11)-(12) on the loss (10), the sync Eq. (13)-(15).

    One iteration evaluates the model once, on all rows and times side by side, and backpropagates to the
    actions (with `stop_state_gradient=False` to the states too):

        s_t ← s_t − η_s ∇_{s_t} L + σ_k ξ_t,     a_t ← P(a_t − η_a ∇_{a_t} L),
        L = Σ_t ‖F(s̄_t, a_t) − s_{t+1}‖² + γ_k Σ_t ‖F(s̄_t, a_t) − g‖²,

    P the projection onto the action set.  Where the problem has its own distance to the goal or a stage cost, they are
    taken on the one-step predictions too: d(F(s̄_t, a_t), g) in place of the last square, and Σ_t c(F(s̄_t, a_t), a_t)
    beside it, with weight 1.

    Every K_sync iterations the rollout of the actions replaces s_1..s_{T−1} (s_T too where it is free), and
    the actions take J_sync gradient steps on ‖s_T(a, s_0) − g‖²; for J_sync > 1 the states are those of the
    last of these rollouts.  With `sync_method="shooting"` the sync is parallel in time instead, as the joint steps
    are: states and actions take `shooting_steps` steps of `LevenbergMarquardt` towards a rollout that ends at g, from
    where they are, without a loop over time.  `parallel` is the default with that sync.

    Plans are judged, and `reached` is asked, on the rollouts of a sync (of one parallel in time, where its states have
    become a rollout to a tolerance), on those made every `check_every` iterations and on the last; the joint steps
    themselves roll nothing out.  What is returned is judged by the serial rollout.
    A row is noticed to have diverged at these moments too.

    The default is ours, tuned by `experiments/scripts/tune_planner_defaults.py` on states of unit scale and actions in
    [−1, 1]: scale the step sizes and the noise with them, or let `auto` do it.  The presets are `paper`, `released` and
    `parallel`.

    Arguments
        state_lr: η_s.  With SGD and summed losses dimensionless and in (0, 1), as the tube needs (Theorem 7);
            with Adam in units of a state's entry.
        action_lr: η_a.  With SGD in actions² per loss, below 1 / ((1 + γ) ‖∂F/∂a‖²) (Theorem 6's 2/L); with
            Adam in units of an action's entry.  0 freezes the actions between syncs (Theorem 7).
        sync_lr: η_sync, like the lr of `GradientDescent`.
        goal_weight: γ >= 0, dimensionless; 0.01 to 1 is sane, 0 leaves the goal to s_T and the sync.
        state_noise: σ >= 0 in units of a state's entry, 0 to 1 times the distance between neighbouring states;
            the tube's width is σ / (2 sqrt(η_s (1 − η_s))) in each entry (Eq. (96), SGD).
        noise_decay: in (0, 1]; σ is multiplied by it in every iteration (the annealing that Corollary 1
            motivates).  1: none.
        cycle_decay: in (0, 1]; within a sync period σ and γ are multiplied by it in every iteration and start
            afresh after the sync.  1: none.  Without syncs there is no period and no such decay.
        sync_every: K_sync; None: never.
        sync_steps: J_sync, gradient steps (or CEM iterations) of a sync.
        sync_at_start: whether the sync falls on k mod K_sync = 0, k = 0 included, as Algorithm 1 has it, or at
            the end of every K_sync iterations.
        sync_states: whether the sync replaces the virtual states by the rollout (Algorithm 1, line 7), or
            changes the actions only (the text below Eq. (14)).
        sync_method: "gradient", Eq. (15); "shooting", Levenberg–Marquardt steps, in whose place gradient steps are taken
            where states have more than 16 entries, the model is compiled, or the problem has costs of its own; or
            "cem": CEM around the actions, whose standard deviation at time t is `sync_spread` times the gap between
            virtual and rolled-out s_{t+1}, relative to the largest gap.
        shooting_steps: Levenberg–Marquardt steps of a sync; each counts 1 + 2d + 4 evaluations, d entries of a state.
        sync_samples: samples of an iteration of the CEM sync; a tenth of them are elites.
        sync_spread: largest standard deviation of the CEM sync, in units of the actions.
        stop_state_gradient: whether the model's state inputs are stop-gradient copies (Eq. (8)-(10)).
        fix_final_state: whether s_T is fixed to g (Algorithm 1) or free (Theorem 6); free, it is noised too.
        optimizer: of the joint step: "sgd" is Eq. (11)-(12), "adam" the released implementation's.
        sync_optimizer: of the gradient sync, started afresh in every sync; Adam's moments of the joint step
            are forgotten after a sync.
        reduction: "sum" over time and state entries as in the paper, or "mean" over the state's entries and sum over
            time as in the released implementation.
        start: of states and actions: "line", the linear interpolation from s_0 to g and the initial actions (Section
            4.1), or "greedy", the actions that come nearest to the goal in each single step of the model, and their
            rollout (`greedy_rollout`).  Good where the distance to the goal can be followed around what is in the way.
        greedy_spread: standard deviation of the actions that a greedy start samples, in units of an action's entry.
        initial_state_noise: standard deviation sqrt(ε) of the noise around the start's states (Section
            4.1), in units of a state's entry.
        initial_action_noise: standard deviation added to the initial actions; the paper has 0.
        checkpoint: recompute the model in the backward pass of the gradient sync, to save memory.

    Raises
        ParameterError: a value outside its domain.
    """

    iterations: int = 300
    check_every: int | None = 25
    state_lr: float = 0.02
    action_lr: float = 0.01
    sync_lr: float = 0.2
    goal_weight: float = 0.1
    state_noise: float = 0.2
    noise_decay: float = 1.0
    cycle_decay: float = 0.9
    sync_every: int | None = 25
    sync_steps: int = 10
    sync_at_start: bool = False
    sync_states: bool = True
    sync_method: Literal["gradient", "shooting", "cem"] = "gradient"
    shooting_steps: int = 3
    sync_samples: int = 64
    sync_spread: float = 0.5
    stop_state_gradient: bool = True
    fix_final_state: bool = True
    optimizer: OptimizerName = "adam"
    sync_optimizer: OptimizerName = "adam"
    reduction: Literal["sum", "mean"] = "sum"
    start: Literal["line", "greedy"] = "line"
    greedy_spread: float = 1.0
    initial_state_noise: float = 0.0
    initial_action_noise: float = 0.0
    checkpoint: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(
            self,
            positive=("state_lr", "sync_lr", "sync_spread", "greedy_spread"),
            not_negative=(
                "action_lr",
                "goal_weight",
                "state_noise",
                "initial_state_noise",
                "initial_action_noise",
            ),
        )
        check_fractions(self, "noise_decay", "cycle_decay")
        check_flags(
            self, "sync_at_start", "sync_states", "stop_state_gradient", "fix_final_state", "checkpoint"
        )
        check_choices(
            self, sync_method=("gradient", "shooting", "cem"), optimizer=("sgd", "adam"), sync_optimizer=("sgd", "adam"),
            reduction=("sum", "mean"), start=("line", "greedy"),
        )  # fmt: skip
        if self.sync_every is not None:
            positive_integer("sync_every", self.sync_every)
        positive_integer("sync_steps", self.sync_steps)
        positive_integer("shooting_steps", self.shooting_steps)
        positive_integer("sync_samples", self.sync_samples, minimum=20)
        require_distinct_restarts(
            self, self.state_noise + self.initial_state_noise + self.initial_action_noise
        )

    @classmethod
    def paper(cls) -> GRASP:
        """Return Algorithm 1 as printed: plain gradient steps, summed losses, s_T = g, sync at k mod K_sync = 0.

        From the paper: the structure, with a rollout that replaces the states and one gradient step a sync (Algorithm
        1), noised straight initial states and zero actions (Section 4.1), constant γ and σ, σ = 0.5 and K_sync = 25
        (Table 2).  Ours: γ, η_s, η_a, η_sync, ε and the number of iterations, which the paper does not give and sweeps
        in each environment; and the best plan that was seen is returned, where Algorithm 1 returns the last.  A caption
        has the sync every 100 steps, and the text has it change the actions only: Table 2 and the algorithm are followed.
        """
        return cls(
            iterations=500, state_lr=0.25, action_lr=0.1, sync_lr=0.1, goal_weight=0.1, state_noise=0.5,
            sync_every=25, sync_steps=1, sync_at_start=True, optimizer="sgd", sync_optimizer="sgd",
            initial_state_noise=0.1, cycle_decay=1.0,
        )  # fmt: skip

    @classmethod
    def released(cls) -> GRASP:
        """Return what the authors released for another world model.

        Adam on both groups (states 0.1, actions 0.01), γ = 1, the loss averaged over the state and summed over time,
        constant noise 0.01 after each step, s_T = g, states from the linear interpolation, every 50 iterations 10 Adam
        steps (lr 0.05) on the rollout loss, which change the actions and leave the virtual states, 200 iterations, and
        the last iterate returned.  They use up to 750 iterations, and action steps and noise down to 0.005.
        """
        return cls(
            iterations=200, check_every=None, returned="last", state_lr=0.1, action_lr=0.01, sync_lr=0.05, goal_weight=1.0,
            state_noise=0.01, cycle_decay=1.0, sync_every=50, sync_steps=10, sync_states=False, reduction="mean",
        )  # fmt: skip

    @classmethod
    def parallel(cls) -> GRASP:
        """Return the default with a sync that is parallel in time, for as many evaluations.

        It is for machines on which an operation's latency is what planning costs: a plan's operations grow by 1.35 from
        T = 10 to 80, the default's by 5.3.  Where the model is true it reaches further, and on models that are wrong
        somewhere it finds that sooner: more of its plans are false (docs/roofline.md).
        """
        return cls(iterations=230, check_every=100, sync_method="shooting")

    automatic: ClassVar[Callable[[PlanningProblem], GRASP]]
    """What `auto` asks: `grasp_theory.trust.automatic`, which is above the planners and sets itself here."""

    @classmethod
    def auto(cls, problem: PlanningProblem) -> GRASP:
        """Return GRASP with settings for these problems that come from the model alone: no trial, no outcome.

        Step sizes, noise, γ and sync are those of `diagnose(problem).settings`, in the units of its states and actions.
        The start is greedy where greedy plans reach the goal region, in the model, in at least two thirds of the problems;
        then the first sync is at the start, and first actions have no noise, which spoils a greedy plan.  Elsewhere step sizes
        ten times as large (of the sync alone, where plain steps have a rate) are taken if, in the model and within 500 T
        evaluations, they reach more goals beyond chance (one-sided sign test, level 0.05).  What this is worth is measured in
        docs/results.md.

        Arguments
            problem: B problems; the first 8 are linearised, and up to 64 are asked for the greedy start and the step sizes,
                which takes up to 1,000 T evaluations of each.  Without `reached` the start is on the line and steps are small.

        Raises
            ShapeError, DTypeError, NonFiniteError, ParameterError: as `diagnose`.
        """
        return cls.automatic(problem)

    def _search(self, rows: Rows) -> Search:
        return _GraspSearch(self, rows)


class _GraspSearch(LiftedSearch):
    def __init__(self, options: GRASP, rows: Rows) -> None:
        super().__init__(options, rows, final_state_free=not options.fix_final_state)
        self.options = options
        self.samples = rows.noise(options.sync_samples, *self.actions.shape[1:])
        self.share = 1.0 / rows.goal[0].numel() if options.reduction == "mean" else 1.0
        """What the losses are multiplied by."""
        self.since_sync = 0
        problem, size = rows.problem, rows.goal[0].numel()
        self.shooting = options.sync_method == "shooting" and size <= LARGEST_STATE
        """Whether syncs are parallel in time."""
        if (
            problem.goal_distance is not None
            or problem.stage_cost is not None
            or is_compiled(problem.dynamics)
        ):
            self.shooting = False
        self.approximate = self.shooting and options.sync_every is not None

    def cost(self, iteration: int) -> int:
        """Return the gradient of the joint step and, where a sync is due, its own and the looks at it."""
        options = self.options
        passes = GRADIENT
        if iteration == 0 and options.start == "greedy":
            passes += GREEDY + 1
        if self._sync_is_due(iteration):
            if self.shooting:
                passes += sync_passes(self.rows.goal[0].numel(), options.shooting_steps)
            elif options.sync_method == "cem":
                passes += options.sync_steps * (options.sync_samples + 1) + 2
            else:
                passes += options.sync_steps * (GRADIENT + options.checkpoint) + 1
        return passes * self.actions.shape[1]

    def step(self, iteration: int, incumbents: Incumbents) -> None:
        options = self.options
        if iteration == 0 and options.start == "greedy":
            self._start_greedily(incumbents)
        cycle = options.cycle_decay**self.since_sync
        sigma = options.state_noise * options.noise_decay**iteration * cycle
        self.joint_step(options.goal_weight * cycle, self.noise.draw() * sigma if sigma else None)
        if options.sync_every is not None:
            self.since_sync += 1
        if self._sync_is_due(iteration):
            self._sync(incumbents)

    def _start_greedily(self, incumbents: Incumbents) -> None:
        """Move states and actions from the line to the greedy rollout, with the noise that they have, and show the plan."""
        rows = self.rows
        actions, states = greedy_rollout(rows, self.options.greedy_spread)
        self.states[:, self.free] += (states - interpolation(rows))[:, self.free]
        self.actions = rows.problem.project(actions + (self.actions - rows.actions))
        # A copy, as the joint step moves the actions in place.
        self.show(self.actions.clone(), incumbents)

    def _sync_is_due(self, iteration: int) -> bool:
        options = self.options
        if options.sync_every is None:
            return False
        return (iteration if options.sync_at_start else iteration + 1) % options.sync_every == 0

    def joint_step(self, goal_weight: float, noise: Tensor | None) -> None:
        """Eq. (10)-(12): one parallel evaluation, one backward pass, one update of states and actions.

        Tensors in, tensors out, without a read by the host: `torch.compile(fullgraph=True)` captures it whole.

        Arguments
            goal_weight: γ_k.
            noise: σ_k ξ, (rows, states that move, *S), or None.
        """
        options, states, problem = self.options, self.states, self.rows.problem
        actions = self.actions.detach().requires_grad_()
        inputs = states[:, :-1]
        if not options.stop_state_gradient:
            inputs = inputs.clone().requires_grad_()
        prediction = self.predict(inputs, actions)
        goal = self.rows.goal if problem.goal_distance is None else None
        residual, pull = lifted_pulls(prediction.detach(), states, goal, goal_weight, 1)
        outputs: tuple[Tensor, ...] = (prediction,)
        towards: tuple[Tensor, ...] = (pull,)
        costs = self._own_costs(prediction, actions, goal_weight)
        if costs is not None:
            outputs, towards = (prediction, costs), (pull, torch.full_like(costs, 0.5))
        # s_{t+1} enters L once, in the residual, and as the model's input where the gradient is kept.
        ascent = residual[:, : self.free.stop - 1]
        if options.stop_state_gradient:
            (gradient,) = gradients(outputs, (actions,), towards)
        else:
            gradient, through = gradients(outputs, (actions, inputs), towards)
            ascent = ascent.clone()
            ascent[:, : through.shape[1] - 1] -= through[:, 1:]
        free = states[:, self.free]
        self.state_optimizer.step(free, ascent, -2.0 * self.share)
        if noise is not None:
            free.add_(noise)
        self.actions = self.descend(self.action_optimizer, self.actions, gradient, 2.0 * self.share)

    def _own_costs(self, prediction: Tensor, actions: Tensor, goal_weight: float) -> Tensor | None:
        """Return Σ_t c(F_t, a_t), and γ Σ_t d(F_t, g) where d is the problem's own; None where there is neither."""
        problem = self.rows.problem
        costs = []
        with torch.enable_grad():
            if problem.goal_distance is not None and goal_weight:
                distances = problem.goal_losses(prediction, self.rows.goal.unsqueeze(1))
                if not distances.requires_grad:
                    raise ParameterError("goal_distance", *INDIFFERENT)
                costs.append(goal_weight * distances.sum())
            if problem.stage_cost is not None:
                costs.append(problem.stage_costs(prediction, actions).sum())
            costs = [cost for cost in costs if cost.requires_grad]
            return torch.stack(costs).sum() if costs else None

    def _sync(self, incumbents: Incumbents) -> None:
        """Eq. (13)-(15), then show the synced plan."""
        options = self.options
        if self.shooting:
            states = self._shoot(incumbents)
        elif options.sync_method == "cem":
            self.show(self.actions, incumbents)
            _, states, _ = incumbents.latest
            spread = self._spread(states)
            for _ in range(options.sync_steps):
                self.actions, spread = refine_around(self.rows, self.actions, spread, self.samples.draw())
        else:
            optimizer = make_optimizer(options.sync_optimizer, options.sync_lr)
            for _ in range(options.sync_steps):
                gradient, states = rollout_gradient(self.rows, self.actions, checkpoint=options.checkpoint)
                incumbents.consider(self.actions, states)
                self.actions = self.descend(optimizer, self.actions.clone(), gradient, self.share)
        if options.sync_states:
            self.states[:, self.free] = states[:, self.free]
        self.state_optimizer.reset()
        self.action_optimizer.reset()
        self.since_sync = 0
        if not self.shooting:
            self.show(self.actions, incumbents)

    def _shoot(self, incumbents: Incumbents) -> Tensor:
        """Take Levenberg–Marquardt steps from the virtual states and actions, and return the states.

        Plans whose states have become their rollout are shown with these states; the others wait for the next check.
        """
        rows, steps = self.rows, self.options.shooting_steps
        shooting = LevenbergMarquardt(self._step, rows.problem.project, self.states, self.actions, rows.goal)
        for _ in range(steps):
            shooting.step()
        converged = shooting.close()
        rows.count(sync_passes(rows.goal[0].numel(), steps) * self.actions.shape[1])
        self.actions, states = shooting.actions, shooting.states
        shown = states.where(converged.view(-1, *[1] * (states.ndim - 1)), torch.nan)
        # A copy of the actions, as these have not been rolled out: the last iterate is.
        incumbents.consider(self.actions.clone(), shown, approximate=True)
        return states

    def _spread(self, states: Tensor) -> Tensor:
        """Return the CEM sync's standard deviations (rows, T, m) from the gaps ‖s_{t+1} − rollout_{t+1}‖."""
        gaps = (states - self.states)[:, 1:].flatten(2).norm(dim=2)
        # Without any gap all times are alike; a tenth of the spread is left where a gap vanishes.
        relative = torch.where(gaps.amax(1, keepdim=True) > 0, gaps / gaps.amax(1, keepdim=True), 1.0)
        return self.options.sync_spread * relative.clamp(min=0.1).unsqueeze(2).expand_as(self.actions)
