"""Random systems with a chosen spectrum, conditioning and defect, for property tests and searches.

A = S Λ S⁻¹ with S = U diag(c) Vᵀ for random orthogonal U, V: eigenvalues, eigenvector conditioning and
defect are chosen and not hoped for.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.stats import ortho_group

from linear_systems.checked import checked
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem
from linear_systems.validation import positive_horizon, positive_integer

Kind = Literal["stable", "unstable", "complex", "defective", "non_normal", "rank_deficient"]
KINDS: tuple[Kind, ...] = ("stable", "unstable", "complex", "defective", "non_normal", "rank_deficient")
EIGENVECTOR_CONDITION = 1e6
"""Condition number of the eigenvectors of a "non_normal" system."""


@checked
def random_system(rng: np.random.Generator, n: int, m: int, kind: Kind) -> LinearSystem:
    """Draw a system of the given kind.

    "stable": real eigenvalues in (-0.95, 0.95); "unstable": one of modulus 1.05 to 1.4; "complex": rotations;
    "defective": one Jordan block; "non_normal": stable with eigenvector condition number 1e6;
    "rank_deficient": stable, with rank(B) < min(n, m) (B = 0 where min(n, m) = 1).
    """
    positive_integer("n", n), positive_integer("m", m)
    eigenvalues = rng.uniform(-0.95, 0.95, size=n)
    condition = EIGENVECTOR_CONDITION if kind == "non_normal" else 3.0
    core = np.diag(eigenvalues)
    if kind == "unstable":
        core[0, 0] = rng.choice([-1.0, 1.0]) * rng.uniform(1.05, 1.4)
    elif kind == "complex":
        core = _rotations(rng, n)
    elif kind == "defective":
        core = np.diag(np.full(n, rng.uniform(-1.05, 1.05))) + np.diag(np.ones(n - 1), 1)
    A = _similar(rng, core, condition)
    B = rng.standard_normal((n, m))
    if kind == "rank_deficient":
        u, s, vt = np.linalg.svd(B, full_matrices=False)
        s[-1] = 0.0
        B = (u * s) @ vt
    return LinearSystem(A, B)


@checked
def random_input_matrix(rng: np.random.Generator, n: int, m: int) -> Float[np.ndarray, "n m"]:
    """Draw B of full rank with singular values in [0.3, 3]."""
    positive_integer("n", n), positive_integer("m", m)
    u, _, vt = np.linalg.svd(rng.standard_normal((n, m)), full_matrices=False)
    return np.asarray((u * rng.uniform(0.3, 3.0, size=min(n, m))) @ vt)


@checked
def random_time_varying_system(
    rng: np.random.Generator, n: int, m: int, length: int, *, full_column_rank: bool = False
) -> TimeVaryingLinearSystem:
    """Draw a time-varying system whose steps are drawn independently, each of its own kind."""
    positive_horizon("length", length)
    kinds: tuple[Kind, ...] = ("stable", "unstable", "complex", "defective")
    steps = [random_system(rng, n, m, kinds[rng.integers(len(kinds))]) for _ in range(length)]
    B = [random_input_matrix(rng, n, m) if full_column_rank else step.B for step in steps]
    return TimeVaryingLinearSystem(np.stack([step.A for step in steps]), np.stack(B))


def _rotations(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    blocks = []
    for _ in range(n // 2):
        radius, angle = rng.uniform(0.3, 1.1), rng.uniform(0.1, np.pi - 0.1)
        c, s = radius * np.cos(angle), radius * np.sin(angle)
        blocks.append(np.array([[c, -s], [s, c]]))
    if n % 2:
        blocks.append(np.array([[rng.uniform(-0.9, 0.9)]]))
    return np.asarray(block_diag(*blocks))


def _similar(rng: np.random.Generator, core: NDArray[np.float64], condition: float) -> NDArray[np.float64]:
    n = core.shape[0]
    if n == 1:
        return core
    u, v = ortho_group.rvs(n, random_state=rng), ortho_group.rvs(n, random_state=rng)
    scales = np.geomspace(1.0, condition, n)
    return np.asarray((u * scales) @ v.T @ core @ v @ (u / scales).T)
