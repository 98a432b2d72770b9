"""Theorem 9 for affine dynamics: mean and covariance of noisy rollouts, Eq. (101)–(103) and (105)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import sympy as sp
from scipy import stats

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_9 import rollout_mean, rollout_spread
from linear_systems import AnySystem, LinearSystem, noise
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.rounding import rounding_allowance
from paper_checks.engine.inspection import Evaluations, drawn_systems, identity, judge, real_systems
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

SIGMA = 0.3


def check_theorem_9(run: Run) -> None:
    """Examine the mean identity, the covariance recursion and the law of simulated rollouts."""
    run.examine(
        "for affine F the mean follows the deterministic rollout",
        lambda shift: _inspect_mean(run, shift),
        0.0,
        false_variants={"with a drift of 10⁻³ a step": 1e-3},
        equations=(103,),
    )
    run.examine(
        "E[s_{t+1}] = E[F(s_t, a_t)], in symbols for a state with any finite law",
        _inspect_total_expectation,
        0,
        false_variants={"noise with mean 1": 1},
        equations=(102,),
    )
    run.examine(
        "for affine F the covariance obeys Σ ← AΣAᵀ + σ²I exactly, at every horizon",
        lambda power: _inspect_spread(run, power),
        2,
        false_variants={"σ in place of σ²": 1},
        equations=(105,),
    )
    run.examine(
        "simulated rollouts have this mean and covariance",
        lambda factor: _inspect_simulation(run, factor),
        1.0,
        false_variants={"variance 10% larger": Far(1.1, "what the samples find with the power stated")},
        equations=(102, 105),
    )
    run.caveat(
        "Eq. (105) takes the Jacobian at μ_t, which Theorem 9 does not define; Theorem 7's μ_t = F(s̄_t, a_t) is the "
        "prediction and so the wrong point; with G_t at m_t the recursion is right to first order",
        _inspect_expansion_point,
        "μ_t wrong",
        false_variants={"m_t wrong": "m_t wrong"},
    )
    run.sharpness(
        Sharpness(
            "Eq. (105) for affine F: Σ_T by the recursion over the closed sum",
            rollout_spread(LinearSystem([[1.1]], [[1.0]]), 40, SIGMA).computed
            / rollout_spread(LinearSystem([[1.1]], [[1.0]]), 40, SIGMA).bound,
            "closed form",
            as_code(LinearSystem([[1.1]], [[1.0]]), horizon=40, sigma=SIGMA),
            "an equality for affine dynamics",
        )
    )
    _record_curve(run)


def check_spread(run: Run) -> None:
    """Examine the text: forward propagation typically increases spread, as the horizon T grows."""
    run.examine(
        "from Σ_0 = 0 the covariance never decreases: Σ_{t+1} − Σ_t = σ² A^t (A^t)ᵀ ⪰ 0",
        lambda shift: _inspect_increments(run, shift),
        0,
        false_variants={"σ² A^{t+1} (A^{t+1})ᵀ": 1},
    )
    run.caveat(
        "it stays bounded exactly if ρ(A) < 1: then it does not spread away as T grows",
        lambda rule: _inspect_unbounded(run, rule),
        lambda radius: radius >= 1.0,
        false_variants={
            "never": lambda radius: True,
            "exactly if ρ(A) < 1.1": lambda radius: radius >= 1.1,
        },
    )
    run.caveat(
        "for ρ(A) < 1 the limit is the solution of Σ = AΣAᵀ + σ²I, and what is missing shrinks like ρ(A)^{2t}: it is "
        "Σ_∞ − Σ_t = A^t Σ_∞ (A^t)ᵀ",
        lambda factor: _inspect_limit(run, factor),
        1.0,
        false_variants={"with 1.01 Σ_∞": 1.01},
    )


def _systems(run: Run, name: str, count: int) -> Iterator[AnySystem]:
    rng = run.rng(name)
    yield from drawn_systems(rng, count, max_n=5, max_m=4)
    for _ in range(count // 4):
        yield random_time_varying_system(rng, int(rng.integers(1, 5)), 2, 25)
    for _, system in real_systems():
        yield system


def _inspect_mean(run: Run, shift: float) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("actions")
        for system in _systems(run, "mean", run.size(80, 24)):
            T = int(rng.integers(2, 25))
            actions, start = (
                rng.standard_normal((T, system.action_dim)),
                rng.standard_normal(system.state_dim),
            )
            check = rollout_mean(system, start, actions)
            drifted = TheoremCheck(check.computed + shift, 0.0, "=", check.allowance, check.assumptions)
            yield drifted, partial(as_code, system, horizon=T)

    return judge(
        evaluations(), "largest |m_t − rollout_t|, the mean by superposition of the inputs' responses"
    )


def _inspect_total_expectation(noise_mean: int) -> Evidence:
    """Take s_t with three values and arbitrary probabilities, F an arbitrary function of the value."""
    values, weights = sp.symbols("F_1:4"), sp.symbols("p_1:4")
    sigma = sp.symbols("sigma")
    conditional = [value + sigma * noise_mean for value in values]
    mean_next = sum(p * e for p, e in zip(weights, conditional, strict=True)).subs(
        weights[2], 1 - weights[0] - weights[1]
    )
    mean_prediction = sum(p * f for p, f in zip(weights, values, strict=True)).subs(
        weights[2], 1 - weights[0] - weights[1]
    )
    return identity(
        [sp.expand(mean_next - mean_prediction)],
        "E[E[s_{t+1} | s_t]] = E[F(s_t, a_t)] when the noise is centred",
        "three atoms; expectation is linear, so the number and kind of atoms add nothing (F(s_t, a_t) integrable)",
    )


def _inspect_spread(run: Run, power: int) -> Evidence:
    def evaluations() -> Evaluations:
        rng = run.rng("horizons")
        for system in _systems(run, "spread", run.size(80, 24)):
            T = int(rng.integers(1, 25))
            check = rollout_spread(system, T, SIGMA)
            scaled = TheoremCheck(
                check.computed * SIGMA ** (power - 2), check.bound, "=", check.allowance, check.assumptions
            )
            yield scaled, partial(as_code, system, horizon=T, sigma=SIGMA)

    return judge(evaluations(), "λ_max(Σ_T) by the recursion against σ²ΣΦΦᵀ")


def _inspect_simulation(run: Run, factor: float) -> Evidence:
    """Test mean and variance along random directions: z and χ² tests on independent rollouts."""
    rollouts, tests, horizon = run.size(40_000, 15_000), 0, 12
    level = run.level()
    smallest = 1.0
    for index, system in enumerate(drawn_systems(run.rng("simulated"), run.size(6, 3), max_n=3, max_m=2)):
        rng = run.rng(f"rollouts {index}")
        actions, start = (
            rng.standard_normal((horizon, system.action_dim)),
            rng.standard_normal(system.state_dim),
        )
        states = np.broadcast_to(start, (rollouts, system.state_dim))
        for t in range(horizon):
            states = states @ system.A.T + system.B @ actions[t] + SIGMA * rng.standard_normal(states.shape)
        direction = rng.standard_normal(system.state_dim)
        mean = system.rollout(start, actions)[-1]
        variance = factor * float(direction @ noise.rollout_covariance(system, horizon, SIGMA) @ direction)
        centred = (states - mean) @ direction
        z = float(centred.mean() / np.sqrt(variance / rollouts))
        statistic = float(np.sum(centred**2) / variance)
        p_values = (
            2.0 * stats.norm.sf(abs(z)),
            2.0 * min(stats.chi2.cdf(statistic, rollouts), stats.chi2.sf(statistic, rollouts)),
        )
        smallest, tests = min(smallest, *p_values), tests + 2
    corrected = min(1.0, smallest * tests)
    detectable = (stats.norm.isf(level / tests / 2) + stats.norm.isf(0.01)) * np.sqrt(2.0 / rollouts)
    return Evidence(
        Grade.STATISTICAL,
        bool(corrected >= level),
        f"{rollouts} rollouts of {tests // 2} systems over {horizon} steps, mean and variance along a random direction: "
        f"smallest p (Bonferroni over {tests}) = {corrected:.2g}, level {level:.1e}; a variance off by {detectable:.1%} is "
        "found with power 0.99",
        {"smallest corrected p": corrected},
    )


def _inspect_expansion_point(wanted: str) -> Evidence:
    """For F(s) = s + s²/4, compare the first-order covariance with the Jacobian at m_t and at F(m_t)."""
    s, sigma = sp.symbols("s sigma", positive=True)
    F = s + s**2 / 4
    start = sp.Rational(1)
    spread = sigma**2
    # One step from N(1, σ²): Var F(s) = F'(1)² σ² + O(σ⁴), by exact Gaussian moments.
    x = sp.symbols("x", real=True)
    density = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    moment = [
        sp.integrate(sp.expand(F.subs(s, start + sigma * x) ** k) * density, (x, -sp.oo, sp.oo))
        for k in (1, 2)
    ]
    variance = sp.expand(moment[1] - moment[0] ** 2)
    leading = sp.limit(variance / sigma**2, sigma, 0)
    derivative = sp.diff(F, s)
    at_mean = derivative.subs(s, start) ** 2
    at_prediction = derivative.subs(s, F.subs(s, start)) ** 2
    passed = (
        leading == at_mean != at_prediction if wanted == "μ_t wrong" else leading == at_prediction != at_mean
    )
    return Evidence(
        Grade.SYMBOLIC,
        bool(passed),
        f"F(s) = s + s²/4 from N(1, σ²): Var/σ² → {leading}; G² at m_t gives {at_mean}, at μ_t = F(m_t) gives "
        f"{at_prediction} (variance {sp.factor(spread * leading)} to leading order)",
        {"exact leading coefficient": str(leading), "at m_t": str(at_mean), "at μ_t": str(at_prediction)},
    )


def _inspect_increments(run: Run, shift: int) -> Evidence:
    """Compare Σ_{t+1} − Σ_t by the recursion with σ² A^{t+shift} (A^{t+shift})ᵀ on random systems."""

    def evaluations() -> Evaluations:
        rng = run.rng("increment times")
        for system in drawn_systems(run.rng("increments"), run.size(80, 30), max_n=4):
            t = int(rng.integers(1, 12))
            before, after = (noise.rollout_covariance(system, T, SIGMA) for T in (t, t + 1))
            power = np.linalg.matrix_power(system.A, t + shift)
            gap = float(np.abs(after - before - SIGMA**2 * power @ power.T).max())
            growth = max(1.0, float(np.linalg.norm(system.A, 2))) ** (2 * (t + shift))
            allowance = rounding_allowance(SIGMA**2 * growth, system.state_dim * t)
            yield TheoremCheck(gap, 0.0, "=", allowance, {}), partial(as_code, system, horizon=t, sigma=SIGMA)

    return judge(evaluations(), "increments of the covariance by the recursion, t from 1 to 11")


def _inspect_unbounded(run: Run, rule: Callable[[float], bool]) -> Evidence:
    """Judge growth by doubling: λ_max(Σ_2T)/λ_max(Σ_T) → 1 for a bounded spread, ≥ 2 − o(1) for ρ(A) ≥ 1."""
    wrong, count, outside, code = 0, 0, 0, ""
    cases: list[LinearSystem] = [
        *drawn_systems(run.rng("unbounded"), run.size(80, 30), ("stable", "unstable", "complex"), 4, 2),
        LinearSystem([[1.0]], [[1.0]]),
        LinearSystem([[0.9]], [[1.0]]),
    ]
    for system in cases:
        radius = float(np.abs(np.linalg.eigvals(system.A)).max())
        if 0.98 < radius < 1.0 or 1.0 < radius < 1.02:
            outside += 1  # T = 600 does not tell these from 1
            continue
        T = 600
        doubled = noise.log_rollout_spread(system, 2 * T, SIGMA) - noise.log_rollout_spread(system, T, SIGMA)
        count += 1
        if rule(radius) != (doubled > np.log(1.5)):
            wrong, code = wrong + 1, as_code(system, horizon=T, sigma=SIGMA)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"λ_max(Σ_1200)/λ_max(Σ_600) on {count} systems: {wrong} contradict the rule",
        {"systems": count, "contradictions": wrong},
        code,
        outside,
    )


def _inspect_limit(run: Run, factor: float) -> Evidence:
    def evaluations() -> Evaluations:
        for system in drawn_systems(
            run.rng("limit"), run.size(80, 30), ("stable", "complex", "defective"), 5, 2
        ):
            radius = float(np.abs(np.linalg.eigvals(system.A)).max())
            inside = {"ρ(A) < 0.95": radius < 0.95}
            if not inside["ρ(A) < 0.95"]:
                yield TheoremCheck(0.0, 0.0, "=", 0.0, inside), lambda: ""
                continue
            limit = noise.rollout_covariance_limit(system, SIGMA)
            reached, power = noise.rollout_covariance(system, 20, SIGMA), np.linalg.matrix_power(system.A, 20)
            gap = float(np.abs(factor * limit - reached - power @ (factor * limit) @ power.T).max())
            # Both are solved to about eps‖Σ‖/(1−ρ²) times the non-normality that the solution itself shows.
            scale = float(np.abs(limit).max())
            condition = scale / SIGMA**2 / (1.0 - radius**2)
            allowance = rounding_allowance(scale, system.state_dim**2, condition)
            yield TheoremCheck(gap, 0.0, "=", allowance, inside), partial(as_code, system, sigma=SIGMA)

    return judge(evaluations(), "Σ_20 against Σ_∞ − A^20 Σ_∞ (A^20)ᵀ, Σ_∞ by the Stein equation")


def _record_curve(run: Run) -> None:
    horizons = [1, 2, 5, 10, 20, 40, 80]
    series = {}
    for name, system in real_systems():
        values = [float(np.linalg.eigvalsh(noise.rollout_covariance(system, T, 1.0))[-1]) for T in horizons]
        series[name] = (horizons, values)
    run.curve(
        Curve(
            "Spread of noisy rollouts of the benchmark systems",
            "horizon T (model steps)",
            "λ_max(Σ_T) / σ²",
            series,
            log_x=True,
            log_y=True,
            note="Stable systems level off at the Lyapunov solution; the others grow with ρ(A)^{2T} or as a power of T.",
        )
    )


CLAIMS = (
    Claim(
        id="thm9",
        title="Mean and covariance of noisy rollouts",
        source="Appendix A.4, Theorem 9",
        statement=(
            "For s_{t+1} = F(s_t, a_t) + σ_env ζ_t the mean obeys m_{t+1} = E[F(s_t, a_t)], for affine F m_{t+1} = F(m_t, a_t), "
            "and to first order Σ_{t+1} = G_t Σ_t G_tᵀ + σ_env² I."
        ),
        latex=r"m_{t+1} = \mathbb{E}[F(s_t,a_t)], \quad \Sigma_{t+1} \approx G_t \Sigma_t G_t^\top + \sigma_{\mathrm{env}}^2 I",
        assumptions=("s_0 fixed", "ζ_t independent N(0, I)", "here: F affine in s (exact)"),
        equations=(102, 103, 105),
        definitions={101: "defines the noisy rollout"},
        others=("Theorem 9",),
        check=check_theorem_9,
    ),
    Claim(
        id="rollout-spread",
        title="Forward propagation typically increases spread as T grows",
        source="Appendix A.4, text before Theorem 9 and end of its proof",
        statement=(
            "“The forward propagation Eq. (105) typically increases spread”; the rollout distribution “can drift and spread away "
            "as the horizon T grows”.  Read as: from a fixed start the covariance grows with T."
        ),
        latex=r"\Sigma_{t+1} \succeq \Sigma_t",
        assumptions=("F affine, A constant", "Σ_0 = 0"),
        check=check_spread,
    ),
)
