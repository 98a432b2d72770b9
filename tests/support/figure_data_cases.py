"""The data of the paper's figures at sizes that take seconds: nothing of it is to be believed, all of it to be drawn."""

from __future__ import annotations

from functools import cache

from experiments.study.figure_data.extents import Sizes
from experiments.study.figure_data.figure_data_command import measure
from experiments.study.figure_data.files import FigureData

TINY = Sizes(
    problems=2, demonstrations=4, long_problems=2, budget=0.03, surface=5, line_problems=2, lines=2, line_points=11,
    pairs=3, attack=20, trapped=2, resamples=20,
)  # fmt: skip


@cache
def tiny(number: int) -> FigureData:
    """Return the data of a figure, measured once a process."""
    return measure(number, TINY)
