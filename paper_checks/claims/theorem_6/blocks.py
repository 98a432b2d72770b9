"""Theorem 6: the blocks of the update, Eq. (82)–(87)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy as sp
from flint import fmpq, fmpq_mat
from numpy.typing import NDArray

from linear_systems import LinearSystem, stop_gradient
from linear_systems.rounding import EPS
from paper_checks.engine.inspection import identity
from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def examine_blocks(run: Run) -> None:
    """Examine the Hessian of a block, its Schur complement and eigenvalues, and that J is block triangular."""
    run.examine(
        "φ_t has Hessian H_t = 2[[I, −B], [−Bᵀ, (1+β)BᵀB]]",
        _inspect_block_hessian,
        1,
        false_variants={"βBᵀB in place of (1+β)BᵀB": 0},
        equations=(82, 83),
    )
    run.examine(
        "its Schur complement is βBᵀB",
        _inspect_schur,
        1,
        false_variants={"(1+β)BᵀB": 2},
        equations=(84,),
    )
    run.examine(
        "per singular value b of B the eigenvalues of H_t are 1+(1+β)b² ± √((1+(1+β)b²)² − 4βb²), with 2 in between",
        _inspect_block_eigenvalues,
        0,
        false_variants={"−4(1+β)b² under the root": 1},
        equations=(85,),
    )
    run.examine(
        "the smaller eigenvalue increases with b and with β, so μ and L depend on β_min, β_max, σ_min(B), ‖B‖ only",
        lambda corner: _inspect_uniform_bounds(run, corner),
        "σ_min, β_min",
        false_variants={"the smallest at ‖B‖ and β_max": "σ_max, β_max"},
        equations=(85,),
    )
    run.examine(
        "J is block lower triangular: its characteristic polynomial is the product of those of I − ηH_t",
        lambda stop: _inspect_characteristic_polynomial(run, stop),
        True,
        false_variants={"with the state gradient kept": False},
        equations=(86, 87),
    )


def _inspect_block_hessian(weight: int) -> Evidence:
    n, m = 3, 2
    A, B = sp.Matrix(n, n, sp.symbols("A:9")), sp.Matrix(n, m, sp.symbols("B:6"))
    s, following, goal = (sp.Matrix(sp.symbols(f"{name}:3")) for name in ("s", "x", "g"))
    a, beta = sp.Matrix(sp.symbols("a:2")), sp.symbols("beta")
    r, e = following - A * s - B * a, goal - A * s - B * a
    phi = (r.T * r)[0] + beta * (e.T * e)[0]
    hessian = sp.hessian(phi, [*following, *a])
    claimed = 2 * sp.BlockMatrix([[sp.eye(n), -B], [-B.T, (weight + beta) * B.T * B]]).as_explicit()
    difference = (hessian - claimed).applyfunc(sp.expand)
    return identity(
        list(difference),
        "∇²φ_t",
        "n = 3, m = 2 with symbolic entries; φ_t is a sum over rows, so sizes add nothing",
    )


def _inspect_schur(multiple: int) -> Evidence:
    """With BᵀB and Bᵀ I⁻¹ B written as the same product of non-commuting symbols."""
    Bt, B = sp.symbols("B^T B", commutative=False)
    beta = sp.symbols("beta", positive=True)
    complement = (1 + beta) * Bt * B - Bt * B
    claimed = beta * Bt * B if multiple == 1 else (1 + beta) * Bt * B
    return identity(
        [sp.expand(complement - claimed)], "(1+β)BᵀB − Bᵀ I⁻¹ B = βBᵀB", "matrices of every size as symbols"
    )


def _inspect_block_eigenvalues(added: int) -> Evidence:
    """Insert the closed form with 4(β + added)b² under the root."""
    b, beta = sp.symbols("b beta", positive=True)
    block = 2 * sp.Matrix([[1, -b], [-b, (1 + beta) * b**2]])
    half_trace = 1 + (1 + beta) * b**2
    inner = 4 * (beta + added) * b**2
    roots = [half_trace + sign * sp.sqrt(half_trace**2 - inner) for sign in (1, -1)]
    lam = sp.symbols("lambda")
    characteristic = block.charpoly(lam).as_expr()
    # (2 − λ₊)(2 − λ₋) = p(2) = −4b² < 0: the eigenvalue 2 of the complement of range(B) lies between.
    between = sp.expand(characteristic.subs(lam, 2) + 4 * b**2)
    return identity(
        [*(sp.expand(characteristic.subs(lam, root)) for root in roots), between],
        "the closed forms are the roots of det(λI − H_t) on a singular pair, and p(2) = −4b² < 0",
        "by the SVD of B, H_t is orthogonally similar to these 2×2 blocks, 2 on range(B)^⊥ and 0 on ker B",
    )


def _inspect_uniform_bounds(run: Run, corner: str) -> Evidence:
    """Compare eigenvalues of H_t over the box [σ_min, σ_max] × [β_min, β_max] with those at its corners."""
    rng = run.rng("uniform")
    violations, count = 0, run.size(400, 100)
    for _ in range(count):
        low, high = sorted(map(float, rng.uniform(0.05, 4.0, size=2)))
        beta_low, beta_high = sorted(map(float, rng.uniform(0.01, 5.0, size=2)))
        inner = [
            _block_eigenvalues(rng.uniform(low, high), rng.uniform(beta_low, beta_high)) for _ in range(20)
        ]
        bottom = _block_eigenvalues(*((low, beta_low) if corner == "σ_min, β_min" else (high, beta_high)))[0]
        top = _block_eigenvalues(high, beta_high)[-1]
        # Each eigenvalue is right to a few eps, relatively.
        violations += bool(np.min(inner) < bottom * (1 - 16 * EPS) or np.max(inner) > top * (1 + 16 * EPS))
    return Evidence(
        Grade.NUMERICAL,
        violations == 0,
        f"{count} boxes of 20 points each: {violations} have an eigenvalue of H_t below the one at ({corner}) or above the "
        "one at (‖B‖, β_max)",
        {"boxes": count, "violations": violations},
    )


def _block_eigenvalues(gain: float, beta: float) -> NDArray[np.float64]:
    """Return the eigenvalues of H_t for one singular value of B, ascending."""
    return np.asarray(stop_gradient.hessian_block_eigenvalues(LinearSystem([[0.0]], [[gain]]), 1, beta)[0])


def exact_update(
    A: NDArray[np.object_], B: NDArray[np.object_], beta: Fraction, eta: Fraction, horizon: int, *, stop: bool
) -> NDArray[np.object_]:
    """Return J with Fraction entries, from the residual maps: J = I − 2η(R̄ᵀR + β ḠᵀG).

    R and G hold the coefficients of r_t and e_t in z = (s_1, a_0, …, s_T, a_{T−1}); the stop-gradient zeroes the
    blocks of s_t in the left factors only.
    """
    n, m = B.shape
    p = n + m
    R = np.full((horizon * n, horizon * p), Fraction(0), dtype=object)
    G = R.copy()
    for t in range(horizon):
        rows = slice(t * n, (t + 1) * n)
        R[rows, t * p : t * p + n] = np.vectorize(Fraction, otypes=[object])(np.eye(n, dtype=int))
        for matrix in (R, G):
            matrix[rows, t * p + n : (t + 1) * p] = -B
    left_r, left_g = R.copy(), G.copy()
    for t in range(1, horizon):
        rows, previous = slice(t * n, (t + 1) * n), slice((t - 1) * p, (t - 1) * p + n)
        for matrix in (R, G) if stop else (R, G, left_r, left_g):
            matrix[rows, previous] = -A
    identity_matrix = np.vectorize(Fraction, otypes=[object])(np.eye(horizon * p, dtype=int))
    return np.asarray(identity_matrix - 2 * eta * (left_r.T.dot(R) + beta * left_g.T.dot(G)))


def _flint(matrix: NDArray[np.object_]) -> fmpq_mat:
    rows, columns = matrix.shape
    return fmpq_mat(rows, columns, [fmpq(x.numerator, x.denominator) for x in matrix.ravel()])


def _inspect_characteristic_polynomial(run: Run, stop: bool) -> Evidence:
    rng = run.rng("characteristic polynomial")
    equal = different = 0
    code = ""
    beta, eta = Fraction(3, 4), Fraction(1, 8)
    for n, m, T in [(1, 1, 5), (2, 1, 5), (2, 2, 4), (3, 2, 4)][: run.size(4, 3)]:
        A = np.vectorize(Fraction, otypes=[object])(rng.integers(-8, 9, size=(n, n)), 4)
        B = np.vectorize(Fraction, otypes=[object])(rng.integers(-8, 9, size=(n, m)), 4)
        J = _flint(exact_update(A, B, beta, eta, T, stop=stop))
        block = _flint(exact_update(A, B, beta, eta, 1, stop=True))
        if J.charpoly() == block.charpoly() ** T:
            equal += 1
        else:
            different += 1
            code = as_code(
                LinearSystem(A.astype(float), B.astype(float)), horizon=T, beta=0.75, step_size=0.125
            )
    return Evidence(
        Grade.CERTIFIED,
        equal > 0 and different == 0,
        f"det(xI − J) = det(xI − (I − ηH))^T as rational polynomials: equal on {equal} systems, different on {different}",
        {"equal": equal, "different": different},
        code,
    )
