"""Hypothesis strategies for linear systems, valid by construction (see `linear_systems.examples.random_systems`)."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from linear_systems.examples.random_systems import (
    KINDS,
    Kind,
    random_input_matrix,
    random_system,
    random_time_varying_system,
)
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

__all__ = ["KINDS", "Kind", "horizons", "random_system", "systems", "time_varying_systems"]


@st.composite
def systems(
    draw: st.DrawFn,
    max_n: int = 6,
    max_m: int = 8,
    kinds: tuple[Kind, ...] = KINDS,
    full_column_rank: bool = False,
) -> LinearSystem:
    """Draw a `LinearSystem`; with `full_column_rank`, m <= n and B has singular values in [0.3, 3]."""
    n = draw(st.integers(1, max_n))
    m = draw(st.integers(1, min(n, max_m) if full_column_rank else max_m))
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    system = random_system(rng, n, m, kind)
    return LinearSystem(system.A, random_input_matrix(rng, n, m)) if full_column_rank else system


@st.composite
def time_varying_systems(
    draw: st.DrawFn, max_n: int = 5, max_m: int = 6, max_length: int = 30, full_column_rank: bool = False
) -> TimeVaryingLinearSystem:
    """Draw a `TimeVaryingLinearSystem` whose steps are drawn independently, each of its own kind."""
    n = draw(st.integers(1, max_n))
    m = draw(st.integers(1, min(n, max_m) if full_column_rank else max_m))
    length = draw(st.integers(1, max_length))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_time_varying_system(rng, n, m, length, full_column_rank=full_column_rank)


def horizons(max_horizon: int = 40) -> st.SearchStrategy[int]:
    """Draw a horizon T from 1 to `max_horizon`."""
    return st.integers(1, max_horizon)
