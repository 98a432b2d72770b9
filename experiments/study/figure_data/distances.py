"""Figure 1a: the distance to the goal along trajectories that reach it, in the latents and in the task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from experiments.evaluation.observe import encode
from experiments.study.figure_data.cases import (
    SETTINGS,
    Planned,
    demonstrations,
    frames_along,
    judge_of,
    planned,
)
from experiments.study.figure_data.detours import above_start, needs_detour, recedes
from experiments.study.figure_data.extents import Sizes
from experiments.study.trials.judge import Judge
from grasp_theory.statistics.bootstrap import proportion
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks.task import FRAMESKIP
from grasp_theory.world_models import WorldModel

PLANNERS = ("GRASP", "GradientDescent")
DRAWN = 40
"""Demonstrations whose distances are kept as curves."""

Arrays = dict[str, np.ndarray]


def distances(sizes: Sizes) -> tuple[Arrays, dict[str, Json]]:
    """Return the distances along successful plans, and how often they grow.

    A plan is successful if its execution succeeds in the environment.  Its latent distance is ‖enc(o_t) − enc(o_g)‖₂ of
    the observations on the way, its true distance the task's; both over those at the start.  Where planners solve
    few problems, trajectories of behaviour that end at the goal by construction tell more; but behaviour heads for
    no goal, so there only what all of them share could be called necessary.

    above_start: the distance is at some time 5% larger than at the start.
    recedes: at some time it has grown by 5% of that at the start, since it was smallest.
    needs_detour: the share of all problems on whose shortest path around the walls the true distance recedes.

    Returns
        arrays: TASK_latent, TASK_true (n, T+1), the curves of GRASP's and gradient descent's successful plans, and
            TASK_demonstrations (40, T+1), the true ones of some demonstrations.
        numbers: {task: {planner or "demonstrations": {solved, latent, true: {above_start, recedes}}}}.
    """
    arrays: Arrays = {}
    numbers: dict[str, Json] = {}
    for setting in SETTINGS:
        judge = judge_of(setting, sizes.problems)
        curves: dict[str, list[np.ndarray]] = {"latent": [], "true": []}
        table: dict[str, Json] = {"horizon": setting.horizon}
        for name in PLANNERS:
            along = planned(setting, sizes.problems, name, sizes.budget)
            latent, true = along_plans(along)
            solved = along.solved
            curves["latent"].append(latent[solved])
            curves["true"].append(true[solved])
            table[name] = {"solved": proportion(solved), **_shares(latent[solved], true[solved])}
        table["both"] = _shares(np.concatenate(curves["latent"]), np.concatenate(curves["true"]))
        problems, path = demonstrations(judge.task, setting.horizon, sizes.demonstrations)
        every = Judge(judge.task, judge.model, problems, range(len(problems)))
        along_them = true_distances(every, path[:, ::FRAMESKIP])
        table["demonstrations"] = _shares(latent_distances(every, path), along_them)
        detour = needs_detour(judge.task, judge.starts, judge.goals)
        table["needs_detour"] = None if detour is None else proportion(detour)
        numbers[setting.task] = table
        arrays |= {f"{setting.task}_{kind}": np.concatenate(parts) for kind, parts in curves.items()}
        arrays[f"{setting.task}_demonstrations"] = along_them[:DRAWN]
    return arrays, numbers


def along_plans(along: Planned) -> tuple[Float[np.ndarray, "N T1"], Float[np.ndarray, "N T1"]]:
    """Return the latent and the true distances along executed plans, over those at the start."""
    path = along.path
    return latent_distances(along.judge, path), true_distances(along.judge, path[:, ::FRAMESKIP])


def latent_distances(judge: Judge, path: Float[np.ndarray, "N L1 S"]) -> Float[np.ndarray, "N T1"]:
    """Return ‖enc(o_t) − enc(o_g)‖₂ at the model steps of true paths, over that at the start."""
    frames = frames_along(judge, path)
    count, steps = frames.shape[:2]
    model: WorldModel = judge.model
    latents = encode(model, judge.task, frames.reshape(-1, *frames.shape[2:])).flatten(1)
    goals = encode(model, judge.task, judge.problems.goal_history[list(judge.indices)]).flatten(1)
    gap = (latents.reshape(count, steps, -1) - goals[:, None]).norm(dim=2).double().numpy()
    relative: Float[np.ndarray, "N T1"] = gap / gap[:, :1]
    return relative


def true_distances(judge: Judge, states: Float[np.ndarray, "N T1 S"]) -> Float[np.ndarray, "N T1"]:
    """Return the task's distances to the goal, over that at the start."""
    gap = np.stack([judge.task.distance(states[:, t], judge.goals) for t in range(states.shape[1])], axis=1)
    relative: Float[np.ndarray, "N T1"] = gap / gap[:, :1]
    return relative


def _shares(latent: Float[np.ndarray, "N T1"], true: Float[np.ndarray, "N T1"]) -> dict[str, Json]:
    return {"count": len(true), "latent": _grows(latent), "true": _grows(true)}


def _grows(curves: Float[np.ndarray, "N T1"]) -> Json:
    if not len(curves):
        return None
    answers: Mapping[str, Bool[np.ndarray, " N"]] = {
        "above_start": above_start(curves), "recedes": recedes(curves)
    }  # fmt: skip
    return {name: proportion(answer) for name, answer in answers.items()}
