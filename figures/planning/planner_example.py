"""GRASP plans a ball around a wall: its virtual states on the way, and the plans it ends with.

A ball moves in the plane (x, y), by at most 0.25 a step, around a wall (grey: the darker, the less motion is left).
(a) The virtual states of the problem that took longest, at four iterations: they begin on the straight line and need
not be a trajectory until the end. (b) What the plans for all 12 problems do, blue where they end at their goals and
orange where not; the grey lines go straight for the goal and stop at the wall. Stars: goals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.scripts.planning_toys import BallAroundWall
from figures.style import COLOURS, MARKERS, WIDTH, house_style, panel_letters
from grasp_theory import GRASP

PROBLEMS, HORIZON = 12, 16
PROBLEM_SEED, NOISE_SEED = 3, 0
FAINT = "#BBBBBB"


@dataclass(frozen=True)
class Example:
    """The numbers of the figure.

    Arguments
        virtual_states: (K, T+1, 2), those of one problem at the observed iterations.
        iterations: (K,), which iterations these are.
        plans: (B, T+1, 2), the rollouts of the plans found.
        reached: (B,), which of them reach their goals.
        greedy: (B, T+1, 2), where going straight for the goal leads: into the wall.
        goals: (B, 2).
        shown: the problem of the virtual states.
    """

    virtual_states: Float[np.ndarray, "K T_plus_one 2"]
    iterations: Int[np.ndarray, " K"]
    plans: Float[np.ndarray, "B T_plus_one 2"]
    reached: Bool[np.ndarray, " B"]
    greedy: Float[np.ndarray, "B T_plus_one 2"]
    goals: Float[np.ndarray, "B 2"]
    shown: int


def example() -> Example:
    """Plan all problems at once (about a second) and return what to draw."""
    ball = BallAroundWall()
    problem = ball.problem(PROBLEMS, HORIZON, seed=PROBLEM_SEED)
    plan = GRASP(check_every=5).plan(
        problem, torch.Generator().manual_seed(NOISE_SEED), history=True, record_states=True
    )
    assert plan.history is not None
    assert plan.history.states is not None
    # The solved problem that took longest shows the most of the way.
    shown = int(torch.where(plan.reached, plan.iterations, -1).argmax())
    trace = plan.history.states[:, shown, 0]
    present = ~trace.isnan().flatten(1).any(1)
    state, path = problem.initial_state, [problem.initial_state]
    for _ in range(HORIZON):
        state = ball.step(state, ((problem.goal - state) / ball.max_step).clamp(-1, 1))
        path.append(state)
    return Example(
        trace[present].numpy(),
        plan.history.iteration[present].numpy(),
        plan.states.numpy(),
        plan.reached.numpy(),
        torch.stack(path, 1).numpy(),
        problem.goal.numpy(),
        shown,
    )


def draw(numbers: Example) -> Figure:
    """Draw the virtual states of one problem, and all plans."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.3), sharex=True, sharey=True)
        count = len(numbers.iterations)
        chosen = sorted({0, count // 4, count // 2, count - 1})
        for colour, marker, k in zip(
            (FAINT, COLOURS[5], COLOURS[0], COLOURS[1]), MARKERS, chosen, strict=False
        ):
            label = f"iteration {numbers.iterations[k]}"
            left.plot(*numbers.virtual_states[k].T, color=colour, marker=marker, markersize=3, label=label)
        for axes, goals in ((left, numbers.goals[[numbers.shown]]), (right, numbers.goals)):
            axes.plot(
                *goals.T, "*", color="black", markerfacecolor="white", markersize=8, zorder=4, label="goal"
            )
        left.set_title("GRASP's virtual states, from the straight line")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
        for greedy in numbers.greedy:
            right.plot(*greedy.T, color=FAINT, linewidth=1)
        for plan, reached in zip(numbers.plans, numbers.reached, strict=True):
            right.plot(*plan.T, ".-", color=COLOURS[0] if reached else COLOURS[1], linewidth=1)
        right.set_title(
            f"{numbers.reached.sum()} of {len(numbers.reached)} plans reach the goal; grey: greedy"
        )
        for axes in (left, right):
            _draw_wall(axes)
            axes.set(xlabel="x", aspect="equal", ylim=(None, max(1.3, 1.05 * numbers.plans[..., 1].max())))
        left.set_ylabel("y")
        panel_letters((left, right))
    return figure


def _draw_wall(axes: Axes) -> None:
    ball = BallAroundWall()
    grid = np.linspace(-1.3, 1.3, 201, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    wall = ball.wall(torch.from_numpy(np.stack([x, y], -1))).numpy()
    shade = partial(axes.contourf, x, y, wall, cmap="Greys", zorder=0)
    shade(levels=[0.1, 0.5, 0.9, 1.01], alpha=0.5)


def make() -> tuple[Figure, Example]:
    """Return the figure and its numbers."""
    numbers = example()
    return draw(numbers), numbers
