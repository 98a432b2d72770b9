"""Figure 1b–c: the losses around the planners' final plans, and how rough they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import find_peaks
from torch import Tensor

from experiments.evaluation.sizes import stream
from experiments.study.figure_data.cases import SETTINGS, Planned, planned, torch_stream
from experiments.study.figure_data.extents import SEED, Sizes
from grasp_theory import GRASP
from grasp_theory.objectives import lifted_loss, rollout_loss
from grasp_theory.statistics.bootstrap import Bootstrap, proportion
from grasp_theory.statistics.intervals import Json

REACH = 0.5
"""Half the side of a window: this root mean square change of the actions, in units of their bound."""
PROMINENCE = 0.01
"""How deep a local minimum of a line must be to count, as a share of the loss's range on that line."""
SHOWN = 0
"""The problem whose surfaces are drawn: the first of the set."""
CHUNK = 1024
"""Plans evaluated at once."""
LOSSES = ("gd", "ours", "rollout_at_ours")
"""Eq. (3) at gradient descent's plan; Eq. (10) at GRASP's; Eq. (3) at GRASP's, to tell the loss from the place."""

Loss = Callable[[Float[Tensor, "N T m"], Tensor], Float[Tensor, " N"]]
"""(actions, the problem of each) -> the loss of each."""


def landscapes(sizes: Sizes) -> tuple[dict[str, np.ndarray], dict[str, Json]]:
    """Return the loss surfaces of one problem a task, and the roughness of lines through many final plans.

    Around final actions a the loss is looked at on a + x d₁ + y d₂ with random orthonormal d₁, d₂ in the space of all
    T·m action entries, |x|, |y| <= `REACH` · bound · √(T·m); actions are not clipped.  Gradient descent's loss is Eq. (3);
    ours is Eq. (10) with the planner's γ, the virtual states held where GRASP last had them before a sync.

    minima: local minima inside a random line, mean over lines; prominence >= 1% of the line's range.
    several_minima: share of the lines with more than one.
    variation: total variation over the range: 1 for a monotone line, at most 2 for one valley.
    rougher: share of the problems in which more lines have several minima around gradient descent's plan with its loss than
        around GRASP's with ours, over the same directions; and the other way around.

    Returns
        arrays: TASK_LOSS (K, K) surfaces, TASK_LOSS_minima and TASK_LOSS_variation (problems, lines).
        numbers: {task: {loss: {minima, variation, several_minima}, rougher: {...}}}.
    """
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, Json] = {}
    for setting in SETTINGS:
        gd = planned(setting, sizes.problems, "GradientDescent", sizes.budget)
        ours = planned(setting, sizes.problems, "GRASP", sizes.budget)
        centres, losses = centres_and_losses(gd, ours)
        count = min(sizes.line_problems, sizes.problems)
        bootstrap = Bootstrap(
            np.arange(count), stream(gd.judge.task, SEED, "landscape bootstrap"), sizes.resamples
        )
        table: dict[str, Json] = {"problems": count, "lines": sizes.lines}
        minima = {}
        for name in LOSSES:
            key = f"{setting.task}_{name}"
            arrays[key] = surface(losses[name], centres[name], gd.judge.task.action_high, sizes.surface)
            values = along_lines(
                losses[name], centres[name][:count], gd.judge.task.action_high, sizes.lines, sizes.line_points
            )
            minima[name], variation = local_minima(values), total_variation(values)
            arrays[f"{key}_minima"], arrays[f"{key}_variation"] = minima[name].astype(np.int16), variation
            table[name] = {
                "minima": bootstrap.mean(minima[name].mean(axis=1)).to_json(),
                "variation": bootstrap.mean(variation.mean(axis=1)).to_json(),
                "several_minima": bootstrap.mean((minima[name] > 1).mean(axis=1)).to_json(),
            }
        several = {name: (minima[name] > 1).sum(axis=1) for name in LOSSES}
        table["rougher"] = {
            "gd than ours": proportion(several["gd"] > several["ours"]),
            "ours than gd": proportion(several["ours"] > several["gd"]),
        }
        numbers[setting.task] = table
    return arrays, numbers


def centres_and_losses(gd: Planned, ours: Planned) -> tuple[dict[str, Tensor], dict[str, Loss]]:
    """Return the plans that each loss is looked at around, and the losses."""
    problem, model = ours.judge.problem(SEED), ours.judge.model
    virtual = ours.virtual_states
    assert isinstance(ours.planner, GRASP)
    goal_weight = ours.planner.goal_weight

    def rollout(actions: Tensor, which: Tensor) -> Tensor:
        return rollout_loss(model, problem.initial_state[which], actions, problem.goal[which])

    def lifted(actions: Tensor, which: Tensor) -> Tensor:
        goals = problem.goal[which]
        return lifted_loss(model, virtual[which], actions, goals, goal_weight, stop_state_gradient=True)

    centres = {"gd": gd.plan.actions, "ours": ours.seen.actions, "rollout_at_ours": ours.seen.actions}
    return centres, {"gd": rollout, "ours": lifted, "rollout_at_ours": rollout}


def directions(count: int, like: Float[Tensor, "T m"], words: str) -> Float[Tensor, "count T m"]:
    """Return random unit directions of the space of plans, each two in a row orthogonal."""
    size = like.numel()
    drawn = torch.randn(-(-count // 2), 2, size, generator=torch_stream(words), dtype=torch.float64)
    basis, _ = torch.linalg.qr(drawn.transpose(1, 2))
    ways: Tensor = basis.transpose(1, 2).reshape(-1, *like.shape)[:count].to(like)
    return ways


def surface(
    loss: Loss, centres: Float[Tensor, "N T m"], bound: float, points: int
) -> Float[np.ndarray, "K K"]:
    """Return the loss of the shown problem over a square window; rows along the second direction."""
    centre = centres[SHOWN]
    first, second = directions(2, centre, "surface")
    side = torch.linspace(-1, 1, points) * REACH * bound * centre.numel() ** 0.5
    y, x = torch.meshgrid(side, side, indexing="ij")
    actions = centre + x.flatten()[:, None, None] * first + y.flatten()[:, None, None] * second
    values = _evaluate(loss, actions, torch.full((len(actions),), SHOWN))
    square: Float[np.ndarray, "K K"] = values.reshape(points, points)
    return square


def along_lines(
    loss: Loss, centres: Float[Tensor, "N T m"], bound: float, lines: int, points: int
) -> Float[np.ndarray, "N L K"]:
    """Return the losses on random lines through plans; the same directions for every loss."""
    ways = directions(lines, centres[0], "lines")
    side = torch.linspace(-1, 1, points) * REACH * bound * centres[0].numel() ** 0.5
    values = []
    for i, centre in enumerate(centres):
        actions = centre + side[None, :, None, None] * ways[:, None]
        values.append(_evaluate(loss, actions.flatten(0, 1), torch.full((lines * points,), i)))
    return np.stack(values).reshape(len(centres), lines, points)


def local_minima(values: Float[np.ndarray, "N L K"]) -> Float[np.ndarray, "N L"]:
    """Return how many local minima each line has inside, as deep as `PROMINENCE` of its range."""
    counts = np.empty(values.shape[:2])
    for index in np.ndindex(*counts.shape):
        line = values[index]
        counts[index] = len(find_peaks(-line, prominence=PROMINENCE * np.ptp(line))[0])
    return counts


def total_variation(values: Float[np.ndarray, "N L K"]) -> Float[np.ndarray, "N L"]:
    """Return each line's total variation over its range."""
    variation: Float[np.ndarray, "N L"] = np.abs(np.diff(values, axis=2)).sum(axis=2) / np.ptp(values, axis=2)
    return variation


@torch.no_grad()
def _evaluate(loss: Loss, actions: Tensor, which: Tensor) -> Float[np.ndarray, " M"]:
    parts = [loss(actions[at : at + CHUNK], which[at : at + CHUNK]) for at in range(0, len(actions), CHUNK)]
    values: Float[np.ndarray, " M"] = torch.cat(parts).double().numpy()
    return values
