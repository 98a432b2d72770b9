"""GRASP plans a ball around a wall: its virtual states on the way, and the plans it ends with."""

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
from figures.style import COLOURS, WIDTH, house_style, panel_letters
from grasp_theory import GRASP

PROBLEMS, HORIZON = 12, 16
PROBLEM_SEED, NOISE_SEED = 3, 0


@dataclass(frozen=True)
class Example:
    """The numbers of the figure.

    Arguments
        virtual_states: (K, T+1, 2), those of one problem at the observed iterations.
        iterations: (K,), which iterations these are.
        plans: (B, T+1, 2), the rollouts of the plans found.
        reached: (B,), which of them reach their goals.
        greedy: (B, T+1, 2), where going straight for the goal leads: into the wall.
    """

    virtual_states: Float[np.ndarray, "K T_plus_one 2"]
    iterations: Int[np.ndarray, " K"]
    plans: Float[np.ndarray, "B T_plus_one 2"]
    reached: Bool[np.ndarray, " B"]
    greedy: Float[np.ndarray, "B T_plus_one 2"]


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
    )


def draw(numbers: Example) -> Figure:
    """Draw the virtual states of one problem, and all plans."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharex=True, sharey=True)
        count = len(numbers.iterations)
        chosen = sorted({0, count // 4, count // 2, count - 1})
        for colour, k in zip(("#BBBBBB", COLOURS[5], COLOURS[0], COLOURS[1]), chosen, strict=False):
            label = f"iteration {numbers.iterations[k]}"
            left.plot(*numbers.virtual_states[k].T, "o-", color=colour, markersize=3, label=label)
        left.set_title("GRASP's virtual states, from the straight line")
        left.legend(loc="upper center", ncols=2)
        for greedy in numbers.greedy:
            right.plot(*greedy.T, color="#BBBBBB", linewidth=1)
        for plan, reached in zip(numbers.plans, numbers.reached, strict=True):
            right.plot(*plan.T, ".-", color=COLOURS[0] if reached else COLOURS[1], linewidth=1)
        right.set_title(
            f"{numbers.reached.sum()} of {len(numbers.reached)} plans reach the goal; grey: greedy"
        )
        for axes in (left, right):
            _draw_wall(axes)
            axes.set_xlabel("x")
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
