"""The lifted problem min_z ‖Mz − b‖²: its residual matrix, smoothness and conditioning.

z = (s_1; ...; s_{T−1}; a_0; ...; a_{T−1}), and block t of Mz − b is the residual r_t = A_t s_t + B_t a_t − s_{t+1}
with s_0 and s_T = g fixed.  (The paper's list of rows writes block t = 0 with the opposite sign; the sign of
a row changes neither the loss nor MᵀM.)  Spectra are those of MMᵀ, block tridiagonal of order nT:

    (MMᵀ)_{tt} = A_tA_tᵀ [t > 0] + B_tB_tᵀ + I [t < T−1],   (MMᵀ)_{t,t−1} = −A_t.

For a time-invariant system it is a finite section of the Laurent operator with the symbol

    Φ(ω) = (e^{iω}I − A)(e^{iω}I − A)* + BBᵀ = G − e^{iω}Aᵀ − e^{−iω}A,   G = I + AAᵀ + BBᵀ,

less positive semidefinite terms in its first and last blocks.
"""

from __future__ import annotations

import math

import numpy as np
from flint import arb
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular
from scipy.optimize import minimize_scalar
from scipy.sparse import coo_array, csr_array

from linear_systems.checked import checked
from linear_systems.conditioning.reachability import unreachable_dimension
from linear_systems.conditioning.spectra import banded_largest_eigenvalue, enclose
from linear_systems.errors import FloatOverflowError, InvalidInputError, RankError
from linear_systems.exact.balls import resolved
from linear_systems.exact.eigenvalue_counts import log2_smallest, residual_gram_counter
from linear_systems.rounding import rounding_allowance
from linear_systems.system import AnySystem, LinearSystem
from linear_systems.validation import horizon_of, vector

__all__ = [
    "condition_number",
    "hessian",
    "lipschitz",
    "lipschitz_bound",
    "lipschitz_limit",
    "residual_matrix",
    "right_hand_side",
    "theorem_3_bound",
]

LONG_HORIZON = 20_000
"""Horizon from which counting eigenvalues of a time-invariant system is faster than factorising its band."""
FREQUENCIES = 33
"""Frequencies in [0, π] at which the search for the worst one starts."""
REDUCTION_STEPS = 64
"""Steps of cyclic reduction, each of which doubles the stretch of time that is tested."""
CONDITION_TOLERANCE = 1e-9
"""Relative error above which κ is not taken from float64."""


@checked
def residual_matrix(system: AnySystem, horizon: int) -> csr_array:
    """Return M, sparse, (nT, n(T−1) + mT): Mz − b stacks r_t = A_t s_t + B_t a_t − s_{t+1}, t = 0..T−1.

    Columns are ordered z = (s_1; ...; s_{T−1}; a_0; ...; a_{T−1}).

    Source: Eq. (19)–(20), (32) and the list of rows before Theorem 2.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError.
    """
    A, B = system.matrices(horizon_of(system, horizon))
    n, m = system.state_dim, system.action_dim
    steps = np.arange(horizon)[:, None, None]
    rows, states, actions = np.arange(n)[:, None], np.arange(n), np.arange(m)
    row = n * steps + rows
    state_column = n * (steps - 1) + states
    action_column = n * (horizon - 1) + m * steps + actions
    eye_row = np.arange(n * (horizon - 1))
    entries = (
        (A[1:], row[1:], state_column[1:]),
        (B, row, action_column),
        (-np.ones(n * (horizon - 1)), eye_row, eye_row),
    )
    values, i, j = (
        np.concatenate([np.broadcast_to(entry[k], entry[0].shape).ravel() for entry in entries])
        for k in range(3)
    )
    return csr_array(coo_array((values, (i, j)), shape=(n * horizon, n * (horizon - 1) + m * horizon)))


def right_hand_side(
    system: AnySystem, horizon: int, initial_state: ArrayLike, goal: ArrayLike
) -> Float[np.ndarray, " nT"]:
    """Return b of Mz − b: −A_0 s_0 in block 0, plus g in block T−1, 0 elsewhere.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        initial_state: s_0, (n,).
        goal: g = s_T, (n,).

    Source: Eq. (20) and the list of rows before Theorem 2.

    Raises
        HorizonError, ShapeError, DTypeError, NonFiniteError.
    """
    A, _ = system.matrices(horizon_of(system, horizon))
    blocks = np.zeros((horizon, system.state_dim))
    blocks[0] -= A[0] @ vector("initial_state", initial_state, system.state_dim)
    blocks[-1] += vector("goal", goal, system.state_dim)
    return blocks.ravel()


@checked
def hessian(system: AnySystem, horizon: int) -> csr_array:
    """Return the sparse Hessian H_L = 2 MᵀM of J_L(z) = ‖Mz − b‖².

    Source: Eq. (31).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError.
    """
    M = residual_matrix(system, horizon)
    return csr_array(2.0 * (M.T @ M))


@checked
def theorem_3_bound(system: AnySystem) -> float:
    """Return the paper's bound 6 (1 + ‖A‖² + ‖B‖²) >= L_L at every horizon; norms are maxima over t.

    Proof: ‖x + y + z‖² <= 3(‖x‖² + ‖y‖² + ‖z‖²) for each residual, and each s_t occurs in two of them.

    Source: Theorem 3, Eq. (31).

    Arguments
        system: the dynamics, n states and m actions.

    Raises
        FloatOverflowError.
    """
    a, b = _largest_norm(system.A), _largest_norm(system.B)
    return _representable(6.0 * (1.0 + a * a + b * b), "6 (1 + ‖A‖² + ‖B‖²)")


@checked
def lipschitz_bound(system: AnySystem) -> float:
    """Return the bound 2 ((1 + ‖A‖)² + ‖B‖²) >= L_L at every horizon; norms are maxima over t.

    Proof: M = [N − E, D] with N holding the A_t (t >= 1) and E the identities, each with at most one block
    in a row or column, and D = diag(B_t).  So ‖M‖² <= ‖N − E‖² + ‖D‖² <= (max‖A_t‖ + 1)² + max‖B_t‖², and
    L_L = 2‖M‖².

    It is never above `theorem_3_bound`, since (1 + a)² <= 2 + 2a² <= 3(1 + a²).  For n = 1 it is attained as
    T → ∞.

    Source: a sharper form of Theorem 3, Eq. (31).

    Arguments
        system: the dynamics, n states and m actions.

    Raises
        FloatOverflowError.
    """
    return _operator_bound(system.A, system.B)


@checked
def lipschitz(system: AnySystem, horizon: int) -> float:
    """Return L_L = λmax(H_L) = 2 λmax(MMᵀ), the Lipschitz constant of ∇J_L, to a few roundings.

    MMᵀ is banded, and a trial of `banded_largest_eigenvalue` costs O(n³ T).  For a time-invariant system the
    search starts from `lipschitz_limit`, which is O(1/T²) above, so that L_L <= limit also as computed; beyond
    LONG_HORIZON a trial counts eigenvalues instead, in O(n³ log T) without forming the band.

    Source: Eq. (31).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; FloatOverflowError.
    """
    A, B = system.matrices(horizon_of(system, horizon))
    if horizon == 1:
        b = float(np.linalg.norm(B[0], 2))
        return _representable(2.0 * b * b, "L_L")
    bound = lipschitz_limit(system) if isinstance(system, LinearSystem) else _operator_bound(A[1:], B)
    upper = bound / 2.0
    tolerance = rounding_allowance(upper, 2 * system.state_dim)
    if _long(system, horizon):
        return 2.0 * resolved(lambda: _largest_by_counting(system, horizon, upper, tolerance), "L_L")
    return 2.0 * banded_largest_eigenvalue(_gram_band(A, B), 0.0, upper, tolerance)[1]


@checked
def lipschitz_limit(system: AnySystem) -> float:
    """Return sup_T L_L(T) = lim L_L(T) = 2 max_ω λmax(Φ(ω)) of a time-invariant system, to a few roundings.

    Proof: extended by zeros to all of ℤ, y has yᵀMMᵀy = ⟨y, Φy⟩ − ‖Aᵀy_0‖² − ‖y_{T−1}‖², the last two for the
    fixed s_0 and s_T.  So L_L(T) <= 2 max λmax(Φ).  The wave y_t = sin(π(t+1)/(T+1)) e^{iωt} v at the maximising
    (ω, v) attains it up to O(1/T²).  L_L(T) grows with T, because M_T is a part of M_{T+1}.

    Method: whether λI − Φ(ω) > 0 at every ω is decided by `_dominates`, without a grid; a local search over
    ω supplies the lower end.

    Source: a sharper form of Theorem 3, Eq. (31).

    Raises
        InvalidInputError for a time-varying system; FloatOverflowError.
    """
    if not isinstance(system, LinearSystem):
        raise InvalidInputError(
            "system",
            "a LinearSystem, whose matrices do not vary with time",
            type(system).__name__,
            "use lipschitz(system, horizon) or lipschitz_bound(system)",
        )
    A, B = system.A, system.B
    upper = lipschitz_bound(system) / 2.0
    G = np.eye(system.state_dim) + A @ A.T + B @ B.T
    floor = _largest_over_frequency(A, G)
    _, limit = enclose(
        lambda level: floor if _dominates(level, A, G) else None,
        min(floor, upper),
        upper,
        rounding_allowance(upper, system.state_dim),
    )
    return 2.0 * limit


@checked
def condition_number(system: AnySystem, horizon: int) -> float:
    """Return κ(H_L) on the row space of M: the largest over the smallest nonzero eigenvalue of MMᵀ.

    Mᵀ has a null space of dimension n − rank(C_T): y with y_{t−1} = A_tᵀy_t and B_tᵀy_t = 0 is fixed by
    y_{T−1} ∈ ker C_Tᵀ.  That rank is decided by `unreachable_dimension`.  The smallest nonzero eigenvalue
    comes from banded Cholesky where MMᵀ is well conditioned, and else, at any κ, from counting eigenvalues
    in ball arithmetic.  The relative error is at most CONDITION_TOLERANCE.

    Source: the Hessian of Eq. (31).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.

    Raises
        HorizonError; RankError if M = 0 (T = 1 and B = 0); FloatOverflowError; PrecisionLossError.
    """
    largest = bound = lipschitz(system, horizon) / 2.0
    null = unreachable_dimension(system, horizon)
    if null == system.state_dim * horizon:
        raise RankError("system", "a nonzero residual matrix M", "T = 1, B = 0", "pass a nonzero B or T >= 2")
    if null == 0 and not _long(system, horizon):
        band = _gram_band(*system.matrices(horizon))
        error = rounding_allowance(largest, band.shape[0])
        lower, upper = banded_largest_eigenvalue(-band, -largest, 0.0, error)
        if upper - lower + 2.0 * error <= -upper * CONDITION_TOLERANCE:
            return -2.0 * largest / (lower + upper)
        bound = error - lower
    log2 = resolved(
        lambda: log2_smallest(
            residual_gram_counter(system, horizon), null, math.log2(bound), CONDITION_TOLERANCE
        ),
        "The smallest nonzero eigenvalue of MMᵀ",
    )
    return math.exp2(math.log2(largest) - log2)


def _operator_bound(A: Float[np.ndarray, "*t n n"], B: Float[np.ndarray, "*u n m"]) -> float:
    a, b = _largest_norm(A), _largest_norm(B)
    return _representable(2.0 * ((1.0 + a) * (1.0 + a) + b * b), "2 ((1 + ‖A‖)² + ‖B‖²)")


def _largest_norm(matrices: Float[np.ndarray, "*T p q"]) -> float:
    return float(np.max(np.linalg.norm(matrices, 2, axis=(-2, -1))))


def _representable(value: float, quantity: str) -> float:
    if not math.isfinite(value):
        raise FloatOverflowError(f"{quantity} exceeds float64. Try: rescale the states and the actions.")
    return value


def _long(system: AnySystem, horizon: int) -> bool:
    return isinstance(system, LinearSystem) and horizon > LONG_HORIZON


def _largest_by_counting(system: AnySystem, horizon: int, upper: float, tolerance: float) -> float:
    below = residual_gram_counter(system, horizon)
    order = system.state_dim * horizon
    # The first trial is moved off `upper`, which may be an eigenvalue exactly; counting would not resolve it.
    start = upper + tolerance
    _, found = enclose(lambda trial: 0.0 if below(arb(trial)) == order else None, 0.0, start, tolerance)
    return min(found, upper)


def _gram_band(A: Float[np.ndarray, "T n n"], B: Float[np.ndarray, "T n m"]) -> Float[np.ndarray, "k nT"]:
    """Return MMᵀ in LAPACK's lower band storage: band[i − j, j] = (MMᵀ)_ij, 2n diagonals."""
    horizon, n, _ = A.shape
    diagonal = B @ B.transpose(0, 2, 1)
    diagonal[1:] += A[1:] @ A[1:].transpose(0, 2, 1)
    diagonal[:-1] += np.eye(n)
    band = np.zeros((2 * n, n * horizon), order="F")
    for i in range(n):
        for j in range(n):
            if i >= j:
                band[i - j, j::n] = diagonal[:, i, j]
            band[n + i - j, j : n * (horizon - 1) : n] = -A[1:, i, j]
    return band


def _largest_over_frequency(A: Float[np.ndarray, "n n"], G: Float[np.ndarray, "n n"]) -> float:
    """Return λmax(Φ(ω)) at the best ω that a grid and a local search find: a lower bound of the maximum."""

    def top(omega: float) -> float:
        z = np.exp(1j * omega)
        return float(np.linalg.eigvalsh(G - z * A.T - A / z)[-1])

    grid = np.linspace(0.0, np.pi, FREQUENCIES)
    values = [top(omega) for omega in grid]
    best = int(np.argmax(values))
    around = grid[max(best - 1, 0)], grid[min(best + 1, FREQUENCIES - 1)]
    found = minimize_scalar(lambda omega: -top(omega), bounds=around, method="bounded")
    return max(values[best], -float(found.fun))


def _dominates(level: float, A: Float[np.ndarray, "n n"], G: Float[np.ndarray, "n n"]) -> bool:
    """Return whether λI − Φ(ω) = Q + e^{iω}Aᵀ + e^{−iω}A is found positive definite at every ω; Q = λI − G.

    Cyclic reduction: the block tridiagonal Toeplitz operator with blocks (Aᵀ, Q, A) is positive definite
    exactly if Q is, and so is the Schur complement that eliminating every other block leaves, which is
    block tridiagonal Toeplitz again:

        Q ← Q − E Q⁻¹Eᵀ − EᵀQ⁻¹E,   E ← −E Q⁻¹E   (E = A at first; its sign does not matter).

    After k steps sections of 2^k blocks are decided.  The reduction ends where ‖L⁻¹E L⁻ᵀ‖ < 1/2, Q = LLᵀ,
    since then Q + zEᵀ + z̄E > 0 on |z| = 1.  It is Cholesky in a permuted order, with its backward stability.
    The distance of λ from the threshold grows fourfold a step, so REDUCTION_STEPS are more than float64 needs.
    """
    Q, E = level * np.eye(A.shape[0]) - G, A
    for _ in range(REDUCTION_STEPS):
        try:
            L = np.linalg.cholesky(Q)
        except np.linalg.LinAlgError:
            return False
        down = solve_triangular(L, E, lower=True)
        if np.linalg.norm(solve_triangular(L, down.T, lower=True), 2) < 0.5:
            return True
        up = solve_triangular(L, E.T, lower=True)
        Q, E = Q - down.T @ down - up.T @ up, up.T @ down
    return False
