"""What no iteration beats, when Theorem 6's constant can be free of T at r = 1, and what fixing s_T = g does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, stop_gradient, uniform_bounds, uniform_convergence
from linear_systems.rounding import EPS, rounding_allowance
from linear_systems.stop_gradient.blocks import all_steps, update_blocks
from linear_systems.stop_gradient.fixed_end import fixed_end_bound, fixed_end_matrix, last_action_block
from linear_systems.stop_gradient.kreiss import kreiss_constant
from paper_checks.claims.theorem_6.instances import SCALAR, TAME, drawn_uniform_systems, judged
from paper_checks.engine.inspection import drawn_systems
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

UNREACHED = LinearSystem(np.diag([1.5, 0.1]), [[0.0], [1.0]])
"""ρ(K) = 1.5, from a state on which the action does nothing."""
SWEEPS, HORIZON = 8, 120
"""Powers and horizon at which sweeps are looked at."""
POLYNOMIALS = ("local", "two steps", "momentum")
"""Kinds of linear iterations with the greedy fixed point."""


def check_limits(run: Run) -> None:
    """Examine U9 to U13."""
    run.examine(
        "sweeps in time order contract at every T where ρ(K) = 1.5 is an eigenvalue of 2η_s A: η_s = 0.5",
        _inspect_sweep,
        0.5,
        false_variants={"also where it is not: η_s = 0.475": 0.475},
    )
    run.examine(
        "ten gradient steps and a reset of the states contract at every T where the action does not reach the growing state",
        _inspect_reset,
        0.0,
        false_variants={"also where it reaches it with 5% of its strength": 0.05},
    )
    run.examine(
        "every linear iteration that reaches p steps back and has the greedy fixed point has r ≥ min(1, ρ(K)^p)",
        lambda variant: _inspect_limit(run, *variant),
        (1.0, True),
        false_variants={"r ≥ min(1, 1.05 ρ(K)^p)": (1.05, True), "r ≥ ρ(K)^p also above 1": (1.0, False)},
    )
    run.examine(
        "the Kreiss constant 𝒦 of the symbol is at most sup ‖J_T^k‖ over T and k",
        lambda factor: _inspect_kreiss(run, factor),
        1.0,
        false_variants={"1.05 𝒦 is": 1.05},
    )
    run.examine(
        "at r = 1 the symbols (1+z)/2 I + (z−1)N are power bounded one by one, and not together: max ‖φ^k‖ grows like √k",
        _inspect_critical,
        0.5,
        false_variants={"like k^0.52": 0.52, "like k^0.48": 0.48},
    )
    run.examine(
        "with s_T = g the last block contracts at least as fast as the others: ‖I − 2η_a(1+β)BᵀB‖ ≤ ρ(D)",
        lambda factor: _inspect_interlacing(run, factor),
        1.0,
        false_variants={"≤ 0.97 ρ(D)": 0.97},
    )
    run.examine(
        "with s_T = g, ‖J^k‖ ≤ C' q^k at every T with C' from C and q",
        lambda factor: _inspect_fixed_end(run, factor),
        1.0,
        false_variants={"with 0.95 C'": 0.95},
    )
    run.examine(
        "action steps preconditioned by (BᵀB)⁻¹ have the r of plain steps for B(BᵀB)^{−1/2}",
        lambda exponent: _inspect_preconditioned(run, exponent),
        1.0,
        false_variants={"by (BᵀB)^{−0.96}": 0.96, "by (BᵀB)^{−1.04}": 1.04},
    )
    run.examine(
        "with them r < 1 at short state steps for every η_a < 1/(1+β), whatever B is",
        _inspect_preconditioned_limit,
        0.98,
        false_variants={"also for η_a = 1.02/(1+β)": 1.02},
    )


def _inspect_sweep(eta_s: float) -> Evidence:
    D, E = (blocks[0] for blocks in update_blocks(all_steps(UNREACHED, 1.0), (eta_s, 0.2)))
    norms = {}
    for T in (HORIZON // 2, HORIZON):
        d = len(D)
        lower, upper = np.kron(np.eye(T, k=-1), E), np.kron(np.eye(T), D)
        sweep = np.linalg.solve(np.eye(T * d) - lower, upper)
        norms[T] = float(np.linalg.norm(np.linalg.matrix_power(sweep, SWEEPS), 2))
    return Evidence(
        Grade.NUMERICAL,
        max(norms.values()) < 0.5,
        f"A = diag(1.5, 0.1), B = e₂, β = 1, η_a = 0.2, η_s = {eta_s}: ‖G^{SWEEPS}‖ = "
        + ", ".join(f"{norm:.3g} at T = {T}" for T, norm in norms.items()),
        {f"norm at T = {T}": norm for T, norm in norms.items()},
        as_code(UNREACHED, beta=1.0, step_size=(eta_s, 0.2)),
    )


def _inspect_reset(reached: float) -> Evidence:
    """The period on the actions: they give the states, both take ten steps, and only the actions are kept."""
    system, T = LinearSystem(UNREACHED.A, [[reached], [1.0]]), HORIZON // 2
    J = stop_gradient.update_matrix(system, T, 1.0, (0.1, 0.2)).toarray()
    actions = np.arange(2, 3 * T, 3)
    rolled = np.zeros((3 * T, T))
    for t in range(T):
        states = system.rollout(np.zeros(2), np.eye(T)[:, t : t + 1])[1:]
        rolled[:, t] = stop_gradient.stack(states, np.eye(T)[:, t : t + 1])
    period = (np.linalg.matrix_power(J, 10) @ rolled)[actions]
    norm = float(np.linalg.norm(np.linalg.matrix_power(period, 20), 2))
    return Evidence(
        Grade.NUMERICAL,
        norm < 1e-6,
        f"A = diag(1.5, 0.1), B = ({reached}, 1), β = 1, (η_s, η_a) = (0.1, 0.2): after 20 periods at T = {T} the norm is {norm:.3g}",
        {"norm": norm},
        as_code(system, beta=1.0, step_size=(0.1, 0.2)),
    )


def _inspect_limit(run: Run, factor: float, capped: bool) -> Evidence:
    """D̃ is drawn; E = (I − D̃)𝒦 is what the greedy fixed point leaves.  D̃ = 0 is parallel greedy, with r = ρ(K)."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("limit")
        systems = [UNREACHED, *drawn_systems(rng, run.size(60, 24), TAME, 3, 2)]
        for index, system in enumerate(systems):
            n, d = system.state_dim, system.state_dim + system.action_dim
            K = uniform_convergence.greedy_closed_loop(system)
            response = np.zeros((d, d))
            response[:n, :n], response[n:, :n] = K, -np.linalg.pinv(system.B) @ system.A
            kind, spread = POLYNOMIALS[index % 3], float(rng.choice([0.0, 0.3]))
            parts = [spread * rng.standard_normal((d, d)) for _ in range(2)]
            if index % 4 == 0:
                # Nearly at rest: r is close to 1 however large ρ(K) is.
                parts = [np.eye(d) * (1.0 - 1e-3)] * 2
            rate = _rate(kind, parts, response)
            radius = uniform_convergence.greedy_radius(system)
            reach = 2 if kind == "two steps" else 1
            floor = factor * radius**reach
            floor = min(1.0, floor) if capped else floor
            # Eigenvalues are rounded like the root of the size of a block that may be defective.
            allowance = (EPS * 16.0 * d) ** (1.0 / (2 * d)) * max(
                1.0, float(np.linalg.norm(response, 2))
            ) ** reach
            check = TheoremCheck(rate, floor, ">=", min(allowance, 0.02), {"any": True})
            yield check, as_code(system, kind=kind)

    return judged(
        evaluations(), "r of drawn iterations (one step, two in turn, with momentum) against min(1, ρ(K)^p)"
    )


def _rate(kind: str, parts: list[NDArray[np.float64]], response: NDArray[np.float64]) -> float:
    """Return the largest spectral radius of the symbol over sampled |z| = 1, a lower bound of r."""
    d, one = len(response), np.eye(len(response))
    z = np.exp(1j * np.linspace(0.0, 2.0 * np.pi, 721))[:, None, None]
    first, second = (one - (one - part) @ (one - z * response) for part in parts)
    symbol = second @ first if kind == "two steps" else first
    if kind == "momentum":
        # y' = φ y + 0.3 (y − y_before), on (y, y_before).
        symbol = np.zeros((len(z), 2 * d, 2 * d), dtype=complex)
        symbol[:, :d, :d], symbol[:, :d, d:], symbol[:, d:, :d] = first + 0.3 * one, -0.3 * one, one
    return float(np.abs(np.linalg.eigvals(symbol)).max())


def _uniform(run: Run, name: str, count: int) -> Iterator[tuple[LinearSystem, tuple[float, float]]]:
    for system in drawn_uniform_systems(run, name, count, 2, 2):
        if uniform_convergence.greedy_radius(system) < 0.8:
            yield system, uniform_convergence.best_uniform_step_size(system, 1.0)


def _inspect_kreiss(run: Run, factor: float) -> Evidence:
    """With A = 0 and one step size J is symmetric, and both are 1."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        cases = [(LinearSystem([[0.0]], [[1.0]]), (0.2, 0.2)), (SCALAR, (0.2778, 0.25))]
        cases += list(_uniform(run, "kreiss", run.size(10, 4)))
        for system, pair in cases:
            peak = uniform_bounds.uniform_bound(system, 1.0, pair).peak
            found = kreiss_constant(system, 1.0, pair).value
            check = TheoremCheck(factor * found, peak, "<=", rounding_allowance(peak, 64), {"r < 1": True})
            yield check, as_code(system, step_size=pair)

    return judged(
        evaluations(), "(|λ|−1)‖(λ−D−zE)⁻¹‖ at the worst z and λ found against a proved bound of sup ‖J_T^k‖"
    )


def _inspect_critical(exponent: float) -> Evidence:
    """Powers are ((1+z)/2)^k I + k ((1+z)/2)^{k−1} (z−1) N, with norms known but for a maximum over the angle."""
    counts = np.array([200.0, 800.0, 3200.0])
    angle = np.linspace(0.0, 0.5, 200_001)
    peaks = [float((k * np.cos(angle / 2) ** (k - 1) * 2 * np.sin(angle / 2)).max()) for k in counts]
    slopes = np.diff(np.log(peaks)) / np.diff(np.log(counts))
    return Evidence(
        Grade.NUMERICAL,
        bool(np.abs(slopes - exponent).max() < 0.01),
        f"N = e₁e₂ᵀ: the off-diagonal entry of φ^k reaches {peaks[0]:.3g}, {peaks[1]:.3g}, {peaks[2]:.3g} at k = 200, 800, "
        f"3200: exponents {slopes[0]:.4f}, {slopes[1]:.4f}; at every single z it is bounded in k",
        {"exponent": float(slopes[-1])},
    )


def _inspect_interlacing(run: Run, factor: float) -> Evidence:
    """At β = 10⁴ states and actions hardly couple, and the bound is nearly attained."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("interlacing")
        cases = [(LinearSystem([[0.5]], [[1.0]]), 1e4, (0.3, 0.1 / 1e4))]
        for system in drawn_systems(rng, run.size(100, 30), TAME, 4, 4):
            ratio = float(10.0 ** rng.uniform(-1.0, 1.0))
            eta = float(rng.uniform(0.1, 1.2)) * stop_gradient.step_size_limit(system, 1.0, ratio)
            cases.append((system, 1.0, (eta, ratio * eta)))
        for system, beta, pair in cases:
            found = float(np.linalg.norm(last_action_block(system, beta, pair), 2))
            bound = factor * stop_gradient.spectral_radius(system, 1, beta, pair)
            check = TheoremCheck(found, bound, "<=", rounding_allowance(max(1.0, found), 8), {"any": True})
            yield check, as_code(system, beta=beta, step_size=pair)

    return judged(evaluations(), "‖I − 2η_a(1+β)BᵀB‖ against ρ(D), step sizes short and too long")


def _inspect_fixed_end(run: Run, factor: float) -> Evidence:
    """Without A blocks do not couple, J is symmetric at equal steps, and C' = C = 1 is attained at once."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        cases = [(LinearSystem([[0.0]], [[1.0]]), (0.2, 0.2)), (SCALAR, (0.2778, 0.25))]
        for system, pair in [*cases, *_uniform(run, "fixed end", run.size(10, 4))]:
            free = uniform_bounds.uniform_bound(system, 1.0, pair)
            bound = fixed_end_bound(system, 1.0, pair, free)
            for T in (1, 4, 20):
                J = fixed_end_matrix(system, T, 1.0, pair).toarray()
                power, worst = np.eye(len(J)), 0.0
                for k in range(60):
                    worst = max(worst, float(np.linalg.norm(power, 2)) / bound.rate**k)
                    power = J @ power
                allowance = rounding_allowance(worst, 60 * len(J))
                check = TheoremCheck(worst, factor * bound.constant, "<=", allowance, {"r < 1": True})
                yield check, as_code(system, horizon=T, step_size=pair)

    return judged(evaluations(), "max over k < 60 of ‖J^k‖/q^k with s_T fixed, T = 1, 4, 20, against C'")


def _inspect_preconditioned(run: Run, exponent: float) -> Evidence:
    """Both on samples of the circle; columns of B differ in length up to 100 times."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("preconditioned")
        for system in drawn_systems(rng, run.size(40, 12), TAME, 4, 3, full_column_rank=True):
            scaled = LinearSystem(system.A, system.B * 10.0 ** rng.uniform(-2.0, 0.0, (1, system.action_dim)))
            values, vectors = np.linalg.eigh(scaled.B.T @ scaled.B)
            pair = (0.2, float(rng.uniform(0.1, 0.4)))
            found = _preconditioned_rate(scaled, (vectors * values**-exponent) @ vectors.T, pair)
            plain = LinearSystem(system.A, scaled.B @ (vectors * values**-0.5) @ vectors.T)
            stated = _preconditioned_rate(plain, np.eye(system.action_dim), pair)
            cond = float(values[-1] / values[0])
            # Eigenvalues of a symbol that may be defective are rounded like a root of its entries.
            size = system.state_dim + system.action_dim
            allowance = (EPS * 16.0 * size * cond) ** (1.0 / (2 * size)) if size > 2 else 1e-9 * cond
            check = TheoremCheck(found, stated, "=", min(allowance, 1e-3), {"full column rank": True})
            yield check, as_code(scaled, beta=1.0, step_size=pair)

    return judged(evaluations(), "r with the action steps times (BᵀB)⁻¹ against that of B(BᵀB)^{−1/2}, β = 1")


def _preconditioned_rate(
    system: LinearSystem, weights: NDArray[np.float64], pair: tuple[float, float]
) -> float:
    """Return the largest ρ over sampled |z| = 1 of the symbol with action steps η_a · weights, β = 1."""
    D, E = (blocks[0] for blocks in update_blocks(all_steps(system, 1.0), pair))
    n, one = system.state_dim, np.eye(len(D))
    steps = one.copy()
    steps[n:, n:] = weights
    z = np.exp(1j * np.linspace(0.0, np.pi, 91))[:, None, None]
    return float(np.abs(np.linalg.eigvals(one + steps @ (D - one + z * E))).max())


def _inspect_preconditioned_limit(fraction: float) -> Evidence:
    """B has columns of length 1 and 1/100, and ρ(K) = 0.5."""
    system = LinearSystem(
        [[0.4, 1.0, 0.0], [0.0, 0.7, 0.3], [0.2, 0.0, 0.5]], [[1.0, 0.0], [0.0, 0.01], [0.0, 0.0]]
    )
    weights = np.asarray(np.linalg.inv(system.B.T @ system.B), dtype=np.float64)
    rate = _preconditioned_rate(system, weights, (1e-3, fraction / 2.0))
    return Evidence(
        Grade.NUMERICAL,
        rate < 1.0,
        f"columns of B of lengths 1 and 0.01, η_s = 10⁻³, β = 1, η_a = {fraction:g}/(1+β): r = {rate:.6f}",
        {"r": rate},
        as_code(system, beta=1.0),
    )


CLAIMS = (
    Claim(
        id="ours-limits",
        title="What no linear iteration beats, what r = 1 means, and what fixing s_T = g costs",
        source="ours, beyond Theorem 6 (docs/theory/limits.md, U9 to U13)",
        statement=(
            "A linear iteration that reaches p steps back and has the greedy fixed point has r ≥ min(1, ρ(K)^p).  The constant "
            "of Theorem 6 is bounded over T exactly if the symbols' Kreiss constants are.  Fixing s_T = g, as Algorithm 1 does, "
            "keeps every T-free rate.  Action steps preconditioned by (BᵀB)⁻¹ make B's condition number irrelevant."
        ),
        latex=r"r \ge \min(1, \rho(K)^p), \qquad \mathcal{K} \le \sup_{T,k}\|J_T^k\| \le e(n+m)\mathcal{K}",
        assumptions=("time-invariant linear dynamics",),
        check=check_limits,
    ),
)
