"""Proofs in exact and ball arithmetic about the symbol D + zE of the stop-gradient iteration (Theorem 6 made uniform)."""

from __future__ import annotations

import numpy as np
from flint import acb, acb_mat, arb, fmpq_mat

from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.exact.certificates import exact_matrix
from linear_systems.stop_gradient import uniform_convergence
from linear_systems.system import LinearSystem
from linear_systems.validation import goal_weight, positive_integer, step_sizes

SAMPLES = 8
"""Points on the circle for each power of the symbol."""
LARGEST_POWER = 2**12
"""The norm is taken at eight times as many points: a power beyond this takes hours."""
SQUARINGS = 10
"""`expands` looks at the powers 2, 4, …, 2^SQUARINGS."""

StepSizes = tuple[float, float]
"""(η_s, η_a)."""


def exact_update_blocks(system: LinearSystem, beta: float, step_size: StepSizes) -> tuple[fmpq_mat, fmpq_mat]:
    """Return D and E in exact rationals, every float taken at its exact value."""
    goal_weight("beta", beta), step_sizes(step_size)
    A, B = exact_matrix(system.A), exact_matrix(system.B)
    n, m = system.B.shape
    two_s, two_a, weight = (2 * exact_matrix([[value]])[0, 0] for value in (*step_size, float(beta) / 2.0))
    to_actions = B.transpose()
    D, E = fmpq_mat(n + m, n + m), fmpq_mat(n + m, n + m)
    _place(D, 0, n, B * two_s)
    _place(D, n, 0, to_actions * two_a)
    _place(D, n, n, to_actions * B * (-two_a * (1 + weight)))
    _place(E, 0, 0, A * two_s)
    _place(E, n, 0, to_actions * A * (-two_a * (1 + weight)))
    for i in range(n + m):
        D[i, i] += 1 - two_s if i < n else 1
    return D, E


@checked
def contracts(system: LinearSystem, beta: float, step_size: StepSizes, power: int) -> bool:
    """Whether ‖(D + zE)^k‖_F < 1 on the whole unit circle is proved, for k = `power`, a power of 2; then r < 1.

    The norm is taken at N = 8k points.  By M. Riesz's lemma it is nowhere larger than there by more than the factor
    1/cos(πk/(2N)).
    """
    power = positive_integer("power", power)
    if power & (power - 1) or power > LARGEST_POWER:
        raise ParameterError("power", f"a power of 2, at most {LARGEST_POWER}", str(power), "a smaller one")
    D, E = exact_update_blocks(system, beta, step_size)
    points = SAMPLES * power
    limit = (arb.pi() / (2 * SAMPLES)).cos() ** 2
    for index in range(points // 2 + 1):
        z = (acb(2 * index) / points).exp_pi_i()
        matrix = acb_mat(D) + acb_mat(E) * z
        for _ in range(power.bit_length() - 1):
            matrix = matrix * matrix
        squared = sum((entry.real**2 + entry.imag**2 for entry in matrix.entries()), arb(0))
        if not squared < limit:
            return False
    return True


@checked
def expands(system: LinearSystem, beta: float, step_size: StepSizes) -> bool:
    """Whether r > 1 is proved: |tr M^k| > d for M = D + zE of order d, at one z of modulus 1, since |tr M^k| ≤ d ρ(M)^k.

    The point is where sampling finds the largest ρ(M).
    """
    angles = uniform_convergence.sample_angles(system)
    mu = uniform_convergence.uniform_spectrum(system, beta, step_size[1] / step_size[0], angles)
    angle = float(angles[int(np.argmax(np.abs(1.0 - step_size[0] * mu).max(axis=-1)))])
    D, E = exact_update_blocks(system, beta, step_size)
    # uniform_spectrum's z is e^{iθ}.
    matrix = acb_mat(D) + acb_mat(E) * (acb(0, 1) * arb(angle)).exp()
    for _ in range(SQUARINGS):
        matrix = matrix * matrix
        if abs(matrix.trace()) > matrix.nrows():
            return True
    return False


def _place(target: fmpq_mat, row: int, column: int, block: fmpq_mat) -> None:
    for i in range(block.nrows()):
        for j in range(block.ncols()):
            target[row + i, column + j] = block[i, j]
