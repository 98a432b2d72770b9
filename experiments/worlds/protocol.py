"""Which claims are tried in which worlds, by which pairs of planners: docs/study.md, section "Analytic worlds", as data.

What stands here was fixed, with the rules of `verdicts`, before any trial was looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiments.worlds.dials import Copies, Lifted, Rippled
from experiments.worlds.machines import Arm, Unicycle
from experiments.worlds.pendula import Acrobot, CartPole, Pendulum
from experiments.worlds.plane import maze, trap, wall
from experiments.worlds.systems import Benchmark, Linear, Network
from experiments.worlds.world import World
from grasp_theory import CEM, CEMGD, GRASP, ICEM, MPPI, GradientDescent, LatCo, Planner

PROBLEMS = 200
"""Problems of a world."""
BUDGET = 3000
"""`max_evaluations` of every planner, in units of the horizon."""
LEVELS = (500, 1000, 3000)
"""The budgets at which success is told: a problem counts if it was solved by then."""

PLANNERS: Mapping[str, Planner] = {
    "GRASP": GRASP(),
    "GRASP.paper": GRASP.paper(),
    "GRASP.released": GRASP.released(),
    "GRASP.parallel": GRASP.parallel(),
    "GD": GradientDescent(),
    "CEM": CEM(),
    "iCEM": ICEM(),
    "MPPI": MPPI(),
    "CEM-GD": CEMGD(),
    "LatCo": LatCo(),
    "GRASP, no noise": GRASP(state_noise=0.0),
    "GRASP, no shaping": GRASP(goal_weight=0.0),
    "GRASP, no sync": GRASP(sync_every=None),
    "GRASP, state gradients": GRASP(stop_state_gradient=False),
}
"""Untuned, documented defaults, and the default GRASP with one thing changed."""

WORLDS: Mapping[str, Callable[[], World]] = {
    "wall": wall,
    "trap": trap,
    "maze": maze,
    "pendulum": Pendulum,
    "cart-pole": CartPole,
    "acrobot": Acrobot,
    "unicycle": Unicycle,
    "arm": Arm,
    "linear": Linear,
    "double integrator": Benchmark,
    "contracting network": Network,
    "expanding network": lambda: Network(states=128, gain=2.5, reach=1.0),
    "trap, deeper": lambda: trap(depth=0.8),
    "wall, stiff": lambda: wall(softness=0.01),
    "wall, rippled": lambda: Rippled(wall(), 1.0),
    "linear, rippled": lambda: Rippled(Linear(), 0.5),
    "wall, 32 actions": lambda: Copies(wall(), 16),
    "linear, 64 actions": lambda: Linear(states=64, actions=64, reach=0.6),
    "network, 64 actions": lambda: Network(states=64, actions=64, reach=0.7),
    "arm, 16 links": lambda: Arm(links=16, reach=0.4),
    "wall, adversary 4": lambda: Lifted(wall(), 16, 4.0),
    "wall, adversary 16": lambda: Lifted(wall(), 16, 16.0),
    "unicycle, adversary 4": lambda: Lifted(Unicycle(), 16, 4.0),
    "unicycle, adversary 16": lambda: Lifted(Unicycle(), 16, 16.0),
    "wall, T = 200": lambda: wall(200),
    "unicycle, T = 200": lambda: Unicycle(horizon=200),
    "linear, T = 200": lambda: Linear(horizon=200),
}
"""The suite: twelve worlds, and worlds of theirs with a dial turned."""
BASE = tuple(WORLDS)[:12]


@dataclass(frozen=True)
class Claim:
    """An algorithmic claim: the first planner of each pair solves more problems than the second, in these worlds.

    Arguments
        says: the claim, in words.
        worlds: where it is tried.
        pairs: (better, worse) planners.
        level: the budget at which they are compared, in units of the horizon.
    """

    says: str
    worlds: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    level: int = BUDGET


def _grasp_beats(*others: str) -> tuple[tuple[str, str], ...]:
    return tuple(("GRASP", other) for other in others)


CLAIMS: Mapping[str, Claim] = {
    "stop-gradient": Claim(
        "stopping the state gradient helps where the model's is brittle",
        ("wall, adversary 4", "wall, adversary 16", "unicycle, adversary 4", "unicycle, adversary 16"),
        _grasp_beats("GRASP, state gradients"),
    ),
    "sync": Claim("the sync helps", BASE, _grasp_beats("GRASP, no sync")),
    "shaping": Claim("dense goal shaping helps", BASE, _grasp_beats("GRASP, no shaping")),
    "noise": Claim(
        "noise on the states helps, more than noise on shooting's actions", BASE,
        _grasp_beats("GRASP, no noise", "GD"),
    ),
    "non-greedy": Claim(
        "GRASP finds plans that first move away from the goal",
        ("trap", "trap, deeper", "maze", "pendulum", "cart-pole", "acrobot", "unicycle", "arm"),
        _grasp_beats("GD", "CEM", "LatCo"),
    ),
    "efficiency": Claim(
        "gradients need fewer evaluations than samples", BASE,
        (("GRASP", "CEM"), ("GRASP", "MPPI"), ("GD", "CEM"), ("GD", "MPPI")), LEVELS[1],
    ),
    "jagged": Claim(
        "lifting helps where shooting's landscape is jagged",
        ("wall, stiff", "wall, rippled", "linear, rippled", "expanding network", "acrobot"),
        _grasp_beats("GD", "LatCo"),
    ),
    "action dimension": Claim(
        "sampling planners fall behind where actions have many components",
        ("wall, 32 actions", "linear, 64 actions", "network, 64 actions", "arm, 16 links"),
        _grasp_beats("CEM", "MPPI"),
    ),
    "horizon": Claim(
        "GRASP is the most robust at long horizons",
        ("wall, T = 200", "unicycle, T = 200", "linear, T = 200"),
        _grasp_beats("GD", "CEM", "LatCo"),
    ),
    "planners": Claim(
        "GRASP solves more problems than every other planner", BASE,
        _grasp_beats("GD", "CEM", "iCEM", "MPPI", "CEM-GD", "LatCo"),
    ),
    "presets": Claim(
        "our default solves more problems than the paper's settings and the released ones", BASE,
        _grasp_beats("GRASP.paper", "GRASP.released", "GRASP.parallel"),
    ),
}  # fmt: skip


def cells(claims: tuple[str, ...] = tuple(CLAIMS), worlds: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return the (world, planner) pairs that claims need, in the claims' order; of these worlds only, if any are named."""
    wanted = [
        (world, planner)
        for name in claims
        for world in CLAIMS[name].worlds
        for planner in dict.fromkeys(each for pair in CLAIMS[name].pairs for each in pair)
        if not worlds or world in worlds
    ]
    return list(dict.fromkeys(wanted))
