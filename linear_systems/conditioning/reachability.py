"""How many directions of the final state no action reaches, for a system known to float64 precision."""

from __future__ import annotations

import numpy as np
from flint import arb
from jaxtyping import Float

from linear_systems.checked import checked
from linear_systems.exact.balls import resolved
from linear_systems.exact.eigenvalue_counts import residual_gram_counter
from linear_systems.rounding import rounding_allowance
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem
from linear_systems.validation import horizon_of


@checked
def unreachable_dimension(system: AnySystem, horizon: int) -> int:
    """Return n − rank(C_T), the dimension of the null space of Mᵀ, with growth over time set apart from rank.

    The singular values of C_T confuse the two: a mode that grows dwarfs the others, and a mode that only rounding
    errors reach grows out of them.  So powers of A are avoided: see `reachable_basis` for a time-invariant
    system.  For a time-varying one, M itself is judged, since rank(C_T) = n − nT + rank(M): singular values of M
    below a rounding of ‖M‖ count as zero, that is, those that a change of A_t and B_t by a rounding could make zero.
    (Actions are first measured in units that make the largest ‖B_t‖ comparable to the rest of M.)
    """
    if isinstance(system, LinearSystem):
        return system.state_dim - int(reachable_basis(system, horizon).shape[1])
    A, B = system.matrices(horizon)
    a, b = (float(np.linalg.norm(x, 2, axis=(1, 2)).max()) for x in (A, B))
    if b == 0.0:
        return system.state_dim
    scale = 2.0 ** round(np.log2(1.0 + a) - np.log2(b))
    scaled = TimeVaryingLinearSystem(A, B * scale)
    threshold = (rounding_allowance(1.0 + a, system.state_dim)) ** 2
    return resolved(lambda: residual_gram_counter(scaled, horizon)(arb(threshold)), "The rank of M")


@checked
def reachable_basis(system: LinearSystem, horizon: int) -> Float[np.ndarray, "n r"]:
    """Return an orthonormal basis of range(C_T); it is the identity if that is all of R^n.

    range(C_{t+1}) = range(C_t) + A range(C_t) never shrinks and stops growing after n steps (Cayley–Hamilton).
    Each step judges A / ‖A‖ acting on an orthonormal basis: what a rounding of A or B could produce counts as zero.
    """
    steps = horizon_of(system, horizon)
    basis = _orthonormal(system.B)
    norm = float(np.linalg.norm(system.A, 2))
    for _ in range(min(steps, system.state_dim) - 1):
        if norm > 0.0:
            basis = _orthonormal(np.hstack([basis, system.A @ basis / norm]))
    return basis


def _orthonormal(columns: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n r"]:
    size = columns.shape[0]
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    rank = int(np.sum(s > rounding_allowance(s.max(initial=0.0), max(columns.shape))))
    return np.eye(size) if rank == size else u[:, :rank]
