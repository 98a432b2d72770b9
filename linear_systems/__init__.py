"""Linear dynamics and what planning on them costs: conditioning, stop-gradient iterations, noise, certificates."""

from __future__ import annotations

from linear_systems import errors, noise, stop_gradient
from linear_systems.conditioning import lifted, shooting
from linear_systems.exact import certificates
from linear_systems.examples import benchmarks, random_systems
from linear_systems.noise import state_chain
from linear_systems.stop_gradient import (
    acceleration,
    basin,
    fixed_end,
    kreiss,
    metrics,
    parallel_iterations,
    small_steps,
    sync,
    uniform_bounds,
    uniform_convergence,
)
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem

__all__ = [
    "AnySystem",
    "LinearSystem",
    "TimeVaryingLinearSystem",
    "acceleration",
    "basin",
    "benchmarks",
    "certificates",
    "errors",
    "fixed_end",
    "kreiss",
    "lifted",
    "metrics",
    "noise",
    "parallel_iterations",
    "random_systems",
    "shooting",
    "small_steps",
    "state_chain",
    "stop_gradient",
    "sync",
    "uniform_bounds",
    "uniform_convergence",
]
