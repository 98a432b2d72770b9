"""The systems on which the claims about uniform convergence are examined, and how evaluations are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.linalg import orth

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, benchmarks, uniform_convergence
from linear_systems.examples.random_systems import Kind
from paper_checks.engine.inspection import drawn_systems, judge, real_systems
from paper_checks.engine.records import Evidence
from paper_checks.engine.run import Run

SCALAR = LinearSystem([[0.8]], [[1.0]])
"""A stable scalar system, fully actuated."""
AGGRESSIVE = (1.0 / 3.0, 1.0 / 3.0)
"""One step size for states and actions, near the one that minimises ρ(J) for SCALAR with β = 1."""
UNIFORM = (0.05, 0.3)
"""Step sizes (η_s, η_a) for which convergence of SCALAR with β = 1 is uniform in T."""
TAME: tuple[Kind, ...] = ("stable", "unstable", "complex", "defective")
"""Kinds of random systems whose eigenvectors are not chosen to be ill-conditioned."""


def benchmark(name: str) -> LinearSystem:
    """Return a time-invariant benchmark, without actions that do nothing."""
    system = benchmarks.load(name).system
    if not isinstance(system, LinearSystem):
        raise TypeError(
            f"benchmark {name!r}: expected a LinearSystem, found a time-varying one. Try: another name."
        )
    return without_idle_actions(system)


def without_idle_actions(system: LinearSystem) -> LinearSystem:
    """Return the system in orthonormal coordinates of range(Bᵀ): actions in ker B never move."""
    if np.linalg.matrix_rank(system.B) == system.action_dim:
        return system
    return LinearSystem(system.A, system.B @ orth(system.B.T))


def small_systems(largest_order: int) -> Iterator[tuple[str, LinearSystem]]:
    """Yield the time-invariant benchmarks with n + m up to `largest_order`: r costs O((n+m)⁶)."""
    for name, system in real_systems():
        if system.state_dim + system.action_dim <= largest_order:
            yield name, without_idle_actions(system)


def uniform_systems(largest_order: int, below: float = 1.0) -> Iterator[tuple[str, LinearSystem]]:
    """Yield those whose greedy closed loop has ρ(K) < `below`."""
    for name, system in small_systems(largest_order):
        if uniform_convergence.greedy_radius(system) < below:
            yield name, system


def drawn_uniform_systems(run: Run, name: str, count: int, max_n: int, max_m: int) -> Iterator[LinearSystem]:
    """Yield those of `count` random systems with full column rank that have ρ(K) < 0.95."""
    for system in drawn_systems(run.rng(name), count, TAME, max_n, max_m, full_column_rank=True):
        if uniform_convergence.greedy_radius(system) < 0.95:
            yield system


def judged(checks: Iterable[tuple[TheoremCheck, str]], what: str) -> Evidence:
    """Return the evidence of evaluated theorems, each with its instance as code."""
    return judge(((check, _constant(code)) for check, code in checks), what)


def _constant(code: str) -> Callable[[], str]:
    return lambda: code
