"""Units that take a fraction of a second, and rows that say what a test wants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from experiments.study.trials.trial import SCHEMA
from experiments.study.trials.unit import Unit

SMALL = Unit(
    "wall_single", "random", 4, "reporting", 0, 2, "wall_single-offline-flat-0",
    "GradientDescent", (("iterations", 3), ("lr", 0.5)),
)  # fmt: skip

TUNE = (
    "tune",
    "wall_single",
    "--quick",
    "--planner",
    "GRASP",
    "--trials",
    "1",
    "--problems",
    "1",
    "--results",
)
"""The shortest tuning; the folder is to follow."""


def small_unit(**changes: Any) -> Unit:
    """Return a small unit with some fields changed."""
    return replace(SMALL, **changes)


def fake_rows(unit: str, count: int = 2, **values: Any) -> pl.DataFrame:
    """Return rows of a unit that nothing computed."""
    rows = [
        {name: None for name in SCHEMA} | {"key": f"{unit}-{i}", "unit": unit, "problem": i} | values
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)
