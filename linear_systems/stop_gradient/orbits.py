"""Powers and orbits of the stop-gradient matrix J in ball arithmetic, with a proved error.

J is the exact matrix that the floats A_t, B_t, β_t, η_s, η_a define; no entry of it is rounded to float64.
Rounding errors may be amplified by products ‖J^i‖ ‖J^j‖ that exceed ‖J^{i+j}‖ by any power of ten, so they
are bounded and not hoped to be small: every entry is a ball, and where balls grow too wide the whole orbit is
computed again with twice the bits.  The balls stay narrow because the blocks are carried in (float
approximations of) the eigenvectors of D_t, where D_t is nearly diagonal and |D_t| no larger than its spectral
radius: some tens of bits suffice, where balls in the original coordinates need about a bit an iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from flint import arb, arb_mat
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from linear_systems.exact.balls import Unresolved, ball_matrix, identity, resolved
from linear_systems.stop_gradient.blocks import Steps, scaled_eigenvectors

NORM_TOLERANCE = 1e-12
"""Largest proved error of the blocks of J^k, relative to ‖J^k‖."""
DENSE_ORDER = 160
"""Order up to which ‖J^k‖ is taken from all singular values of the dense matrix."""
LANCZOS_TOLERANCE = 1e-12
"""Residual of ‖J^k‖² as an eigenvalue, relative to it."""
KRYLOV_SIZE, RESTARTS = 40, 40
"""Size of the Krylov space of Lanczos, and how often it is restarted before the dense matrix is used."""
RANDOM_SHARE = 1e-3
"""Share of a random vector in the start of Lanczos, should the last singular vector not be of use."""

Rows = list[arb_mat]
"""One (d, W) ball matrix for each time step."""


def log_norms_of_powers(
    steps: Steps, step_size: tuple[float, float], iterations: int
) -> Float[np.ndarray, " iterations_plus_one"]:
    """Return ln ‖J^k‖₂ for k = 0..iterations, right to a relative 1e-10 of the norm."""
    return resolved(lambda: _log_norms(BallBlocks(steps, step_size), iterations), "‖J^k‖")


def first_within(
    steps: Steps,
    step_size: tuple[float, float],
    start: Float[np.ndarray, "T d"],
    tolerance: float,
    max_iterations: int,
) -> int | None:
    """Return the smallest k <= max_iterations with ‖J^k e₀‖ <= tolerance ‖e₀‖, decided exactly, or None."""
    return resolved(
        lambda: _first_within(BallBlocks(steps, step_size), start, tolerance, max_iterations),
        "The difference of ‖J^k e₀‖ and tolerance · ‖e₀‖",
    )


class BallBlocks:
    """The blocks of J in the coordinates F_t = N^{1/2} V_t, at the current working precision."""

    def __init__(self, steps: Steps, step_size: tuple[float, float]) -> None:
        self.steps = steps
        n, m = steps.B.shape[-2:]
        self.scale = np.sqrt(np.repeat(step_size, (n, m)))
        self.vectors = scaled_eigenvectors(steps.B, steps.beta, step_size)[1]
        bases = [ball_matrix(self.scale[:, None] * v) for v in self.vectors]
        inverses = [basis.inv() for basis in bases]
        original = [_exact_blocks(steps, step_size, t) for t in range(steps.distinct)]
        D = [f * d * g for f, (d, _), g in zip(inverses, original, bases, strict=True)]
        # E_t maps from the coordinates of the step before; at t = 0 there is none.
        before = [bases[max(t - 1, 0)] for t in range(steps.distinct)]
        E = [f * e * g for f, (_, e), g in zip(inverses, original, before, strict=True)]
        self.bases, self.inverses = self._repeat(bases), self._repeat(inverses)
        self.D, self.E = self._repeat(D), self._repeat(E)

    def _repeat(self, items: list[arb_mat]) -> list[arb_mat]:
        return items * self.steps.horizon if self.steps.distinct == 1 else items

    def advance(self, rows: Rows) -> Rows:
        """Return the rows one iteration later."""
        following = [d * row for d, row in zip(self.D, rows, strict=True)]
        for t in range(1, len(rows)):
            following[t] += self.E[t] * rows[t - 1]
        return following

    def identity(self) -> Rows:
        """Return J⁰: its first block column where J is block Toeplitz, otherwise all of it."""
        d, horizon = self.steps.block_size, self.steps.horizon
        columns = 1 if self.steps.distinct == 1 else horizon
        return [
            ball_matrix(np.eye(d, d * columns, k=d * t) if t < columns else np.zeros((d, d * columns)))
            for t in range(horizon)
        ]

    def to_original(self, scaled: Float[np.ndarray, "T d W"]) -> NDArray[np.float64]:
        """Return the blocks X_ts = F_t X'_ts F_s^{-1} in the original coordinates, (T, L, d, d)."""
        horizon, d = scaled.shape[:2]
        blocks = scaled.reshape(horizon, d, -1, d).transpose(0, 2, 1, 3)
        v = self.vectors
        left = self.scale[:, None] * v
        right = np.swapaxes(v, -1, -2) / self.scale
        return np.asarray(left[:, None] @ blocks @ right[None])


def _exact_blocks(steps: Steps, step_size: tuple[float, float], t: int) -> tuple[arb_mat, arb_mat]:
    """Return D_t and E_t as balls around their exact values.

    With P_s, P_a the selections of s_{t+1} and a_t in y_t and x_t = A_t s_t + B_t a_t the prediction,
    y_t' = (I − 2η_s P_s P_sᵀ + 2η_a P_a B_tᵀ P_sᵀ) y_t + G_t x_t + const,
    G_t = 2η_s P_s − 2η_a (1+β_t) P_a B_tᵀ.
    """
    n, m = steps.B.shape[-2:]
    A, B = ball_matrix(steps.A[t]), ball_matrix(steps.B[t])
    eta_s, eta_a, beta = (arb(float(x)) for x in (*step_size, steps.beta[t]))
    select_s, select_a = ball_matrix(np.eye(n + m, n)), ball_matrix(np.eye(n + m, m, k=-n))
    to_actions = select_a * B.transpose() * (2 * eta_a)
    gain = select_s * (2 * eta_s) - to_actions * (1 + beta)
    own = (to_actions - select_s * (2 * eta_s)) * select_s.transpose()
    D = identity(n + m) + own + gain * B * select_a.transpose()
    return D, gain * A * select_s.transpose()


def _log_norms(blocks: BallBlocks, iterations: int) -> NDArray[np.float64]:
    """Return log ‖J^k‖; raise where the radii are not small against the norm."""
    condition = float(blocks.scale.max() / blocks.scale.min())
    operator = _toeplitz if blocks.steps.distinct == 1 else _general
    rows, exponent = blocks.identity(), 0
    guess = np.random.default_rng(0).standard_normal(blocks.steps.horizon * blocks.steps.block_size)
    logs = np.empty(iterations + 1)
    for k in range(iterations + 1):
        if k > 0:
            rows = blocks.advance(rows)
        # One step changes the size by far less than the range of a float, so the last exponent serves.
        scale = arb((1, -exponent))
        scaled = np.array([[float(x) for x in (row * scale).entries()] for row in rows])
        radius = float((_total_radius(rows) * scale).upper())
        norm, guess = operator(blocks.to_original(scaled.reshape(len(rows), rows[0].nrows(), -1)), guess)
        if not radius * condition <= NORM_TOLERANCE * norm:
            raise Unresolved
        logs[k] = np.log(norm) + exponent * np.log(2.0)
        exponent += int(np.frexp(norm)[1])
    return logs


def _total_radius(rows: Rows) -> arb:
    """Return a ball that reaches at least as far as the sum of all radii."""
    total = arb(0)
    ones = ball_matrix(np.ones((1, rows[0].nrows()))), ball_matrix(np.ones((rows[0].ncols(), 1)))
    for row in rows:
        total += (ones[0] * (row - row.mid()) * ones[1])[0, 0]
    return total


def _first_within(
    blocks: BallBlocks, start: NDArray[np.float64], tolerance: float, max_iterations: int
) -> int | None:
    bound = arb(tolerance) ** 2 * _squared_norm([ball_matrix(row[:, None]) for row in start])
    rows = [g * ball_matrix(row[:, None]) for g, row in zip(blocks.inverses, start, strict=True)]
    for k, row in enumerate(_iterates(blocks, rows, max_iterations)):
        size = _squared_norm([f * x for f, x in zip(blocks.bases, row, strict=True)])
        if size <= bound:
            return k
        if not size > bound:
            raise Unresolved
    return None


def _iterates(blocks: BallBlocks, rows: Rows, iterations: int) -> Iterator[Rows]:
    yield rows
    for _ in range(iterations):
        rows = blocks.advance(rows)
        yield rows


def _squared_norm(rows: Rows) -> arb:
    total = arb(0)
    for row in rows:
        total += (row.transpose() * row)[0, 0]
    return total


def _toeplitz(blocks: NDArray[np.float64], guess: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the norm of the lower block Toeplitz matrix with block column (T, 1, d, d), and a start."""
    horizon, _, d, _ = blocks.shape
    spectrum = np.fft.rfft(blocks[:, 0], 2 * horizon, axis=0)
    adjoint = np.conj(np.swapaxes(spectrum, -1, -2))

    def apply(factor: NDArray[np.complex128], x: NDArray[np.float64]) -> NDArray[np.float64]:
        transform = np.fft.rfft(x.reshape(horizon, d), 2 * horizon, axis=0)
        product = np.fft.irfft((factor @ transform[..., None])[..., 0], 2 * horizon, axis=0)
        return np.asarray(product[:horizon].reshape(-1))

    def matrix() -> NDArray[np.float64]:
        lag = np.subtract.outer(np.arange(horizon), np.arange(horizon))
        return _assembled(np.where((lag >= 0)[..., None, None], blocks[lag, 0], 0.0))

    return _norm(matrix, lambda x: apply(adjoint, apply(spectrum, x)), guess)


def _general(blocks: NDArray[np.float64], guess: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the norm of the matrix with blocks (T, T, d, d), and a start for the next power."""
    matrix = _assembled(blocks)
    return _norm(lambda: matrix, lambda x: matrix.T @ (matrix @ x), guess)


def _assembled(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    order = blocks.shape[0] * blocks.shape[2]
    return blocks.transpose(0, 2, 1, 3).reshape(order, order)


def _norm(
    matrix: Callable[[], NDArray[np.float64]],
    gram: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    guess: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Return σ_max of X, by Lanczos on x ↦ XᵀX x from `guess`, and a start for the next power.

    All singular values of the dense X are taken instead if X is small or the top ones are too close together.
    The start keeps a share of a fixed random vector: the singular vectors of successive powers may be
    orthogonal.
    """
    if guess.size > DENSE_ORDER:
        operator = LinearOperator((guess.size, guess.size), matvec=gram, dtype=np.float64)
        try:
            value, vector = eigsh(
                operator, k=1, v0=guess, ncv=KRYLOV_SIZE, maxiter=RESTARTS, tol=LANCZOS_TOLERANCE
            )
        except ArpackNoConvergence:
            pass
        else:
            random = np.random.default_rng(0).standard_normal(guess.size)
            return float(np.sqrt(value[0])), vector[:, 0] + RANDOM_SHARE * random / np.linalg.norm(random)
    return float(np.linalg.norm(matrix(), 2)), guess
