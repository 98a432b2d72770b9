"""Theorem 6: linear convergence of the stop-gradient iteration, Eq. (75)–(91)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_lyapunov

from grasp_theory.objectives import lifted_loss
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6 import stop_gradient_contraction
from linear_systems import AnySystem, stop_gradient
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_6.blocks import examine_blocks
from paper_checks.claims.theorem_6.constant import SCALAR, establish_constant
from paper_checks.engine.inspection import Evaluations, drawn_systems, judge, real_systems
from paper_checks.engine.records import Claim, Evidence, Grade, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def check_theorem_6(run: Run) -> None:
    """Examine the gradients, the block structure, the rate and the norm, and how large the constant is."""
    _examine_updates(run)
    examine_blocks(run)
    _examine_rate(run)
    establish_constant(run)
    _record_sharpness(run)


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
        false_variants={"99% of the step": 0.99},
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
            yield TheoremCheck(gap, 0.0, "=", allowance, {}), partial(as_code, system)

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
            yield TheoremCheck(gap, 0.0, "=", allowance, {}), partial(as_code, system)

    return judge(evaluations(), "largest |Jz + c − autograd's step|, pairs of step sizes included")


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
        false_variants={"0.99 times the limit": 0.99, "1.01 times the limit": 1.01},
        equations=(86,),
    )
    run.examine(
        "there is a norm with ‖J‖† ≤ q for every q > ρ(J), and with it ‖z^k − z*‖ ≤ C q^k ‖z^0 − z*‖",
        lambda factor: _inspect_adapted_norm(run, factor),
        1.05,
        false_variants={"q = 0.999 ρ(J)": 0.999},
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
)
