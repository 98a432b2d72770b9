"""Figure 3: the smallest step of the state that lets a model reach a far goal at once, measured and decoded."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from experiments.evaluation.observe import decoded_states, encode, pictures, probe, random_pairs
from experiments.evaluation.sizes import stream
from experiments.evaluation.state_gradient import TARGET, faking_step, norms, one_gradient_step
from experiments.study.figure_data.extents import SEED, Sizes
from experiments.study.figure_data.files import pixels
from grasp_theory.statistics.bootstrap import Bootstrap, proportion
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks import TASKS, by_name
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel, available, load
from grasp_theory.world_models.architecture import BACKBONES

HONEST = 1 - TARGET
"""‖δ‖ / ‖g − s‖ in a model that keeps a resting state where it is: δ must be the way to the goal."""
NEAR = 0.5
"""A δ shorter than this share of the way to the goal counts as adversarial."""
PICTURES = ("s", "s + δ", "F(s + δ, 0)", "g")


def adversarial_steps(sizes: Sizes) -> tuple[dict[str, np.ndarray], dict[str, Json]]:
    """Return, for every shipped model, the smallest steps that fake a solution, and examples in pictures.

    δ and its search are those of `state_gradient`: ‖F(s + δ, 0) − g‖ <= 0.1 ‖F(s, 0) − g‖ for random states s and goals g.
    A model is exploitable as in the paper's Figure 3 where ‖δ‖ is far below 0.9 ‖g − s‖.

    relative: ‖δ‖ / ‖g − s‖, median; infinite where no δ was found.
    nearby: share with ‖δ‖ < ‖g − s‖ / 2.
    moved: how much of the way to the goal the decoded state moves from s to s + δ, median of the task's distance; near
        1, δ has changed what the state shows into the goal.
    solved: share in which the decoded F(s + δ, 0) is a success for the goal.
    one_gradient_step: median of the least ‖F(s − ε∇, 0) − g‖ / ‖F(s, 0) − g‖ for ‖ε∇‖ <= 0.1 ‖g − s‖: the literal step.

    Returns
        arrays: MODEL_relative (pairs,) of each model; TASK_pictures (4, H, W, 3) of the pair with the median of the
            δ found, for the first model of each task and latent: s, s + δ, F(s + δ, 0) and g, decoded.
        numbers: {model: {...}}.
    """
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, Json] = {}
    for card in available():
        if card.task not in TASKS or card.architecture.encoder in BACKBONES:
            continue
        task, latent = by_name(card.task), card.architecture.label
        model = load(card.task, kind=card.kind, seed=card.seed, latent=latent)
        frames, goal_frames = random_pairs(task, stream(task, SEED, "figure 3 pairs"), sizes.pairs)
        states, goals = encode(model, task, frames), encode(model, task, goal_frames)
        step = faking_step(model, states, goals, sizes.attack)
        relative = (norms(step) / norms(goals - states)).nan_to_num(nan=torch.inf).double().numpy()
        arrays[f"{card.name}_relative"] = np.minimum(relative, np.finfo(np.float32).max)
        bootstrap = Bootstrap(
            np.arange(sizes.pairs), stream(task, SEED, "figure 3 bootstrap"), sizes.resamples
        )
        found = np.isfinite(relative)
        numbers[card.name] = {
            "found": proportion(found),
            "relative": bootstrap.median(relative).to_json(),
            "nearby": proportion(relative < NEAR),
            "one_gradient_step": bootstrap.median(one_gradient_step(model, states, goals)).to_json(),
            **_shown(task, model, states, goals, step, found),
        }
        if card.kind == "offline" and card.seed == 0 and found.any():
            middle = int(np.argsort(relative)[int(found.sum()) // 2])
            name = card.task if latent == "flat" else f"{card.task}-{latent}"
            arrays[f"{name}_pictures"] = _pictures(task, model, states[middle], goals[middle], step[middle])
            arrays[f"{name}_shown"] = relative[middle]
    return arrays, numbers


@torch.no_grad()
def _shown(
    task: Task, model: WorldModel, states: Tensor, goals: Tensor, step: Tensor, found: np.ndarray
) -> dict[str, Json]:
    """Return what the decoded states say of the steps that were found."""
    if not found.any():
        return {"moved": None, "solved": None}
    some = torch.from_numpy(found)
    states, goals, step = states[some], goals[some], step[some]
    rest = states.new_zeros(len(states), model.architecture.action_dim)

    def read(latents: Tensor) -> Float[np.ndarray, "N S"]:
        return decoded_states(task, probe(model, latents))

    goal = read(goals)
    before, after = task.distance(read(states), goal), task.distance(read(states + step), goal)
    solved = task.success(read(model.step(states + step, rest)), goal)
    return {"moved": float(np.median(1 - after / before)), "solved": proportion(solved)}


@torch.no_grad()
def _pictures(task: Task, model: WorldModel, state: Tensor, goal: Tensor, step: Tensor) -> np.ndarray:
    rest = state.new_zeros(1, model.architecture.action_dim)
    moved = state + step
    following = model.step(moved[None], rest)[0]
    return pixels(pictures(task, model, torch.stack([state, moved, following, goal])))
