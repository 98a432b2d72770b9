"""The stop-gradient iteration of Theorem 6 on linear dynamics, Eq. (75)-(91), and when it converges uniformly."""

from __future__ import annotations

from linear_systems.stop_gradient.map import (
    best_step_size,
    contraction_rate,
    fixed_point,
    greedy_rollout,
    hessian_block_eigenvalues,
    spectral_radius,
    split,
    stack,
    step_size_limit,
    update,
    update_matrix,
    update_offset,
)
from linear_systems.stop_gradient.transients import (
    iterations_to,
    log_transient_growth,
    symbol,
    transient_growth,
    uniform_rate,
)

__all__ = [
    "best_step_size",
    "contraction_rate",
    "fixed_point",
    "greedy_rollout",
    "hessian_block_eigenvalues",
    "iterations_to",
    "log_transient_growth",
    "spectral_radius",
    "split",
    "stack",
    "step_size_limit",
    "symbol",
    "transient_growth",
    "uniform_rate",
    "update",
    "update_matrix",
    "update_offset",
]
