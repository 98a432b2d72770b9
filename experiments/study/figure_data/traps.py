"""Figure 7: plans that end in a bad minimum where the dynamics are only a penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from experiments.study.figure_data.cases import SETTINGS, Planned, judge_of, plan_with, planner_of
from experiments.study.figure_data.detours import in_walls
from experiments.study.figure_data.extents import Sizes
from experiments.study.figure_data.files import pixels
from experiments.study.figure_data.virtual_states import positions, residuals, typical_step
from grasp_theory import GRASP, LatCo, Planner
from grasp_theory.statistics.bootstrap import proportion
from grasp_theory.statistics.intervals import Json, plain
from grasp_theory.tasks.task import FRAMESKIP

BROKEN = 0.5
"""A transition is broken where ‖F(s_t, a_t) − s_{t+1}‖ exceeds this share of a typical step."""
LONGER = 2
"""The planners get this many times their budget, so that a plan that is still bad has reached a minimum and did not run out
of time."""
EXPLORES = "GRASP"
"""The planner that the others are compared with."""


def planners(grasp: GRASP, bound: float, budget: float) -> Mapping[str, Planner]:
    """Return the dynamics as a penalty, with and without the state gradient, and GRASP itself.

    Arguments
        grasp: the planner of the setting.
        bound: of the actions; LatCo's step size is in units of it.
        budget: share of the penalty's iterations that it gets.
    """
    latco = replace(LatCo.paper(), action_lr=0.05 * bound)
    return {
        "penalty": replace(latco, iterations=max(1, round(budget * latco.iterations))),
        "GRASP without noise and sync": replace(grasp, state_noise=0.0, sync_every=None),
        EXPLORES: grasp,
    }


def bad_minima(sizes: Sizes) -> tuple[dict[str, np.ndarray], dict[str, Json]]:
    """Return how often virtual states end where the dynamics are violated, and one such plan.

    penalty: the paper's form of LatCo, Eq. (4) with s_T = g, its state gradient kept; it has no noise.
    GRASP without noise and sync: Eq. (10)–(12) alone.

    broken: share of the problems with a transition whose residual exceeds half of a typical step, at the end.
    broken_in_the_middle: such a transition that is neither the first nor the last.
    settled: share whose sum of squared residuals changed by less than 1% or 1e-3 steps² over the last tenth.
    through_walls: share with a decoded virtual state deep inside a wall.
    largest_at_the_last: share of the broken ones whose largest residual is at the last transition.
    largest_residual: of a problem's transitions, in typical steps; median over problems.
    feasible, believed: success of the final plan in the environment and in the model.

    Returns
        arrays: TASK_PLANNER_residuals (n, T) in typical steps, for every planner, numbered in order; TASK_states
            (planners, T+1, 2) decoded positions for the shown problem, TASK_shown_residuals, TASK_pictures of the penalty.
        numbers: {task: {planner: {...}}}.
    """
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, Json] = {}
    for setting in SETTINGS[:2]:
        judge = judge_of(setting, sizes.trapped)
        budget = LONGER * sizes.budget
        grasp = planner_of("GRASP", setting, budget)
        assert isinstance(grasp, GRASP)
        runs = {
            name: plan_with(judge, planner)
            for name, planner in planners(grasp, judge.task.action_high, budget).items()
        }
        step = typical_step(runs[EXPLORES])
        gaps = {
            name: residuals(judge.model, run.virtual_states, run.seen.actions) / step
            for name, run in runs.items()
        }
        numbers[setting.task] = {name: _summary(run, gaps[name], step) for name, run in runs.items()}
        shown = _shown(runs["penalty"], gaps["penalty"])
        arrays |= _example(setting.task, runs, gaps, shown)
    return arrays, numbers


def _summary(run: Planned, gaps: np.ndarray, step: float) -> dict[str, Json]:
    broken = gaps > BROKEN
    failed, in_the_middle = np.asarray(broken.any(axis=1)), np.asarray(broken[:, 1:-1].any(axis=1))
    history = run.plan.history
    assert history is not None
    defect = history.defect[:, :, 0].double().numpy() / step**2
    before, end = defect[-max(2, len(defect) // 10)], defect[-1]
    last = gaps[failed].argmax(axis=1) == gaps.shape[1] - 1
    at = _positions(run)
    inside = in_walls(run.judge.task, at)
    assert inside is not None  # tasks with walls only
    return {
        "broken": proportion(failed),
        "broken_in_the_middle": proportion(in_the_middle),
        "largest_at_the_last": proportion(last) if failed.any() else None,
        "settled": proportion(np.abs(before - end) <= np.maximum(0.01 * end, 1e-3)),
        "largest_residual": plain(float(np.median(gaps.max(axis=1)))),
        "through_walls": proportion(np.asarray(inside.any(axis=1))),
        "feasible": proportion(run.solved),
        "believed": proportion(run.believed),
    }


def _positions(run: Planned) -> np.ndarray:
    states = run.virtual_states
    at = positions(run.judge.model, run.judge, states.flatten(0, 1))
    return at.reshape(*states.shape[:2], 2)


def _shown(run: Planned, gaps: np.ndarray) -> int:
    """Return the problem with the largest residual of a transition that is neither the first nor the last."""
    return int(gaps[:, 1:-1].max(axis=1).argmax())


def _example(
    task: str, runs: Mapping[str, Planned], gaps: Mapping[str, np.ndarray], shown: int
) -> dict[str, np.ndarray]:
    penalty = runs["penalty"]
    judge = penalty.judge
    pictures = judge.model.decode(penalty.virtual_states[shown]).numpy()
    arrays = {
        f"{task}_states": np.stack([_positions(run)[shown] for run in runs.values()]),
        f"{task}_shown_residuals": np.stack([gap[shown] for gap in gaps.values()]),
        f"{task}_executed": np.stack([run.path[shown, ::FRAMESKIP, :2] for run in runs.values()]),
        f"{task}_goal": judge.goals[shown, :2],
        f"{task}_background": judge.task.render(judge.goals[shown : shown + 1], 256)[0],
        f"{task}_pictures": pixels(pictures),
        f"{task}_solved": np.array([run.solved[shown] for run in runs.values()]),
    }
    return arrays | {f"{task}_residuals_{i}": gap for i, gap in enumerate(gaps.values())}
