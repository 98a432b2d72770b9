"""What a linear system is, read off its matrices: growth, reachability, departure from normality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from linear_systems.checked import checked
from linear_systems.conditioning.reachability import unreachable_dimension
from linear_systems.rounding import EPS, rounding_allowance
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import positive_float

__all__ = ["Facts", "facts"]


@dataclass(frozen=True)
class Facts:
    """Figures of a system with transition matrix Φ = A, or A_{T-1}…A_0 if it varies over T steps.

    Arguments
        spectral_radius: ρ(Φ), or ρ(Φ)^{1/T}: the growth per step of the slowest mode.
        unstable_modes: how many eigenvalues of Φ lie outside the unit circle, beyond what errors explain.
        reachable_rank: the dimension of the set of states reachable from 0 in n steps (or T steps).
        action_rank: the smallest rank of a B_t.
        departure_from_normality: √(‖Φ‖_F² − Σ|λ_i|²) / ‖Φ‖_F, in [0, 1]; 0 for a normal Φ (Henrici).
        unstable_mode_distance: the smallest σ_min([λI − A, B]) over the unstable λ: 0 if one of them cannot
            be reached by any action.  None without unstable modes, or if the system varies in time.
    """

    spectral_radius: float
    unstable_modes: int
    reachable_rank: int
    action_rank: int
    departure_from_normality: float
    unstable_mode_distance: float | None


@checked
def facts(system: AnySystem, accuracy: float = EPS) -> Facts:
    """Return the figures of a system.

    Arguments
        system: time-invariant or time-varying.
        accuracy: the error of the entries of A and B, relative to the largest entry; it decides which
            eigenvalues count as outside the unit circle and which singular values of B as zero.

    Raises
        ParameterError.
    """
    accuracy = positive_float("accuracy", accuracy)
    n, length = system.state_dim, system.length or 1
    A, B = system.matrices(length)
    transition = np.eye(n)
    for a in A:
        transition = a @ transition
    eigenvalues = _eigenvalues(transition)
    # An error δ moves the eigenvalue of a 2 × 2 Jordan block (position and velocity of a free body) by √δ.
    margin = np.sqrt(_tolerance(transition, accuracy))
    unstable = eigenvalues[np.abs(eigenvalues) > 1.0 + margin]
    return Facts(
        spectral_radius=float(np.abs(eigenvalues).max()) ** (1.0 / length),
        unstable_modes=len(unstable),
        reachable_rank=n - unreachable_dimension(system, system.length or n),
        action_rank=min(int(np.linalg.matrix_rank(b, tol=_tolerance(b, accuracy))) for b in B),
        departure_from_normality=_departure_from_normality(transition, eigenvalues),
        unstable_mode_distance=_unstable_mode_distance(system, unstable),
    )


def _tolerance(matrix: Float[np.ndarray, "p q"], accuracy: float) -> float:
    """Return the spectral norm of the error that `matrix` may have."""
    return rounding_allowance(float(np.linalg.norm(matrix, 2)), max(matrix.shape), condition=accuracy / EPS)


def _eigenvalues(matrix: Float[np.ndarray, "n n"]) -> Complex[np.ndarray, " n"]:
    """Return the eigenvalues, block by block.

    The strongly connected components of the graph of non-zeros are the diagonal blocks of a block
    triangular form.  Going through them gives the eigenvalues of cascades, which are defective and which a
    general eigensolver scatters by ε^{1/n}, without that loss.
    """
    count, component = connected_components(csr_array(matrix != 0), directed=True, connection="strong")
    blocks = (np.flatnonzero(component == k) for k in range(count))
    return np.concatenate([np.linalg.eigvals(matrix[np.ix_(b, b)]) for b in blocks]).astype(np.complex128)


def _departure_from_normality(
    matrix: Float[np.ndarray, "n n"], eigenvalues: Complex[np.ndarray, " n"]
) -> float:
    squared = float(np.sum(matrix**2))
    excess = squared - float(np.sum(np.abs(eigenvalues) ** 2))
    return float(np.sqrt(max(0.0, excess) / squared)) if squared else 0.0


def _unstable_mode_distance(system: AnySystem, unstable: Complex[np.ndarray, " k"]) -> float | None:
    if not isinstance(system, LinearSystem) or not len(unstable):
        return None
    pencils = (np.hstack([z * np.eye(system.state_dim) - system.A, system.B]) for z in unstable)
    return float(min(np.linalg.svd(pencil, compute_uv=False)[-1] for pencil in pencils))
