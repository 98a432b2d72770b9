"""The shooting problem min_a ‖C_T a − (g − A^T s_0)‖²: its Hessian, smoothness and conditioning.

C_T is the controllability matrix and W_T = C_T C_Tᵀ the T-step controllability Gramian.  The Hessian
H_S = 2 C_TᵀC_T (mT × mT) has the nonzero eigenvalues of 2 W_T (n × n), so it is never formed here except by
`hessian`.  Two stretches of time with transition matrices Φ and Gramians W compose as

    (Φ₁, W₁) then (Φ₂, W₂)  =  (Φ₂Φ₁, W₂ + Φ₂ W₁ Φ₂ᵀ),

which is associative: doubling gives W_T in O(n³ log T) for a time-invariant system, and a balanced tree in
O(T n³) for a time-varying one.  It is evaluated in ball arithmetic, with a precision that grows until the
proved error is below a rounding of float64.  So results are right for the given floats also where A is far
from normal or a growing mode is hardly reachable, and W_T may lie far outside the range of float64.
"""

from __future__ import annotations

import math

import numpy as np
from flint import arb_mat
from jaxtyping import Float

from linear_systems.checked import checked
from linear_systems.conditioning.reachability import reachable_basis, unreachable_dimension
from linear_systems.errors import FloatOverflowError, PrecisionLossError, RankError
from linear_systems.exact.balls import (
    Scaled,
    ball_matrix,
    identity,
    largest_eigenvalue,
    negative_eigenvalues,
    resolved,
    to_floats,
    to_scaled_floats,
)
from linear_systems.exact.composition import compose
from linear_systems.exact.eigenvalue_counts import log2_smallest
from linear_systems.rounding import EPS
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import horizon_of

__all__ = [
    "condition_number",
    "controllability_matrix",
    "gramian",
    "hessian",
    "lipschitz",
    "log_condition_number",
    "log_lipschitz",
]

SENSITIVITY = 1e-3
"""How far a rounding of A and B may move log₂ κ where some directions are out of reach."""
Step = tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n m"]]


@checked
def controllability_matrix(system: AnySystem, horizon: int) -> Float[np.ndarray, "n mT"]:
    """Return C_T = [Φ(T,1) B_0, ..., Φ(T,T−1) B_{T−2}, B_{T−1}], where Φ(T,t) = A_{T−1} ··· A_t.

    Time-invariant: [A^{T−1}B, ..., AB, B], so that s_T = A^T s_0 + C_T (a_0; ...; a_{T−1}).

    Each block is right to a rounding of its largest entry: products of non-normal A_t formed in float64 lose
    many digits (a condition number of 1e6 of the eigenvectors costs λmax(H_S) up to ten).

    Source: Eq. (21).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; FloatOverflowError if an entry exceeds float64; PrecisionLossError.
    """
    steps, alike = _steps(system, horizon)

    def step(t: int) -> tuple[arb_mat, list[arb_mat]]:
        transition, block = (ball_matrix(x) for x in steps[t])
        return transition, [block]

    def join(
        first: tuple[arb_mat, list[arb_mat]], then: tuple[arb_mat, list[arb_mat]]
    ) -> tuple[arb_mat, list[arb_mat]]:
        return then[0] * first[0], [then[0] * block for block in first[1]] + then[1]

    def compute() -> Float[np.ndarray, "n mT"]:
        return np.hstack([to_floats(block) for block in compose(join, step, horizon, alike=alike)[1]])

    return _finite(resolved(compute, "C_T"), "C_T")


@checked
def gramian(system: AnySystem, horizon: int) -> Float[np.ndarray, "n n"]:
    """Return the controllability Gramian W_T = C_T C_Tᵀ, symmetric, with error about EPS · ‖W_T‖.

    Source: Eq. (21)–(22).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; FloatOverflowError if an entry exceeds float64; PrecisionLossError.
    """
    steps, alike = _steps(system, horizon)
    values, exponent = resolved(lambda: to_scaled_floats(_gramian(steps, horizon, alike)), "The Gramian")
    with np.errstate(over="ignore"):
        return _finite(np.ldexp(values, exponent), "W_T")


@checked
def hessian(system: AnySystem, horizon: int) -> Float[np.ndarray, "mT mT"]:
    """Return the dense Hessian H_S = 2 C_TᵀC_T of J_S(a) = ‖C_T a − (g − A^T s_0)‖².

    Source: below Eq. (22).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; FloatOverflowError if an entry exceeds float64.
    """
    C = controllability_matrix(system, horizon)
    with np.errstate(over="ignore", invalid="ignore"):
        return _finite(2.0 * C.T @ C, "H_S")


@checked
def lipschitz(system: AnySystem, horizon: int) -> float:
    """Return L_S = λmax(H_S) = 2 λmax(W_T), the Lipschitz constant of ∇J_S, to a few roundings.

    Source: Eq. (23).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; FloatOverflowError if it exceeds float64 (use `log_lipschitz`); PrecisionLossError.
    """
    return _lipschitz(system, horizon).to_float("L_S", "shooting.log_lipschitz")


@checked
def log_lipschitz(system: AnySystem, horizon: int) -> float:
    """Return ln L_S, at any magnitude of L_S; −inf if no action moves the final state.

    Source: Eq. (23).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError, PrecisionLossError.
    """
    return _lipschitz(system, horizon).log()


@checked
def condition_number(system: AnySystem, horizon: int) -> float:
    """Return κ(H_S) on the row space of C_T: the largest over the smallest nonzero eigenvalue of W_T.

    Which eigenvalues count as zero is decided by `unreachable_dimension`: by the rank of C_T for a system known
    to float64 precision, with growth over the horizon set apart from rank.

    Source: the Hessian below Eq. (22).

    Raises
        HorizonError; RankError if C_T = 0; FloatOverflowError if κ exceeds float64 (use
        `log_condition_number`); PrecisionLossError.
    """
    return _condition(system, horizon).to_float("κ(H_S)", "shooting.log_condition_number")


@checked
def log_condition_number(system: AnySystem, horizon: int) -> float:
    """Return ln κ(H_S) on the row space of C_T, at any magnitude of κ (see `condition_number`).

    Source: the Hessian below Eq. (22).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; RankError if C_T = 0; PrecisionLossError.
    """
    return _condition(system, horizon).log()


def _lipschitz(system: AnySystem, horizon: int) -> Scaled:
    steps, alike = _steps(system, horizon)
    top = resolved(lambda: largest_eigenvalue(_gramian(steps, horizon, alike)), "λmax(W_T)")
    return Scaled(2.0 * top.mantissa, top.exponent)


def _condition(system: AnySystem, horizon: int) -> Scaled:
    null = unreachable_dimension(system, horizon_of(system, horizon))
    if null == system.state_dim:
        raise RankError(
            "system", "an action that moves the final state", "C_T = 0", "pass a system with a nonzero B"
        )
    if null and isinstance(system, LinearSystem) and horizon >= system.state_dim:
        # The reachable subspace is invariant: leave the other directions out before they can grow.
        basis = reachable_basis(system, horizon)
        system, null = LinearSystem(basis.T @ system.A @ basis, basis.T @ system.B), 0
    log2 = _log2_condition(system, horizon, null)
    if null and not abs(_log2_condition(_rounded(system), horizon, null) - log2) <= SENSITIVITY:
        raise PrecisionLossError(
            "κ(H_S) changes with the last digits of A and B: a direction that only their rounding errors reach has "
            "grown past others. Try: a shorter horizon, or remove the states that no action reaches."
        )
    whole = math.floor(log2)
    return Scaled(math.exp2(log2 - whole), whole)


def _log2_condition(system: AnySystem, horizon: int, null: int) -> float:
    steps, alike = _steps(system, horizon)

    def compute() -> float:
        W = _gramian(steps, horizon, alike)
        top = largest_eigenvalue(W).log2()
        eye = identity(W.nrows())
        return top - log2_smallest(lambda shift: negative_eigenvalues(W - eye * shift), null, top)

    return resolved(compute, "The smallest nonzero eigenvalue of W_T")


def _rounded(system: AnySystem) -> AnySystem:
    """Return the system with every entry moved by about one rounding, up or down."""
    rng = np.random.default_rng(0)
    A, B = (x * (1.0 + 2.0 * EPS * rng.choice([-1.0, 1.0], size=x.shape)) for x in (system.A, system.B))
    return type(system)(A, B)


def _steps(system: AnySystem, horizon: int) -> tuple[list[Step], bool]:
    if isinstance(system, LinearSystem):
        horizon_of(system, horizon)
        return [(system.A, system.B)], True
    A, B = system.matrices(horizon)
    return list(zip(A, B, strict=True)), False


def _gramian(steps: list[Step], horizon: int, alike: bool) -> arb_mat:
    """Return W_T as balls at the current precision."""

    def step(t: int) -> tuple[arb_mat, arb_mat]:
        a, b = (ball_matrix(x) for x in steps[t])
        return a, b * b.transpose()

    def join(first: tuple[arb_mat, arb_mat], then: tuple[arb_mat, arb_mat]) -> tuple[arb_mat, arb_mat]:
        return then[0] * first[0], then[1] + then[0] * first[1] * then[0].transpose()

    return compose(join, step, horizon, alike=alike)[1]


def _finite(matrix: Float[np.ndarray, "p q"], name: str) -> Float[np.ndarray, "p q"]:
    if not np.isfinite(matrix).all():
        raise FloatOverflowError(
            f"{name} has entries beyond float64 (about 10^{math.log10(np.finfo(np.float64).max):.0f}). "
            "Try: shooting.log_lipschitz or shooting.log_condition_number, which need no such entries."
        )
    return matrix
