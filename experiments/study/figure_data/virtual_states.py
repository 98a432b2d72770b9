"""Figures 4 and 6: virtual states over GRASP's iterations, and the plans that it ends with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from experiments.evaluation.observe import decoded_states, pictures
from experiments.study.figure_data.cases import (
    CHECK_EVERY,
    SETTINGS,
    Planned,
    Setting,
    demonstrations,
    frames_along,
    plan_with,
    planned,
    planner_of,
)
from experiments.study.figure_data.detours import in_walls, needs_detour, recedes
from experiments.study.figure_data.distances import true_distances
from experiments.study.figure_data.extents import Sizes
from experiments.study.figure_data.files import pixels
from experiments.study.targets import offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.unit import stored_model
from grasp_theory.statistics.bootstrap import proportion
from grasp_theory.statistics.intervals import Json, plain
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import FRAMESKIP
from grasp_theory.world_models import WorldModel

Arrays = dict[str, np.ndarray]
TIMES = 6
"""States shown of each trajectory, the first and the last included."""
LONG = Setting("push_t", "trajectory", 16)
"""Push-T at H = 80."""
PLANNERS = ("GRASP", "GradientDescent", "LatCo", "CEM")


def virtual_states(sizes: Sizes) -> tuple[Arrays, dict[str, Json]]:
    """Return GRASP's virtual states over its iterations, in numbers for all problems and in pictures for one a task.

    The virtual states are looked at every 8 iterations, mostly between syncs.  The picture's problem is, among those
    solved in the environment, the one with the longest detour; where none is solved, the one of the least loss.

    residual: root mean square of ‖F(s_t, a_t) − s_{t+1}‖₂ over t, in units of a typical step of executed plans, median over
        problems: 0 is feasible in the model, 1 is off by a whole step.
    through_walls: share of the problems with a decoded virtual state deep inside a wall.
    feasible: share of final plans that succeed in the environment; believed: in the model.

    Returns
        arrays: TASK_iterations (K,), TASK_residual (K, 3) quartiles, TASK_pictures (rows, times, H, W, 3): virtual states
            at TASK_rows iterations, then what the final plan really does; TASK_goal (H, W, 3).
        numbers: {task: {residual: {start, end}, through_walls: {start, end}, feasible, believed}}.
    """
    arrays: Arrays = {}
    numbers: dict[str, Json] = {}
    for setting in SETTINGS:
        along = planned(setting, sizes.problems, "GRASP", sizes.budget)
        iterations, states, residual = _history(along)
        middle = np.nanmedian(residual, axis=1)
        shown = _example(along)
        rows = _rows(iterations)
        task = setting.task
        arrays[f"{task}_iterations"] = iterations
        arrays[f"{task}_residual"] = np.nanquantile(residual, [0.25, 0.5, 0.75], axis=1).T
        arrays[f"{task}_rows"] = iterations[rows]
        arrays[f"{task}_times"] = _times(setting.horizon)
        arrays[f"{task}_pictures"] = _pictures(along, states[rows, shown], shown)
        arrays[f"{task}_goal"] = _goals(along)[shown]
        arrays[f"{task}_solved"] = np.array(along.solved[shown])
        walls = [_through_walls(along, states[at]) for at in (0, len(states) - 1)]
        numbers[task] = {
            "residual": {"start": plain(float(middle[0])), "end": plain(float(middle[-1]))},
            "through_walls": {"start": walls[0], "end": walls[1]},
            "feasible": proportion(along.solved),
            "believed": proportion(along.believed),
            "shown": shown,
        }
    return arrays, numbers


def long_plans(sizes: Sizes) -> tuple[Arrays, dict[str, Json]]:
    """Return GRASP's plans for Push-T at H = 80, and who succeeds where a detour is needed.

    The goals of Push-T lie at the end of behaviour of T = 16 model steps.  Shown are the three problems of the
    least latent loss, and a WallSingle problem whose straight line hits the wall: the solved one of the longest detour.

    detours: success in the environment and in the model of each planner on the problems that need a detour:
        WallSingle and PointMaze where the straight distance recedes on the shortest path, Push-T where the task's distance
        recedes on the demonstration.  Push-T at T = 16 has GRASP and gradient descent only.
    consistency: GRASP's and gradient descent's success at T = 10 and T = 16.

    Returns
        arrays: pictures (4, times, H, W, 3) of decoded plans, goals (4, H, W, 3), executed (4, times, H, W, 3), solved (4,).
        numbers: {detours: {task: {planner: {true, model}}}, push_t: {horizon: {planner: {true, model}}}}.
    """
    numbers: dict[str, Json] = {}
    detours: dict[str, Json] = {}
    for setting in SETTINGS[:2]:
        table: dict[str, Json] = {}
        for name in PLANNERS:
            along = planned(setting, sizes.problems, name, sizes.budget)
            needed = needs_detour(along.judge.task, along.judge.starts, along.judge.goals)
            assert needed is not None  # both have walls
            table[name] = _successes(along, needed)
        detours[setting.task] = table
    task = by_name("push_t")
    problems, path = demonstrations(task, LONG.horizon, sizes.long_problems)
    judge = Judge(task, stored_model(offline_model("push_t", 0)), problems, range(len(problems)))
    receding = recedes(true_distances(judge, path[:, ::FRAMESKIP]))
    horizons: dict[str, Json] = {}
    short: dict[str, Json] = {}
    plans: dict[str, Planned] = {}
    for name in PLANNERS[:2]:
        plans[name] = plan_with(judge, planner_of(name, LONG, sizes.budget))
        at_ten = planned(SETTINGS[2], sizes.problems, name, sizes.budget)
        short[name] = _successes(at_ten, np.ones(len(at_ten.solved), dtype=bool))
    everyone = np.ones(len(problems), dtype=bool)
    horizons["10"] = short
    horizons["16"] = {name: _successes(plan, everyone) for name, plan in plans.items()}
    detours["push_t"] = {name: _successes(plan, receding) for name, plan in plans.items()}
    numbers["detours"], numbers["push_t"] = detours, horizons
    wall = planned(SETTINGS[0], sizes.problems, "GRASP", sizes.budget)
    best = plans["GRASP"].plan.loss.argsort()[:3].tolist()
    chosen = [(plans["GRASP"], i) for i in best] + [(wall, _example(wall))]
    arrays = {
        "pictures": np.stack([_decode(along, along.plan.states[i][_times_of(along)]) for along, i in chosen]),
        "executed": np.stack([_executed(along, i) for along, i in chosen]),
        "goals": np.stack([_goals(along)[i] for along, i in chosen]),
        "solved": np.array([along.solved[i] for along, i in chosen]),
        "believed": np.array([along.believed[i] for along, i in chosen]),
        "times": np.stack([_times_of(along) for along, _ in chosen]),
    }
    return arrays, numbers


def positions(model: WorldModel, judge: Judge, latents: Float[Tensor, " N *S"]) -> Float[np.ndarray, "N 2"]:
    """Return the decoded position of the body that the actions move; NaN for latents that are not finite."""
    with torch.no_grad():
        targets = model.probe(latents).double().numpy()
    states: Float[np.ndarray, "N 2"] = decoded_states(judge.task, targets)[:, :2]
    return states


def residuals(
    model: WorldModel, states: Float[Tensor, " N T1 *S"], actions: Float[Tensor, "N T m"]
) -> Float[np.ndarray, "N T"]:
    """Return ‖F(s_t, a_t) − s_{t+1}‖₂ at every transition."""
    with torch.no_grad():
        gaps = model.step(states[:, :-1], actions) - states[:, 1:]
    norms: Float[np.ndarray, "N T"] = gaps.flatten(2).norm(dim=2).double().numpy()
    return norms


def typical_step(along: Planned) -> float:
    """Return the median ‖s_{t+1} − s_t‖₂ of the model's rollouts of the final plans."""
    states = along.plan.states.flatten(2)
    return float((states[:, 1:] - states[:, :-1]).norm(dim=2).median())


def _history(along: Planned) -> tuple[Int[np.ndarray, " K"], Tensor, Float[np.ndarray, "K N"]]:
    """Return the iterations between syncs, the virtual states (K, N, T+1, *S), and their residuals."""
    history = along.plan.history
    assert history is not None
    assert history.states is not None
    iterations = history.iteration.numpy()
    every = getattr(along.planner, "sync_every", None)
    kept = (iterations == 0) | (iterations % CHECK_EVERY == 0)
    if every is not None:
        kept &= (iterations == 0) | (iterations % every != 0)
    horizon = along.plan.actions.shape[1]
    rms = (history.defect[:, :, 0] / horizon).sqrt().double().numpy() / typical_step(along)
    index = np.flatnonzero(kept)
    return iterations[index], history.states[index, :, 0], rms[index]


def _through_walls(along: Planned, states: Float[Tensor, " N T1 *S"]) -> Json:
    judge = along.judge
    at = positions(judge.model, judge, states.flatten(0, 1)).reshape(*states.shape[:2], 2)
    inside = in_walls(judge.task, at)
    if inside is None:
        return None
    return proportion(np.asarray(inside.any(axis=1)))


def _example(along: Planned) -> int:
    """Return the solved problem with the longest detour of its executed path, or else that of the least loss."""
    if not along.solved.any():
        return int(along.plan.loss.argmin())
    states = along.path[:, ::FRAMESKIP]
    distance = true_distances(along.judge, states)
    growth = (distance - np.minimum.accumulate(distance, axis=1)).max(axis=1)
    return int(np.where(along.solved, growth, -1.0).argmax())


def _rows(iterations: Int[np.ndarray, " K"]) -> list[int]:
    """Return which looks are drawn: the start, an early one, the middle and the last."""
    last = len(iterations) - 1
    return [0, min(1, last), min(max(2, last // 4), last), last]


def _times(horizon: int) -> Int[np.ndarray, " times"]:
    times: Int[np.ndarray, " times"] = np.rint(np.linspace(0, horizon, TIMES)).astype(int)
    return times


def _times_of(along: Planned) -> Int[np.ndarray, " times"]:
    return _times(along.plan.actions.shape[1])


def _pictures(along: Planned, states: Float[Tensor, " rows T1 *S"], which: int) -> np.ndarray:
    decoded = [_decode(along, row[_times_of(along)]) for row in states]
    return np.stack([*decoded, _executed(along, which)])


def _decode(along: Planned, states: Float[Tensor, " times *S"]) -> np.ndarray:
    return pixels(pictures(along.judge.task, along.judge.model, states))


def _executed(along: Planned, which: int) -> np.ndarray:
    """Return pictures of what the final plan of a problem really does."""
    judge = along.judge
    one = replace(judge, indices=judge.indices[which : which + 1])
    states = frames_along(one, along.path[which : which + 1])[0, _times_of(along), 0]
    return judge.task.render(states, judge.model.architecture.image_size)


def _goals(along: Planned) -> np.ndarray:
    judge = along.judge
    return judge.task.render(judge.goals, judge.model.architecture.image_size)


def _successes(along: Planned, among: np.ndarray) -> dict[str, Json]:
    if not among.any():
        return {"true": None, "model": None}
    return {"true": proportion(along.solved[among]), "model": proportion(along.believed[among])}
