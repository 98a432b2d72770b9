"""The Langevin flow of the lifted problem with noise on the states only (Appendix A.3), for linear dynamics.

    dz = −N ∇J_L(z) dτ + σ (dW; 0),   J_L = ‖Mz − b‖²,   z = (s_1..s_{T−1}; a_0..a_{T−1}),   N = diag(η_s I,
    η_a I).

The residual w = Mz − b obeys dw = −2 M N Mᵀ w dτ + σ M_s dW, an Ornstein–Uhlenbeck process of its own.
With the singular value decomposition M N^{1/2} = U S Vᵀ and V_s the rows of V that belong to states, its
stationary Lyapunov equation K P + P K = (σ²/2) M_s M_sᵀ, K = M N Mᵀ, is solved entry by entry: M_s = U S
V_sᵀ/√η_s, so

    (Uᵀ P U)_ij = (σ²/2η_s) · s_i s_j/(s_i² + s_j²) · (V_sᵀ V_s)_ij   (V here indexed by singular vectors),

in which nothing is divided by a small number.  Along ker Mᵀ the residual is constant.  Along v ∈ ker M
there is no drift: the coordinate vᵀN⁻¹z is a Brownian motion of rate σ² ‖v_s‖²/η_s², and conserved if v_s =
0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.conditioning import lifted
from linear_systems.conditioning.reachability import unreachable_dimension
from linear_systems.errors import NotSymmetricError, ParameterError, ShapeError
from linear_systems.rounding import rounding_allowance
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, horizon_of, positive_float, real_array, square, step_sizes


@dataclass(frozen=True, eq=False)
class OrnsteinUhlenbeckLaw:
    """What the state-noised Langevin flow converges to, and what it does not.

    Arguments
        residual_covariance: (nT, nT), stationary covariance P of w = Mz − b (blocks r_0..r_{T−1}).
        mean_energy: trace P, by which E J_L exceeds min J_L in the stationary state.
        relaxation_rates: (r,), ascending: the rates 2s_i² at which residuals relax; 1/rate is a time of the flow.
        frozen_residuals: (nT, nT − r), orthonormal basis of ker Mᵀ, along which the residual stays what it was.
        diffusing_directions: (N, p), flat directions v (Mv = 0) in which z diffuses without bound; orthonormal in
            the metric N⁻¹.
        diffusion_rates: (p,), ascending: the variance that vᵀN⁻¹z gains per unit time.
        conserved_directions: (N, q), flat directions, orthonormal in N⁻¹, along which vᵀN⁻¹z never changes: moves
            of actions alone, v = (0, v_a) with B_t v_a,t = 0.
    z itself has a stationary law only where p = 0; what remains of it then still depends on the start along
    the conserved directions.
    """

    residual_covariance: Float[np.ndarray, "nT nT"]
    mean_energy: float
    relaxation_rates: Float[np.ndarray, " r"]
    frozen_residuals: Float[np.ndarray, "nT frozen"]
    diffusing_directions: Float[np.ndarray, "N p"]
    diffusion_rates: Float[np.ndarray, " p"]
    conserved_directions: Float[np.ndarray, "N q"]


@checked
def ornstein_uhlenbeck(
    system: AnySystem, horizon: int, step_size: StepSize, sigma: float
) -> OrnsteinUhlenbeckLaw:
    """Return the stationary law of the flow above, on the subspace where it exists, and the rest described.

    The rank of M is n(T−1) + the dimension of the reachable subspace, decided as everywhere in the package;
    the cost is that of a dense decomposition of order (n + m)T.  Source: Appendix A.3, Eq. (56)-(57).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        sigma: σ >= 0 of the noise of one step, in units of the states.

    Raises
        HorizonError, StepSizeError, ParameterError.
    """
    eta_s, eta_a = step_sizes(step_size)
    variance = square("sigma", positive_float("sigma", sigma, allow_zero=True))
    M, rank, states = _residual_matrix(system, horizon)
    scale = np.sqrt(np.repeat((eta_s, eta_a), (states, M.shape[1] - states)))
    u, s, vt = np.linalg.svd(M * scale)
    v_s = vt[:, :states].T
    flat, s = v_s[:, rank:], s[:rank]

    ratios = s[:, None] * s / (s[:, None] ** 2 + s**2)
    core = variance / (2 * eta_s) * ratios * (v_s[:, :rank].T @ v_s[:, :rank])
    covariance = u[:, :rank] @ core @ u[:, :rank].T

    # The flat directions, turned to the principal axes of their state parts.  Exactly dim ker M_a have none.
    _, sizes, axes = np.linalg.svd(flat)
    conserved = _kernel_dimension(system, horizon)
    directions = scale[:, None] * (vt[rank:].T @ axes.T)[:, ::-1]
    rates = np.zeros(directions.shape[1])
    rates[directions.shape[1] - sizes.size :] = variance / eta_s * sizes[::-1] ** 2
    return OrnsteinUhlenbeckLaw(
        residual_covariance=(covariance + covariance.T) / 2,
        mean_energy=float(np.trace(covariance)),
        relaxation_rates=2 * s[::-1] ** 2,
        frozen_residuals=u[:, rank:],
        diffusing_directions=directions[:, conserved:],
        diffusion_rates=rates[conserved:],
        conserved_directions=directions[:, :conserved],
    )


@checked
def inverse_temperature(step_size: StepSize, sigma: float) -> float:
    """Return β = 2η_s/σ², for which ds = −η_s ∇L ds + σ dW has the law ∝ exp(−βL) as its limit.

    Source: Eq. (56).

    Arguments
        step_size: η_s > 0, or a pair whose first is taken.
        sigma: σ > 0 of the noise.

    Raises
        StepSizeError; ParameterError: σ is not positive.
    """
    return 2 * step_sizes(step_size)[0] / square("sigma", positive_float("sigma", sigma))


@checked
def boltzmann_residual_covariance(
    system: AnySystem, horizon: int, inverse_temperature: float
) -> Float[np.ndarray, "nT nT"]:
    """Return the covariance of w = Mz − b under δ(a = a*(s)) exp(−β L_dyn), the law that Eq. (57) suggests.

    a*(s) leaves w = Π (M_s s − b) with Π = I − M_a M_a⁺, and s has the density exp(−β‖w‖²) where w depends on
    it, so w is Gaussian with covariance (1/2β) times the projection onto range(Π M_s).  Source: Eq. (57).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        inverse_temperature: β > 0.

    Raises
        HorizonError, ParameterError.
    """
    weight = 1 / (2 * positive_float("inverse_temperature", inverse_temperature))
    M, rank, states = _residual_matrix(system, horizon)
    action_rank = M.shape[1] - states - _kernel_dimension(system, horizon)
    basis = np.linalg.svd(M[:, states:])[0]
    outside = basis[:, action_rank:]
    left = outside @ np.linalg.svd(outside.T @ M[:, :states])[0][:, : rank - action_rank]
    return np.asarray(weight * (left @ left.T))


@checked
def gibbs_residual_covariance(
    system: AnySystem, horizon: int, inverse_temperature: float
) -> Float[np.ndarray, "nT nT"]:
    """Return the covariance of w = Mz − b under exp(−β J_L): (1/2β) times the projection onto range(M).

    It is that of the flow with noise of covariance 2N/β on states and actions alike, at every N.  The density
    cannot be normalised along ker M, which w does not see.  Source: Eq. (56).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        inverse_temperature: β > 0.

    Raises
        HorizonError, ParameterError.
    """
    weight = 1 / (2 * positive_float("inverse_temperature", inverse_temperature))
    M, rank, _ = _residual_matrix(system, horizon)
    left = np.linalg.svd(M)[0][:, :rank]
    return np.asarray(weight * (left @ left.T))


@checked
def wasserstein2(first: ArrayLike, second: ArrayLike) -> float:
    """Return the 2-Wasserstein distance between N(0, P) and N(0, Q), for P = `first`, Q = `second` (n, n).

    It is the Bures distance min over orthogonal R of ‖P^{1/2} − Q^{1/2} R‖_F, evaluated in this form, in
    which nothing cancels.  Where P or Q is singular, a perturbation of size ε of its entries moves the
    distance by √ε.

    Raises
        NotSymmetricError: a matrix is not exactly symmetric.
        ParameterError: an eigenvalue is negative beyond rounding.
        ShapeError, DTypeError, NonFiniteError.
    """
    roots = [_square_root(name, value) for name, value in (("first", first), ("second", second))]
    if roots[0].shape != roots[1].shape:
        raise ShapeError(
            "second", f"shape {roots[0].shape} like first", f"{roots[1].shape}", "compare equal dimensions"
        )
    u, _, vt = np.linalg.svd(roots[1].T @ roots[0])
    return float(np.linalg.norm(roots[0] - roots[1] @ (u @ vt)))


def _residual_matrix(system: AnySystem, horizon: int) -> tuple[NDArray[np.float64], int, int]:
    """Return M (dense), its rank, and the number of columns that belong to states."""
    steps = horizon_of(system, horizon)
    states = system.state_dim * (steps - 1)
    rank = states + system.state_dim - unreachable_dimension(system, steps)
    return lifted.residual_matrix(system, steps).toarray(), rank, states


def _kernel_dimension(system: AnySystem, horizon: int) -> int:
    """Return dim ker M_a = Σ_t dim ker B_t."""
    _, B = system.matrices(horizon)
    return horizon * system.action_dim - int(np.linalg.matrix_rank(B).sum())


def _square_root(argument: str, value: ArrayLike) -> NDArray[np.float64]:
    matrix = real_array(argument, value, ndim=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(argument, "a square matrix", f"shape {matrix.shape}", "pass a covariance (n, n)")
    if not np.array_equal(matrix, matrix.T):
        gap = np.abs(matrix - matrix.T).max()
        raise NotSymmetricError(
            argument, "an exactly symmetric matrix", f"asymmetry {gap:.3g}", "pass (P + P.T) / 2"
        )
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -rounding_allowance(float(np.abs(values).max()), len(values)):
        raise ParameterError(
            argument, "a positive semidefinite matrix", f"eigenvalue {values[0]:.3g}", "pass a covariance"
        )
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)
