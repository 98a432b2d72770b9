"""The Kreiss constant of the stop-gradient iteration, which decides whether Theorem 6's constant can be free of T.

𝒦 = sup over |z| = 1 and |λ| > 1 of (|λ| − 1) ‖(λ − D − zE)^{-1}‖₂ is sup_T of the Kreiss constants of J_T, and

    𝒦 <= sup over T and k of ‖J_T^k‖₂ <= e (n+m) 𝒦.

Source: the Kreiss matrix theorem with Spijker's constant, applied at every z; docs/theory/limits.md, U11.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex
from numpy.typing import NDArray
from scipy.optimize import minimize

from linear_systems.checked import checked
from linear_systems.errors import StepSizeError
from linear_systems.stop_gradient.blocks import all_steps, update_blocks
from linear_systems.stop_gradient.transients import uniform_rate
from linear_systems.stop_gradient.uniform_convergence import sample_angles, time_invariant
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, goal_weight, step_sizes

__all__ = ["KreissConstant", "kreiss_constant"]

RADII = 1.0 + np.geomspace(1e-6, 1e2, 33)
"""Moduli of λ at which the resolvent is first sampled."""
ARGUMENTS = 64
"""Arguments of λ at which it is first sampled."""
SHARPENED = 4
"""How many of the best samples are improved by a local search."""


@dataclass(frozen=True)
class KreissConstant:
    """The largest (|λ| − 1)‖(λ − D − zE)^{-1}‖₂ found, a lower bound of 𝒦 and of sup ‖J_T^k‖, and where it is.

    Arguments
        value: the number.
        z: the point of the unit circle.
        eigenvalue: λ, outside the circle.
    """

    value: float
    z: complex
    eigenvalue: complex


@checked
def kreiss_constant(system: AnySystem, beta: float, step_size: StepSize) -> KreissConstant:
    """Return the largest value of (|λ| − 1)‖(λ − D − zE)^{-1}‖₂ found over |z| = 1, |λ| > 1.

    Every value is a lower bound of sup over T and k of ‖J_T^k‖₂; the supremum is at most e (n+m) times 𝒦.  Found on a
    grid and improved by Nelder–Mead, so 𝒦 itself may be larger.

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.

    Raises
        StepSizeError: r > 1, so that 𝒦 is infinite.
        ParameterError: the system is time-varying, or beta is negative.
    """
    pair, weight = step_sizes(step_size), goal_weight("beta", beta)
    radius = uniform_rate(system, weight, pair)
    if radius > 1.0:
        raise StepSizeError(
            "step_size",
            "step sizes with r <= 1",
            f"{step_size!r} with r = {radius:.6g}",
            "best_uniform_step_size",
        )
    D, E = (blocks[0] for blocks in update_blocks(all_steps(time_invariant(system), weight), pair))

    def values(points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, 3) of arg z, arg λ, log(|λ| − 1) -> (K,)."""
        z = np.exp(1j * points[:, 0])[:, None, None]
        excess = np.exp(points[:, 2])
        shift = ((1.0 + excess) * np.exp(1j * points[:, 1]))[:, None, None] * np.eye(len(D))
        return np.asarray(excess / _smallest_singular_value(shift - D - z * E))

    grid = np.stack(
        np.meshgrid(
            sample_angles(system),
            np.linspace(-np.pi, np.pi, ARGUMENTS, endpoint=False),
            np.log(RADII - 1.0),
            indexing="ij",
        ),
        axis=-1,
    ).reshape(-1, 3)
    sampled = values(grid)
    best_value, best = 0.0, grid[0]
    for index in np.argsort(sampled)[-SHARPENED:]:
        found = minimize(lambda p: -float(values(p[None])[0]), grid[index], method="Nelder-Mead")
        if -found.fun > best_value:
            best_value, best = float(-found.fun), found.x
    eigenvalue = (1.0 + np.exp(best[2])) * np.exp(1j * best[1])
    return KreissConstant(best_value, complex(np.exp(1j * best[0])), complex(eigenvalue))


def _smallest_singular_value(matrices: Complex[np.ndarray, "K d d"]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.svd(matrices, compute_uv=False)[:, -1])
