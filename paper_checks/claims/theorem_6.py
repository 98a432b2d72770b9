"""Theorem 6: linear convergence of the stop-gradient iteration, Eq. (75)–(91)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np
import sympy as sp
import torch
from flint import fmpq, fmpq_mat
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov

from grasp_theory.objectives import lifted_loss
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6 import stop_gradient_contraction
from linear_systems import AnySystem, LinearSystem, stop_gradient
from linear_systems.errors import RankError
from linear_systems.random_systems import random_time_varying_system
from linear_systems.rounding import EPS, rounding_allowance
from paper_checks.engine import Run
from paper_checks.inspection import Evaluations, drawn_systems, identity, judge, real_systems
from paper_checks.records import Claim, Curve, Evidence, Grade, Sharpness
from paper_checks.search import as_code

SCALAR = LinearSystem([[0.8]], [[1.0]])
"""A stable scalar system, fully actuated: as harmless as a system can be."""
AGGRESSIVE = (1.0 / 3.0, 1.0 / 3.0)
"""The step size that minimises ρ(J) for SCALAR with β = 1: μ + L = 6 there, and 2/(μ + L) = 1/3."""
UNIFORM = (0.05, 0.3)
"""Step sizes (η_s, η_a) for which convergence of SCALAR with β = 1 is uniform in T."""


def check_theorem_6(run: Run) -> None:
    """Examine the gradients, the block structure, the rate, the norm and the fixed point."""
    _examine_updates(run)
    _examine_blocks(run)
    _examine_rate(run)
    run.caveat(
        "the rate does not depend on T but the constant C does: at the step size that is best for the rate, "
        "max_k ‖J^k‖ grows exponentially with T even for a stable, fully actuated system",
        lambda step_size: _inspect_transient(run, step_size),
        AGGRESSIVE,
        false_variants={f"at step sizes {UNIFORM}": UNIFORM},
    )
    run.caveat(
        "with that step size the iterations needed for a fixed relative error grow linearly with T",
        lambda step_size: _inspect_iterations(run, step_size),
        AGGRESSIVE,
        false_variants={f"at step sizes {UNIFORM}": UNIFORM},
    )
    _record_sharpness(run)
    _record_curve(run)


def check_fixed_point(run: Run) -> None:
    """Examine that the fixed point is the greedy rollout, and what uniqueness needs."""
    run.examine(
        "the fixed point of the iteration is the greedy rollout towards g, whatever β_t > 0",
        lambda policy: _inspect_greedy(run, policy),
        "greedy",
        false_variants={
            "the rollout with zero actions": "zero",
            "least squares over all actions": "least squares",
        },
    )
    run.examine(
        "without full column rank of B (or with β = 0) ρ(J) = 1 and the fixed point is not unique",
        _inspect_necessity,
        True,
        false_variants={"uniqueness survives": False},
    )


# --- updates ----------------------------------------------------------------------------------------------


def _examine_updates(run: Run) -> None:
    run.examine(
        "autograd through the stop-gradient objective gives 2r_{t−1} and −2Bᵀr_t − 2β_tBᵀe_t",
        lambda variant: _inspect_gradients(run, variant),
        "stopped",
        false_variants={"state gradient kept": "kept", "goal term without Bᵀe": "no goal"},
        equations=(78, 79),
    )
    run.examine(
        "one gradient step is s − 2η(s − As − Ba), a + 2ηBᵀ(r + βe): the affine map z ↦ Jz + c",
        lambda factor: _inspect_updates(run, factor),
        1.0,
        false_variants={"half the step": 0.5},
        equations=(80, 81),
    )


def _gradients(
    system: AnySystem, states: NDArray[np.float64], actions: NDArray[np.float64], goal: NDArray[np.float64],
    beta: NDArray[np.float64], *, stop: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Return autograd's gradients of Eq. (75) with respect to (s_1..s_T) and (a_0..a_{T−1})."""
    free = torch.from_numpy(states[1:].copy()).requires_grad_()
    act = torch.from_numpy(actions.copy()).requires_grad_()
    path = torch.cat([torch.from_numpy(states[:1].copy()), free])
    loss = lifted_loss(system, path, act, torch.from_numpy(goal), beta, stop_state_gradient=stop)
    state_gradient, action_gradient = torch.autograd.grad(loss, (free, act))
    return state_gradient.numpy(), action_gradient.numpy()


def _draw_point(
    run: Run, name: str
) -> Iterator[
    tuple[AnySystem, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
]:
    rng = run.rng(name)
    systems: list[AnySystem] = list(drawn_systems(rng, run.size(40, 12), max_n=4, max_m=4))
    systems += [random_time_varying_system(rng, 3, 2, 12) for _ in range(run.size(10, 4))]
    for system in systems:
        T = int(rng.integers(2, 12))
        n, m = system.state_dim, system.action_dim
        yield (
            system,
            rng.standard_normal((T + 1, n)),
            rng.standard_normal((T, m)),
            rng.standard_normal(n),
            rng.uniform(0.1, 2.0, size=T),
        )


def _inspect_gradients(run: Run, variant: str) -> Evidence:
    def evaluations() -> Evaluations:
        for system, states, actions, goal, beta in _draw_point(run, "gradients"):
            A, B = system.matrices(len(actions))
            predicted = np.einsum("tij,tj->ti", A, states[:-1]) + np.einsum("tij,tj->ti", B, actions)
            r, e = states[1:] - predicted, goal - predicted
            closed = [2.0 * r, -2.0 * np.einsum("tij,ti->tj", B, r)]
            if variant != "no goal":
                closed[1] = closed[1] - 2.0 * beta[:, None] * np.einsum("tij,ti->tj", B, e)
            found = _gradients(system, states, actions, goal, beta, stop=variant != "kept")
            gap = max(float(np.abs(f - c).max()) for f, c in zip(found, closed, strict=True))
            size = 1.0 + float(
                np.abs(A).max() * np.abs(states).max() + np.abs(B).max() * np.abs(actions).max()
            )
            scale = size * (1.0 + float(np.abs(B).max()) * 3.0) * system.state_dim
            allowance = rounding_allowance(scale, system.state_dim + system.action_dim)
            yield TheoremCheck(gap, 0.0, "=", allowance, {"any": True}), partial(as_code, system)

    return judge(
        evaluations(), "largest |autograd − closed form| of Eq. (78) and (79), time-varying systems included"
    )


def _inspect_updates(run: Run, factor: float) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("steps")
        for system, states, actions, goal, beta in _draw_point(run, "updates"):
            T, eta = len(actions), (float(rng.uniform(0.01, 0.4)), float(rng.uniform(0.01, 0.4)))
            state_gradient, action_gradient = _gradients(system, states, actions, goal, beta)
            z = np.concatenate([states[1:], actions], axis=1).ravel()
            moved = np.concatenate(
                [states[1:] - factor * eta[0] * state_gradient, actions - factor * eta[1] * action_gradient],
                axis=1,
            ).ravel()
            J = stop_gradient.update_matrix(system, T, beta, eta)
            c = stop_gradient.update_offset(system, T, beta, eta, states[0], goal)
            gap = float(np.abs(J @ z + c - moved).max())
            row_sums = float(abs(J).sum(axis=1).max())
            scale = row_sums * float(np.abs(z).max()) + float(np.abs(c).max())
            allowance = rounding_allowance(scale, 2 * (system.state_dim + system.action_dim))
            yield TheoremCheck(gap, 0.0, "=", allowance, {"any": True}), partial(as_code, system)

    return judge(evaluations(), "largest |Jz + c − autograd's step|, pairs of step sizes included")


# --- blocks -----------------------------------------------------------------------------------------------


def _examine_blocks(run: Run) -> None:
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


# --- rate -------------------------------------------------------------------------------------------------


def _examine_rate(run: Run) -> None:
    run.examine(
        "ρ(J) ≤ q = max(|1−ημ|, |1−ηL|) < 1 for 0 < η < 2/L, on random, time-varying and real systems",
        lambda factor: _inspect_rate(run, factor),
        1.0,
        false_variants={"0.999 q": 0.999},
        equations=(86, 87),
    )
    run.examine(
        "2/L is the stability limit: stable just below it, unstable just above",
        lambda factor: _inspect_step_limit(run, factor),
        1.0,
        false_variants={"half the limit": 0.5, "1.01 times the limit": 1.01},
        equations=(86,),
    )
    run.examine(
        "there is a norm with ‖J‖† ≤ q for every q > ρ(J), and with it ‖z^k − z*‖ ≤ C q^k ‖z^0 − z*‖",
        lambda factor: _inspect_adapted_norm(run, factor),
        1.05,
        false_variants={"q below ρ(J)": 0.95},
        equations=(88, 89, 90, 91),
    )


def _rate_instances(run: Run) -> Iterator[tuple[AnySystem, int, NDArray[np.float64]]]:
    rng = run.rng("rate")
    for system in drawn_systems(rng, run.size(150, 40), full_column_rank=True):
        T = int(rng.integers(1, 40))
        yield system, T, rng.uniform(0.1, 3.0, size=T)
    for _ in range(run.size(40, 10)):
        n = int(rng.integers(1, 5))
        varying = random_time_varying_system(rng, n, int(rng.integers(1, n + 1)), 20, full_column_rank=True)
        yield varying, 20, rng.uniform(0.1, 3.0, size=20)
    for _, system in real_systems():
        if np.linalg.matrix_rank(system.B) == system.action_dim:
            yield system, 40, np.ones(40)


def _inspect_rate(run: Run, factor: float) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("rate steps")
        for system, T, beta in _rate_instances(run):
            limit = stop_gradient.step_size_limit(system, beta)
            eta = float(rng.uniform(0.05, 0.98)) * limit
            check = stop_gradient_contraction(system, T, beta, eta)
            altered = TheoremCheck(
                check.computed, factor * check.bound, "<=", check.allowance, check.assumptions
            )
            yield altered, partial(as_code, system, horizon=T, beta=beta, step_size=eta)

    return judge(evaluations(), "ρ(J) from the blocks against q from μ and L, β_t varying")


def _inspect_step_limit(run: Run, factor: float) -> Evidence:
    wrong, count, margin = 0, 0, 1e-6
    for system, T, beta in _rate_instances(run):
        limit = factor * stop_gradient.step_size_limit(system, beta)
        below = stop_gradient.spectral_radius(system, T, beta, limit * (1.0 - margin))
        above = stop_gradient.spectral_radius(system, T, beta, limit * (1.0 + margin))
        # The limit is set by the largest eigenvalue over all steps; a shorter horizon may not contain that step.
        count += 1
        wrong += not (below < 1.0 < above)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"{count} systems: ρ(J) crosses 1 between (1 ∓ {margin}) times the limit on all but {wrong}",
        {"systems": count, "wrong": wrong},
    )


def _inspect_adapted_norm(run: Run, factor: float) -> Evidence:
    """Build ‖x‖† = √(xᵀPx) from P = Σ (J/q)^{kᵀ}(J/q)^k and test (88) and (91) with C = √κ(P)."""
    rng = run.rng("norm")
    built = failed = 0
    largest_constant, code = 0.0, ""
    for system in drawn_systems(rng, run.size(30, 10), ("stable", "complex"), 3, 2, full_column_rank=True):
        T = int(rng.integers(1, 5))
        eta = 0.5 * stop_gradient.step_size_limit(system, 1.0)
        J = stop_gradient.update_matrix(system, T, 1.0, eta).toarray()
        q = factor * stop_gradient.spectral_radius(system, T, 1.0, eta)
        P = solve_discrete_lyapunov((J / q).T, np.eye(len(J)))
        P = (P + P.T) / 2.0
        eigenvalues = np.linalg.eigvalsh(P)
        good = bool(eigenvalues[0] > 0.0)
        if good:
            root = np.linalg.cholesky(P).T
            norm = float(np.linalg.norm(root @ J @ np.linalg.inv(root), 2))
            constant = float(np.sqrt(eigenvalues[-1] / eigenvalues[0]))
            powers = [float(np.linalg.norm(np.linalg.matrix_power(J, k), 2)) for k in range(0, 60, 6)]
            rounding = rounding_allowance(1.0, len(J), constant)
            good = norm <= q * (1.0 + rounding)
            good &= all(
                p <= constant * q**k * (1.0 + rounding) for k, p in zip(range(0, 60, 6), powers, strict=True)
            )
            largest_constant = max(largest_constant, constant)
        built += good
        if not good:
            failed, code = failed + 1, as_code(system, horizon=T, beta=1.0, step_size=eta)
    return Evidence(
        Grade.NUMERICAL,
        failed == 0 and built > 0,
        f"norm built and (88), (91) verified for k ≤ 54 on {built} systems at T ≤ 4, not on {failed}; the largest C there "
        f"is {largest_constant:.3g}",
        {"built": built, "failed": failed, "largest C": largest_constant},
        code,
    )


# --- the constant -----------------------------------------------------------------------------------------


def _peak(system: LinearSystem, horizon: int, step_size: tuple[float, float]) -> float:
    """Return max_k log ‖J^k‖ over enough iterations to pass the transient."""
    return float(stop_gradient.log_transient_growth(system, horizon, 1.0, step_size, 6 * horizon + 20).max())


def _inspect_transient(run: Run, step_size: tuple[float, float]) -> Evidence:
    """Exponential growth: the slope of max_k log‖J^k‖ over T stays above 0.1 a step and does not decline."""
    horizons = [10, 20, 40] if run.quick else [10, 20, 40, 80]
    peaks = [_peak(SCALAR, T, step_size) for T in horizons]
    slopes = np.diff(peaks) / np.diff(horizons)
    radius = stop_gradient.spectral_radius(SCALAR, horizons[-1], 1.0, step_size)
    reported = float(
        np.abs(np.linalg.eigvals(stop_gradient.update_matrix(SCALAR, 80, 1.0, step_size).toarray())).max()
    )
    return Evidence(
        Grade.NUMERICAL,
        bool(slopes.min() > 0.1 and slopes[-1] >= slopes[0] - 0.05),
        f"A = 0.8, B = 1, β = 1, η = {step_size}: ρ(J) = {radius:.4f} at every T, and log max_k‖J^k‖ grows by "
        f"{slopes[-1]:.3f} a step of T; a general eigensolver reports ρ(J) = {reported:.3f} at T = 80",
        {
            **{
                f"log10 max‖J^k‖ at T={T}": float(p / np.log(10))
                for T, p in zip(horizons, peaks, strict=True)
            },
            "slope per step of T": float(slopes[-1]),
            "uniform rate max_{|z|=1} ρ(D+zE)": stop_gradient.uniform_rate(SCALAR, 1.0, step_size),
            "general eigensolver's ρ(J), T=80": reported,
        },
        as_code(SCALAR, beta=1.0, step_size=step_size),
    )


def _inspect_iterations(run: Run, step_size: tuple[float, float]) -> Evidence:
    """Linear growth: iterations to 10⁻⁶ of the initial error, per step of T, do not vanish as T doubles."""
    horizons = [10, 20, 40] if run.quick else [10, 20, 40, 80]
    needed = []
    for T in horizons:
        error = np.ones(T * (SCALAR.state_dim + SCALAR.action_dim))
        needed.append(stop_gradient.iterations_to(SCALAR, T, 1.0, step_size, error, 1e-6))
    slopes = np.diff(needed) / np.diff(horizons)
    return Evidence(
        Grade.NUMERICAL,
        bool(slopes.min() > 0.5),
        f"iterations to 10⁻⁶ from an error of ones at T = {horizons}: {needed}; {slopes[-1]:.2f} more a step of T",
        {f"iterations at T={T}": k for T, k in zip(horizons, needed, strict=True)},
        as_code(SCALAR, beta=1.0, step_size=step_size),
    )


def _record_sharpness(run: Run) -> None:
    system = SCALAR
    eta = stop_gradient.best_step_size(system, 1.0)
    radius = stop_gradient.spectral_radius(system, 40, 1.0, eta)
    rate = stop_gradient.contraction_rate(system, 40, 1.0, eta)
    run.sharpness(
        Sharpness(
            "Eq. (86): ρ(J) / q for constant β",
            radius / rate,
            "closed form: for constant β the extreme eigenvalues of H_t are attained, so ρ(J) = q",
            as_code(system, horizon=40, beta=1.0, step_size=eta),
            "a bound with a T-free constant: max_{|z|=1} ρ(D + zE), see the uniform theorem",
        )
    )


def _record_curve(run: Run) -> None:
    series = {}
    for label, step_size, T in (
        ("η = 1/3, T = 20", AGGRESSIVE, 20),
        ("η = 1/3, T = 40", AGGRESSIVE, 40),
        (f"(η_s, η_a) = {UNIFORM}, T = 40", UNIFORM, 40),
    ):
        logs = stop_gradient.log_transient_growth(SCALAR, T, 1.0, step_size, run.size(300, 160)) / np.log(
            10.0
        )
        series[label] = (list(range(len(logs))), [float(value) for value in logs])
    run.curve(
        Curve(
            "Transient growth of the stop-gradient iteration, A = 0.8, B = 1, β = 1",
            "iteration k",
            "log₁₀ ‖J^k‖₂",
            series,
            note="The same asymptotic rate at every T, after a transient that grows exponentially with T.",
        )
    )


# --- fixed point ------------------------------------------------------------------------------------------


def _inspect_greedy(run: Run, policy: str) -> Evidence:
    rng = run.rng("greedy")

    def evaluations() -> Evaluations:
        for system in drawn_systems(rng, run.size(80, 25), full_column_rank=True, max_n=5):
            T = int(rng.integers(2, 15))
            start, goal = rng.standard_normal((2, system.state_dim))
            fixed = stop_gradient.fixed_point(system, T, rng.uniform(0.1, 3.0, size=T), start, goal)
            states = stop_gradient.split(system, T, fixed)[0]
            if policy == "greedy":
                other = stop_gradient.greedy_rollout(system, T, start, goal)[0][1:]
            elif policy == "zero":
                other = system.rollout(start, np.zeros((T, system.action_dim)))[1:]
            else:
                other = system.rollout(start, _least_squares_actions(system, T, start, goal))[1:]
            gap = float(np.abs(states - other).max())
            growth = np.abs(states).max() + np.abs(other).max()
            amplification = max(1.0, float(np.linalg.norm(system.A, 2))) ** T
            conditioning = float(np.linalg.cond(system.B)) ** 2 * amplification
            allowance = rounding_allowance(float(growth), system.state_dim * T, conditioning)
            yield (
                TheoremCheck(gap, 0.0, "=", allowance, {"any": True}),
                partial(as_code, system, horizon=T),
            )

    return judge(evaluations(), "largest |fixed point − rollout| over states, β_t drawn at random")


def _least_squares_actions(
    system: LinearSystem, horizon: int, start: NDArray[np.float64], goal: NDArray[np.float64]
) -> NDArray[np.float64]:
    columns = []
    for index in range(horizon * system.action_dim):
        unit = np.zeros(horizon * system.action_dim)
        unit[index] = 1.0
        columns.append(system.rollout(np.zeros_like(start), unit.reshape(horizon, -1))[-1])
    free = system.rollout(start, np.zeros((horizon, system.action_dim)))[-1]
    solution = np.linalg.lstsq(np.stack(columns, axis=1), goal - free, rcond=None)[0]
    return np.asarray(solution.reshape(horizon, -1))


def _inspect_necessity(non_unique: bool) -> Evidence:
    """On B with dependent columns, and with β = 0: ρ(J), and whether two fixed points exist."""
    wide = LinearSystem([[0.5]], [[1.0, 1.0]])
    null = np.array([0.0, 1.0, -1.0])
    radius = stop_gradient.spectral_radius(wide, 6, 1.0, 0.1)
    J = stop_gradient.update_matrix(wide, 6, 1.0, 0.1)
    moved = np.abs(J @ np.kron(np.eye(6)[0], null) - np.kron(np.eye(6)[0], null)).max()
    refused = False
    try:
        stop_gradient.fixed_point(wide, 6, 1.0, np.ones(1), np.zeros(1))
    except RankError:
        refused = True
    no_goal = stop_gradient.spectral_radius(SCALAR, 6, 0.0, 0.1)
    shown = radius == 1.0 and float(moved) <= 4 * EPS and refused and no_goal == 1.0
    return Evidence(
        Grade.NUMERICAL,
        shown == non_unique,
        f"B = [1, 1]: ρ(J) = {radius}, the direction a = (1, −1) is fixed, and the library refuses a fixed point; β = 0: "
        f"ρ(J) = {no_goal}",
        {"ρ(J), dependent columns": radius, "ρ(J), β = 0": no_goal},
        as_code(wide, horizon=6, beta=1.0, step_size=0.1),
    )


CLAIMS = (
    Claim(
        id="thm6",
        title="Stop-gradient descent converges linearly to a unique fixed point",
        source="Appendix A.4, Theorem 6",
        statement=(
            "With β_t ∈ [β_min, β_max], β_min > 0, and B of full column rank, there is η̄ that depends only on β_min, β_max, "
            "‖B‖, σ_min(B) such that for η < η̄ the iteration has a unique fixed point z* and ‖z^k − z*‖ ≤ C q^k ‖z^0 − z*‖, "
            "q < 1."
        ),
        latex=r"\|\mathbf{z}^k - \mathbf{z}^*\| \le C q^k \|\mathbf{z}^0 - \mathbf{z}^*\|, \quad q \in (0,1)",
        assumptions=("linear dynamics", "β_t ≥ β_min > 0", "B has full column rank", "0 < η < 2/L"),
        equations=tuple(range(78, 92)),
        definitions={
            75: "defines the stop-gradient objective",
            76: "restates (75) with the stop-gradient understood",
            77: "names the residuals r_t and e_t",
        },
        others=("Theorem 6",),
        check=check_theorem_6,
    ),
    Claim(
        id="thm6-greedy",
        title="The stable points in the linear case are the greedy rollouts",
        source="Appendix A.4, notes after Theorem 6",
        statement=(
            "In the linear convex case the fixed point is the greedy rollout towards the goal: a_t minimises "
            "‖A s_t + B a_t − g‖² at every step."
        ),
        latex=r"a_t^* = B^{+}(g - A s_t^*)",
        assumptions=("linear dynamics", "β_t > 0", "B has full column rank"),
        check=check_fixed_point,
    ),
)
