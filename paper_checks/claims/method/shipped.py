"""The shipped planner, `GRASP`, against Algorithm 1 written out (`algorithm_1_reference`) and gradients by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from grasp_theory import GRASP, PlanningProblem
from grasp_theory.theorems import TheoremCheck
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.method.algorithm_1_reference import StepSizes, Truncated, joint_step, sync_step
from paper_checks.claims.method.gradients import Objective, Trajectory
from paper_checks.claims.method.planner_trace import Trace, drawn_problem, drawn_traces, trace
from paper_checks.engine.inspection import judge
from paper_checks.engine.records import Evidence
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import SmoothNetwork

Evaluations = Iterator[tuple[TheoremCheck, Callable[[], str]]]
Traces = Sequence[tuple[SmoothNetwork, Trace]]

PAPER = replace(GRASP.paper(), iterations=5, sync_every=2)
"""Algorithm 1 as shipped, with syncs at k = 0, 2, 4."""
SILENT = replace(PAPER, state_noise=0.0)
"""The same without noise in the steps, so that the states can be compared as well."""


@dataclass(frozen=True)
class Reading:
    """How Algorithm 1 is read.

    Arguments
        planner: the step sizes, weights and syncs that are assumed.
        truncated: whether the sync's gradient stops from step to step.
        end_free: whether s_T moves.
    """

    planner: GRASP
    truncated: bool = False
    end_free: bool = False

    def syncs(self, k: int) -> bool:
        """Return whether iteration k syncs."""
        every = self.planner.sync_every
        return every is not None and (k if self.planner.sync_at_start else k + 1) % every == 0

    def after(self, network: SmoothNetwork, before: Trajectory, k: int) -> Trajectory:
        """Return the trajectory after iteration k without its noise, by the listing."""
        planner = self.planner
        steps = StepSizes(planner.state_lr, planner.action_lr)
        silence = torch.zeros_like(before.states)
        found = joint_step(network, before, planner.goal_weight, steps, silence, end_free=self.end_free)
        if not self.syncs(k):
            return found
        model = Truncated(network) if self.truncated else network
        for _ in range(planner.sync_steps):
            found = sync_step(model, found, planner.sync_lr, assign_states=planner.sync_states)
        if not self.end_free:
            found.states[-1] = before.states[-1]  # the planner keeps s_T = g, where line 7 assigns it too
        return found


def _magnitude(*tensors: Tensor) -> float:
    return 10.0 + sum(float(each.abs().max()) for each in tensors)


def _allowance(network: SmoothNetwork, before: Trajectory, after: Trajectory) -> float:
    """Return what rounding may do to one iteration, whose longest chain is a rollout and its gradient."""
    T = len(before.actions)
    growth = (1.0 + network.state_lipschitz) ** (2 * T)
    scale = _magnitude(before.states, before.actions, after.states, after.actions)
    return rounding_allowance(scale, len(network.bias) * T, growth)


def planner_traces(run: Run, name: str, planner: GRASP) -> Traces:
    """Return what the planner does on random networks, once for a claim and all its false variants."""
    return [*drawn_traces(run, name, planner, run.size(12, 5))]


def inspect_iterations(traces: Traces, planner: GRASP, reading: Reading) -> Evidence:
    """Compare every iteration of the planner with the listing under a reading, from where the planner was.

    With noise in the steps, the states s_1..s_{T−1} are compared where a sync has replaced them; s_0 and s_T always are.
    """

    def evaluations() -> Evaluations:
        for network, seen in traces:
            for k, before, after in seen.steps():
                stated = reading.after(network, before, k)
                error = (after.states - stated.states).abs()
                replaced = reading.syncs(k) and planner.sync_states
                if planner.state_noise and not replaced:
                    error = error[[0, -1]]
                gap = max(float(error.max()), float((after.actions - stated.actions).abs().max()))
                allowance = _allowance(network, before, after)
                yield TheoremCheck(gap, 0.0, "<=", allowance, {}), network.as_code

    return judge(
        evaluations(),
        f"iterations of GRASP with K_sync = {planner.sync_every}, J_sync = {planner.sync_steps}, σ = {planner.state_noise} "
        "on random networks, each from where the one before ended, against the listing",
    )


def inspect_gradient_step(run: Run, planner: GRASP, objective: Objective) -> Evidence:
    """Compare the planner's noise-free steps with the gradient of `objective`, from Jacobians derived by hand."""

    def evaluations() -> Evaluations:
        for network, seen in drawn_traces(run, "gradient step", planner, run.size(12, 5)):
            for _, before, after in seen.steps():
                of_states, of_actions = objective.closed_form(network, before)
                of_states[[0, -1]] = 0.0
                states = before.states - planner.state_lr * of_states
                actions = before.actions - planner.action_lr * of_actions
                gap = max(
                    float((after.states - states).abs().max()), float((after.actions - actions).abs().max())
                )
                scale = (
                    2.0 * (1.0 + network.state_lipschitz) * _magnitude(of_states, of_actions, before.states)
                )
                yield (
                    TheoremCheck(gap, 0.0, "<=", rounding_allowance(scale, len(network.bias)), {}),
                    network.as_code,
                )

    return judge(
        evaluations(),
        "steps of GRASP without noise and syncs, s_0 and s_T fixed, against gradients from Jacobians by hand",
    )


def record_planner(run: Run) -> None:
    """Examine `GRASP.paper()` against Algorithm 1."""
    near = Reading(SILENT)
    silent, noisy = planner_traces(run, "silent", SILENT), planner_traces(run, "noisy", PAPER)
    run.examine(
        "GRASP.paper() takes the steps of the listing: states, actions and, at k mod K_sync = 0, the sync",
        lambda reading: inspect_iterations(silent, SILENT, reading),
        near,
        false_variants={
            "η_s 1% larger": replace(near, planner=replace(SILENT, state_lr=1.01 * SILENT.state_lr)),
            "η_a 1% larger": replace(near, planner=replace(SILENT, action_lr=1.01 * SILENT.action_lr)),
            "γ 1% larger": replace(near, planner=replace(SILENT, goal_weight=1.01 * SILENT.goal_weight)),
            "η_sync 1% larger": replace(near, planner=replace(SILENT, sync_lr=1.01 * SILENT.sync_lr)),
            "no sync at k = 0": replace(near, planner=replace(SILENT, sync_at_start=False)),
            "two gradient steps a sync": replace(near, planner=replace(SILENT, sync_steps=2)),
            "virtual states kept by the sync": replace(near, planner=replace(SILENT, sync_states=False)),
            "s_T free": replace(near, end_free=True),
        },
    )
    run.examine(
        "with noise too, GRASP.paper() keeps s_0 and s_T = g, and the noise enters no action step and no sync",
        lambda reading: inspect_iterations(noisy, PAPER, reading),
        Reading(PAPER),
        false_variants={
            "γ 1% larger": Reading(replace(PAPER, goal_weight=1.01 * PAPER.goal_weight)),
            "no sync at k = 0": Reading(replace(PAPER, sync_at_start=False)),
            "s_T free": Reading(PAPER, end_free=True),
        },
    )
    run.examine(
        "GRASP.paper() returns the plan of least loss that it has looked at, and returned='last' the last, as "
        "Algorithm 1 does",
        lambda kept: _inspect_returned(run, kept),
        ("best", "last"),
        false_variants={"the last iterate, either way": ("last", "last")},
    )
    run.examine(
        "under bounds GRASP.paper() asks the model only about actions of the action set, noised initial ones included, and "
        "the action step is the listing's, projected",
        lambda bound: _inspect_projection(run, bound),
        BOUND,
        false_variants={"bounds 1% narrower": 0.99 * BOUND},
    )


BOUND = 0.5
"""Bound of every action component where actions are bounded."""


def _inspect_returned(run: Run, kept: tuple[str, str]) -> Evidence:
    """Compare the plan returned with the best iterate seen ("best") or the final one ("last").

    At a sync the planner also judges the actions from before the sync's gradient step: `best` may be better than all
    iterates between iterations, and its loss is that of its own rollout.
    """

    def evaluations() -> Evaluations:
        wild = replace(PAPER, iterations=6, action_lr=3.0, sync_lr=3.0)
        for planner, stated in zip((wild, replace(wild, returned="last")), kept, strict=True):
            for network, seen in drawn_traces(run, "returned", planner, run.size(12, 6)):
                for row in range(seen.states.shape[1]):
                    first, plan = seen.at(0, row), seen.plan.actions[row]
                    losses = [
                        _final_loss(network, first, seen.at(k, row).actions) for k in range(len(seen.states))
                    ]
                    own = _final_loss(network, first, plan)
                    allowance = rounding_allowance(10.0 + max(losses), len(network.bias) * len(plan))
                    gap = (
                        float((plan - seen.at(-1, row).actions).abs().max())
                        if stated == "last"
                        else own - min(losses)
                    )
                    yield TheoremCheck(gap, 0.0, "<=", allowance, {}), network.as_code
                    told = abs(float(seen.plan.loss[row]) - own)
                    yield TheoremCheck(told, 0.0, "<=", allowance, {}), network.as_code

    return judge(
        evaluations(),
        "the plan returned against all iterates: no larger loss than any (best), the very last (last); and its stated "
        "loss against a rollout from s_0",
    )


def _final_loss(network: SmoothNetwork, start: Trajectory, actions: Tensor) -> float:
    state = start.states[0]
    for action in actions:
        state = network.step(state, action)
    return float((state - start.goal).square().sum())


@dataclass(frozen=True)
class _Watched:
    """A model that remembers the largest action component it was asked about."""

    model: SmoothNetwork
    largest: list[float] = field(default_factory=list)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        self.largest.append(float(action.detach().abs().max()))
        return self.model.step(state, action)


def _inspect_projection(run: Run, bound: float) -> Evidence:
    planner = replace(PAPER, initial_action_noise=1.0, sync_every=None)
    rng = run.rng("bounds")

    def evaluations() -> Evaluations:
        for _ in range(run.size(12, 5)):
            sizes = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(2, 5))
            network, drawn = drawn_problem(rng, sizes)
            watched = _Watched(network)
            problem = PlanningProblem(
                watched, drawn.initial_state, drawn.goal, drawn.horizon, drawn.action_dim,
                initial_actions=drawn.initial_actions, action_bounds=(-BOUND, BOUND), seeds=drawn.seeds,
            )  # fmt: skip
            seen = trace(planner, problem)
            yield TheoremCheck(max(watched.largest) - bound, 0.0, "<=", 0.0, {}), network.as_code
            for k, before, after in seen.steps():
                if k == 0:
                    continue  # what is shown before the first iteration is the warm start, not yet noised
                stated = Reading(planner).after(network, before, k).actions.clamp(-bound, bound)
                gap = float((after.actions - stated).abs().max())
                yield TheoremCheck(gap, 0.0, "<=", _allowance(network, before, after), {}), network.as_code

    return judge(
        evaluations(),
        f"actions of every evaluation of the model within ±{bound:g} (exactly), and each step against clip(listing)",
    )


def record_sync(run: Run) -> None:
    """Examine the planner's sync, and Adam's moments across it."""
    planner = replace(SILENT, sync_steps=3, sync_lr=0.3)
    reading, traces = Reading(planner), planner_traces(run, "sync", planner)
    run.examine(
        "the planner's sync takes J_sync steps along the gradient through the whole rollout, and the states are those of "
        "the last of these rollouts",
        lambda stated: inspect_iterations(traces, planner, stated),
        reading,
        false_variants={
            "truncated: no gradient from step to step": replace(reading, truncated=True),
            "J_sync = 2": replace(reading, planner=replace(planner, sync_steps=2)),
            "at the end of every K_sync iterations": replace(
                reading, planner=replace(planner, sync_at_start=False)
            ),
        },
        equations=(13, 14, 15),
    )
    run.examine(
        "the planner's Adam forgets its moments at a sync: each period is torch's Adam from its start",
        lambda reset: _inspect_adam(run, reset),
        True,
        false_variants={"moments kept over the sync": False},
    )


def _inspect_adam(run: Run, reset: bool) -> Evidence:
    """Follow the planner with torch's own Adam, fed with the gradients of the listing."""
    planner = replace(
        SILENT,
        optimizer="adam",
        state_lr=0.02,
        action_lr=0.02,
        iterations=6,
        sync_every=3,
        sync_at_start=False,
    )
    reading = Reading(replace(planner, state_lr=1.0, action_lr=1.0, sync_every=None))

    def evaluations() -> Evaluations:
        for network, seen in drawn_traces(run, "Adam", planner, run.size(12, 5)):
            for row in range(seen.states.shape[1]):
                yield from _adam_periods(network, seen, row, reading, reset)

    def _adam_periods(
        network: SmoothNetwork, seen: Trace, row: int, reading: Reading, reset: bool
    ) -> Evaluations:
        period, states, actions, optimizer = 3, None, None, None
        for k in range(len(seen.states) - 1):
            before, after = seen.at(k, row), seen.at(k + 1, row)
            moved = reading.after(network, before, k)
            if states is None or actions is None or optimizer is None or (reset and k % period == 0):
                states, actions = before.states.clone(), before.actions.clone()
                optimizer = torch.optim.Adam([states, actions], lr=planner.state_lr)
            states.copy_(before.states)
            actions.copy_(before.actions)
            states.grad, actions.grad = before.states - moved.states, before.actions - moved.actions
            optimizer.step()
            # A relative error of a gradient's entry is what Adam turns into an error of the step.
            entries = torch.cat([states.grad[1:-1].flatten(), actions.grad.flatten()]).abs()
            scale = _magnitude(before.states, before.actions) / float(entries.min())
            allowance = rounding_allowance(1.0 + scale, len(network.bias), 1.0 + network.state_lipschitz)
            if k % period < period - 1:  # a sync moves the actions as well
                gap = max(
                    float((after.states - states).abs().max()), float((after.actions - actions).abs().max())
                )
                yield TheoremCheck(gap, 0.0, "<=", allowance, {}), network.as_code

    return judge(
        evaluations(), "iterations of GRASP with Adam against torch.optim.Adam on the listing's gradients"
    )
