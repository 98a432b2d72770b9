"""How the planners' default settings were chosen: random search on problems that no result is reported on.

    python -m experiments.scripts.tune_planner_defaults GRASP --trials 40

draws settings, scores each on the tuning problems, and plans again with the best and with the present defaults on
fresh problems of the same kinds, several seeds each.  It prints one JSON line for each of these: the success
rates with their spread over the seeds.  The problems:

- `wall`: a ball around a wall of another shape than that of the tests and figures, 14 steps;
- `long wall`: the same, with shorter steps, 40 of them;
- `pendulum`: swinging up with a torque that is too small to do it at once, 24 steps;
- `latent`: a random smooth network on 8 latent dimensions, whose goals some plan reaches, 12 steps.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from experiments.scripts.planning_toys import BallAroundWall
from grasp_theory import CEMGD, GRASP, MPPI, GradientDescent, LatCo, Planner, PlanningProblem, rollout
from grasp_theory.command_line import add, new_app

BATCH = 24
"""Problems of each kind and seed."""
CONFIRMATION_SEEDS = range(100, 104)
FINALISTS = 4

WALL = BallAroundWall(half_height=0.6, half_thickness=0.35, softness=0.05, max_step=0.3)
LONG_WALL = replace(WALL, half_height=0.9, max_step=0.12)


class SwingUp:
    """A pendulum (cos θ, sin θ, ω) with torque 2a/5 against gravity 1, a in [−1, 1]."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the state after 0.3 time units, by a semi-implicit Euler step."""
        cosine, sine, speed = state.unbind(-1)
        speed = speed + 0.3 * (0.4 * action[..., 0] - sine)
        turn = 0.3 * speed
        return torch.stack(
            [cosine * turn.cos() - sine * turn.sin(), sine * turn.cos() + cosine * turn.sin(), speed], dim=-1
        )


class RandomLatent(torch.nn.Module):
    """A random residual network s' = s + 0.4 W₂ tanh(W₁ (s, a)) on 8 dimensions, with 4 actions."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("inward", torch.randn(12, 64, generator=generator) / 12**0.5)
        self.register_buffer("outward", torch.randn(64, 8, generator=generator) / 64**0.5)

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Return s'."""
        hidden = torch.tanh(2 * torch.cat([state, action], -1) @ self.get_buffer("inward"))
        return state + 0.4 * hidden @ self.get_buffer("outward")


def pendulum(seed: int) -> PlanningProblem:
    """Return swing-ups from near the bottom."""
    angle = 0.5 * torch.randn(BATCH, generator=torch.Generator().manual_seed(seed))
    start = torch.stack([angle.cos(), angle.sin(), torch.zeros(BATCH)], dim=1)
    goal = torch.tensor([-1.0, 0.0, 0.0]).expand(BATCH, 3)
    return PlanningProblem(
        SwingUp(), start, goal, horizon=24, action_dim=1, action_bounds=(-1.0, 1.0),
        reached=lambda state, goal: (state - goal).norm(dim=1) < 0.3,
    )  # fmt: skip


def latent(seed: int) -> PlanningProblem:
    """Return goals that random actions reach."""
    generator = torch.Generator().manual_seed(seed)
    model, start = RandomLatent(), torch.randn(BATCH, 8, generator=generator)
    actions = torch.randn(BATCH, 12, 4, generator=generator).clamp(-1, 1)
    return PlanningProblem(
        model, start, rollout(model, start, actions)[:, -1], horizon=12, action_dim=4, action_bounds=(-1.0, 1.0),
        reached=lambda state, goal: (state - goal).norm(dim=1) < 0.2,
    )  # fmt: skip


PROBLEMS: dict[str, Callable[[int], PlanningProblem]] = {
    "wall": lambda seed: WALL.problem(BATCH, 14, seed),
    "long wall": lambda seed: LONG_WALL.problem(BATCH, 40, seed),
    "pendulum": pendulum,
    "latent": latent,
}

SPACES: dict[str, tuple[Planner, dict[str, Sequence[Any]]]] = {
    "GRASP": (
        GRASP(),
        {
            "state_lr": [0.02, 0.05, 0.1, 0.2], "action_lr": [0.01, 0.03, 0.05, 0.1, 0.2],
            "sync_lr": [0.02, 0.05, 0.1, 0.2], "goal_weight": [0.0, 0.03, 0.1, 0.3, 1.0],
            "state_noise": [0.0, 0.02, 0.05, 0.1, 0.2], "sync_every": [10, 25, 50],
            "sync_steps": [3, 5, 10, 20], "noise_decay": [1.0, 0.99], "cycle_decay": [1.0, 0.9],
            "initial_action_noise": [0.0, 0.3], "initial_state_noise": [0.0, 0.2],
        },
    ),
    "GradientDescent": (
        GradientDescent(),
        {
            "lr": [0.01, 0.03, 0.1, 0.3], "action_noise": [0.0, 0.05, 0.1, 0.3], "objective": ["last", "all"],
            "initial_action_noise": [0.0, 0.3, 1.0], "state_noise": [0.0], "check_every": [None],
        },
    ),
    "LatCo": (
        LatCo(),
        {
            "constraint": ["penalty", "multipliers"], "state_lr": [0.01, 0.02, 0.05, 0.1],
            "action_lr": [0.01, 0.02, 0.05, 0.1, 0.2], "initial_state_noise": [0.0, 0.2],
            "initial_action_noise": [0.0, 0.3],
        },
    ),
    "MPPI": (
        MPPI(),
        {
            "temperature": [0.02, 0.05, 0.1, 0.2], "noise": [0.3, 0.5, 1.0], "noise_decay": [0.93, 0.95, 0.97, 1.0],
            "noise_exponent": [0.0, 1.0, 2.0],
        },
    ),
    "CEMGD": (
        CEMGD(),
        {"refined": [2, 5, 10], "gradient_steps": [2, 5, 10], "gradient_lr": [0.02, 0.05, 0.1, 0.2]},
    ),
}  # fmt: skip


def success(planner: Planner, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Return the success rate on every kind of problem, one for each seed."""
    return {
        name: [
            float(planner.plan(make(seed), torch.Generator().manual_seed(seed)).reached.float().mean())
            for seed in seeds
        ]
        for name, make in PROBLEMS.items()
    }


def mean_success(rates: dict[str, list[float]]) -> float:
    """Return the mean over kinds and seeds."""
    return statistics.fmean(statistics.fmean(values) for values in rates.values())


def report(label: str, planner: Planner) -> dict[str, Any]:
    """Return the rates on fresh problems: mean and standard deviation over the seeds, kind by kind."""
    rates = success(planner, list(CONFIRMATION_SEEDS))
    return {
        "setting": label,
        "mean": round(mean_success(rates), 3),
        "rates": {
            name: [round(statistics.fmean(values), 3), round(statistics.stdev(values), 3)]
            for name, values in rates.items()
        },
        "planner": repr(planner),
    }


def main(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(SPACES)}")],
    trials: Annotated[int, typer.Option(help="settings to draw")] = 40,
    seed: Annotated[int, typer.Option(help="of the draws")] = 0,
) -> None:
    """Tune one planner and print what was found."""
    torch.set_num_threads(1)
    base, space = SPACES[name]
    draws = random.Random(seed)
    scored = []
    for _ in range(trials):
        setting = {field: draws.choice(choices) for field, choices in space.items()}
        scored.append((mean_success(success(replace(base, **setting), [0])), setting))
    scored.sort(key=lambda pair: -pair[0])
    for score, setting in scored[:FINALISTS]:
        line = report(json.dumps(setting), replace(base, **setting))
        sys.stdout.write(json.dumps({"search": round(score, 3), **line}) + "\n")
    sys.stdout.write(json.dumps(report("default", base)) + "\n")


app = new_app()
add(app, main, "nothing was written; run it again.")

if __name__ == "__main__":
    app()
