"""Theorem 2: the smoothness constant of shooting explodes with the horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex
from scipy.linalg import eig

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import LinearSystem, shooting
from linear_systems.checked import checked
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import horizon_of

REAL_TOLERANCE = 1e-12
"""An eigenvalue counts as real if |Im λ| is at most this times |λ|: conjugate pairs come out exact in LAPACK."""


@dataclass(frozen=True)
class Mode:
    """A left eigenpair of A and how strongly the actions reach it.

    Arguments
        eigenvalue: λ with Aᵀ v = λ v.
        vector: v, of unit length.
        gain: μ = ‖Bᵀ v‖₂, the largest |⟨v, B w⟩| over unit w.
        condition: relative condition number of the bound 2 μ² |λ|^{2(T-1)} per unit roundoff and step.
    """

    eigenvalue: complex
    vector: Complex[np.ndarray, " n"]
    gain: float
    condition: float


@checked
def modes(system: LinearSystem) -> tuple[Mode, ...]:
    """Return every left eigenpair of A with its gain μ = ‖B* v‖₂, largest |λ| first."""
    eigenvalues, left, right = eig(system.A, left=True, right=True)
    norm_a, norm_b = float(np.linalg.norm(system.A, 2)), float(np.linalg.norm(system.B, 2))
    found = []
    for index, eigenvalue in enumerate(eigenvalues):
        # SciPy's left vectors satisfy vᴴ A = λ vᴴ; their conjugates satisfy Aᵀ v = λ v.
        v = np.asarray(left[:, index].conj(), dtype=np.complex128)
        gain = float(np.linalg.norm(system.B.T @ v))
        alignment = abs(np.vdot(left[:, index], right[:, index]))
        shifted = np.linalg.svd(system.A.T - eigenvalue * np.eye(system.state_dim), compute_uv=False)
        separation = shifted[-2] if system.state_dim > 1 else np.inf
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            eigenvalue_condition = np.float64(norm_a) / (np.float64(abs(eigenvalue)) * alignment)
            vector_condition = np.float64(norm_b) / gain * (np.float64(norm_a) / separation)
            condition = float(np.nan_to_num(eigenvalue_condition + vector_condition, nan=np.inf))
        found.append(Mode(complex(eigenvalue), v, gain, max(condition, 1.0)))
    return tuple(sorted(found, key=lambda mode: -abs(mode.eigenvalue)))


@checked
def shooting_smoothness(system: LinearSystem, horizon: int, mode: Mode | None = None) -> TheoremCheck:
    """Compare log L_S with the exponential lower bound of Theorem 2.

    Setting
        J_S(a) = ‖C_T a − (g − A^T s_0)‖², L_S = λ_max(2 C_Tᵀ C_T).
    Statement
        L_S ≥ 2 μ² |λ|^{2(T−1)}, here on the scale of natural logarithms, where nothing overflows.
    Source
        Theorem 2, Eq. (23).
    Assumptions
        λ real with |λ| > 1; μ > 0.  (Neither is needed for the inequality itself, which holds for every
        complex eigenvalue: |v* A^{T−1} B w| = |λ|^{T−1} |v* B w| for complex w, and the real matrix C_T has
        the same norm over the complex vectors.  |λ| > 1 makes it grow.)
    Arguments
        system: (n, n) and (n, m) matrices.
        horizon: T ≥ 1, in model steps.
        mode: the eigenpair; by default the one with the largest bound at this horizon.
    Returns
        A record with computed = log L_S, bound = log(2 μ² |λ|^{2(T−1)}), and in `quantities`
        "mu", "modulus", and "log_geometric_bound" = log(2 μ² Σ_{k<T} |λ|^{2k}), which is never smaller and also
        valid: v* W_T v = Σ_k ‖B* (Aᵀ)^k v‖² = μ² Σ_k |λ|^{2k}.  It is exact for n = 1.
    Raises
        HorizonError.
    """
    steps = horizon_of(system, horizon)
    chosen = mode or max(modes(system), key=lambda candidate: log_bound(candidate, steps))
    modulus = abs(chosen.eigenvalue)
    log_smoothness = shooting.log_lipschitz(system, steps)
    # d log(bound) = 2 (T−1) d|λ|/|λ| + 2 dμ/μ, each relative error being eps times its condition number.
    allowance = rounding_allowance(1.0, system.state_dim + steps, 2.0 * chosen.condition)
    return TheoremCheck(
        computed=log_smoothness,
        bound=log_bound(chosen, steps),
        relation=">=",
        allowance=allowance,
        assumptions={
            "λ is real": abs(chosen.eigenvalue.imag) <= REAL_TOLERANCE * modulus,
            "|λ| > 1": modulus > 1.0,
            "μ > 0": chosen.gain > 0.0,
        },
        quantities={
            "mu": chosen.gain,
            "modulus": modulus,
            "log_geometric_bound": log_geometric_bound(chosen, steps),
        },
    )


def log_bound(mode: Mode, horizon: int) -> float:
    """Return log(2 μ² |λ|^{2(T−1)}), the bound of Eq. (23); -inf where it is zero."""
    if mode.gain == 0.0 or (mode.eigenvalue == 0 and horizon > 1):
        return -np.inf
    growth = 2.0 * (horizon - 1) * np.log(abs(mode.eigenvalue)) if horizon > 1 else 0.0
    return float(np.log(2.0) + 2.0 * np.log(mode.gain) + growth)


def log_geometric_bound(mode: Mode, horizon: int) -> float:
    """Return log(2 μ² Σ_{k<T} |λ|^{2k}), a better bound, summed on a log scale; -inf where it is zero."""
    if mode.gain == 0.0:
        return -np.inf
    if mode.eigenvalue == 0:
        return float(np.log(2.0) + 2.0 * np.log(mode.gain))
    exponents = 2.0 * np.arange(horizon) * np.log(abs(mode.eigenvalue))
    return float(np.log(2.0) + 2.0 * np.log(mode.gain) + np.logaddexp.reduce(exponents))
