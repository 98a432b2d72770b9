"""How much the data of the figures measures."""

from __future__ import annotations

from dataclasses import dataclass

SEED = 0
"""Seed of problems, planners' noise, directions and pairs."""


@dataclass(frozen=True)
class Sizes:
    """Sample sizes.

    Arguments
        problems: planned for each task at H = 50.
        demonstrations: trajectories of behaviour, each to the goal that it ends at.
        long_problems: of Push-T at H = 80.
        budget: share of each planner's iterations that it gets.
        surface: points along each side of a drawn loss surface.
        line_problems, lines, line_points: problems whose losses are looked at along random lines, lines of each,
            and points of each line.
        pairs, attack: (state, goal) pairs of the adversarial steps, and iterations of their search.
        trapped: problems of the bad minima.
        resamples: of every bootstrap.
    """

    problems: int
    demonstrations: int
    long_problems: int
    budget: float
    surface: int
    line_problems: int
    lines: int
    line_points: int
    pairs: int
    attack: int
    trapped: int
    resamples: int


FULL = Sizes(
    problems=48, demonstrations=400, long_problems=32, budget=1.0, surface=61, line_problems=48, lines=8,
    line_points=101, pairs=100, attack=300, trapped=48, resamples=1000,
)  # fmt: skip
QUICK = Sizes(
    problems=8, demonstrations=40, long_problems=3, budget=0.15, surface=15, line_problems=6, lines=3,
    line_points=41, pairs=6, attack=80, trapped=6, resamples=200,
)  # fmt: skip
