"""Theorem 7: the Gaussian tube, Eq. (92)–(96)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray

from grasp_theory.objectives import lifted_loss
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_7 import gaussian_tube, live_tube
from linear_systems import LinearSystem, noise, state_chain, stop_gradient
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.noise.planner_chain import (
    ETA,
    LIMIT_GAP,
    SIGMA,
    TubeVariant,
    chain_limit_gap,
    compare_chain,
    inspect_tube,
)
from paper_checks.engine.inspection import Evaluations, drawn_systems, identity, judge
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def check_theorem_7(run: Run) -> None:
    """Examine the recursion, the stationary law and its necessary condition, and the law of a simulation."""
    run.examine(
        "gradient steps on the stop-gradient objective move the states by −2η_s(s_{t+1} − μ_t) alone",
        lambda stop: _inspect_state_step(run, stop),
        True,
        false_variants={"state gradient kept": False},
        equations=(93,),
    )
    run.examine(
        "the action step is −η_a∇_a of (92), the gradient of a quadratic in a_t alone",
        lambda weight: _inspect_action_step(run, weight),
        1.0,
        false_variants={"goal weight 1% larger": 1.01},
        equations=(94,),
    )
    run.examine(
        "the conditional mean obeys m ← (1−2η_s)m + 2η_sμ",
        _inspect_mean,
        2,
        false_variants={"η_s in place of 2η_s": 1},
        equations=(95,),
    )
    run.examine(
        "σ²/(4η_s(1−η_s)) solves Σ = (1−2η_s)²Σ + σ²",
        _inspect_lyapunov,
        4,
        false_variants={"σ²/(2η_s(1−η_s))": 2},
        equations=(96,),
    )
    run.examine(
        "0 < η_s < 1 is necessary and sufficient for a stationary law",
        _inspect_condition,
        1.0,
        false_variants={"0 < η_s < 0.99": 0.99, "0 < η_s < 1.01": 1.01},
    )
    run.examine(
        "the variance after k steps from a fixed start increases to the tube's",
        lambda factor: _inspect_approach(run, factor),
        1.0,
        false_variants={"to 99% of it": 0.99},
        equations=(96,),
    )
    run.examine(
        "the state s_1 of GRASP.paper() with the actions frozen, whose μ_0 is fixed, has this law, not only these moments",
        lambda variant: inspect_tube(run, variant),
        TubeVariant(),
        false_variants={
            "σ 3% larger": TubeVariant(1.03),
            "σ 3% smaller": TubeVariant(0.97),
            "states stepped by Adam, as in the released implementation": TubeVariant(optimizer="adam"),
        },
        equations=(96,),
    )
    run.examine(
        "the continuous-time limit has variance σ²/(2λ)",
        _inspect_continuous,
        2,
        false_variants={"σ²/λ": 1},
    )
    run.caveat(
        "μ_t is not fixed in the planner: even with the actions frozen, μ_{t} is made from the noised s_t, and the spread "
        "grows along the chain; only the first state has the tube of Eq. (96)",
        lambda wanted: _inspect_live_tube(run, wanted),
        ("wider", 1.0),
        false_variants={"the tube holds at every t": ("equal", 1.0), "all states 5% wider": ("wider", 1.05)},
    )
    run.caveat(
        "0 < η_s < 1 is not enough for the chain: for η_s > 1/(1+ρ(A)) the spread grows exponentially with T even for "
        "stable A",
        _inspect_large_steps,
        0.6,
        false_variants={
            "at η_s = 0.55": Far(0.55, "the limit is 0.556, and just above it the growth is slow")
        },
    )
    run.caveat(
        "with the actions live as well, step sizes inside the conditions of Theorems 6 and 7 may amplify the noise "
        "exponentially in T: no tube of bounded width exists there",
        _inspect_joint_iteration,
        (1.0 / 3.0, 1.0 / 3.0),
        false_variants={"at (η_s, η_a) = (0.05, 0.3)": (0.05, 0.3)},
    )
    _record(run)


# --- the iteration ----------------------------------------------------------------------------------------


def _draw(
    run: Run, name: str
) -> Iterator[tuple[LinearSystem, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    rng = run.rng(name)
    for system in drawn_systems(rng, run.size(40, 15), max_n=4, max_m=4):
        T = int(rng.integers(2, 10))
        yield (
            system,
            rng.standard_normal((T + 1, system.state_dim)),
            rng.standard_normal((T, system.action_dim)),
            rng.standard_normal(system.state_dim),
        )


def _autograd(
    system: LinearSystem, states: NDArray[np.float64], actions: NDArray[np.float64], goal: NDArray[np.float64],
    weight: float, *, stop: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    path = torch.from_numpy(states.copy()).requires_grad_()
    acts = torch.from_numpy(actions.copy()).requires_grad_()
    loss = lifted_loss(system, path, acts, torch.from_numpy(goal), weight, stop_state_gradient=stop)
    found = torch.autograd.grad(loss, (path, acts))
    return found[0].numpy(), found[1].numpy()


def _inspect_state_step(run: Run, stop: bool) -> Evidence:
    def evaluations() -> Evaluations:
        for system, states, actions, goal in _draw(run, "state step"):
            predicted = states[:-1] @ system.A.T + actions @ system.B.T
            gradient, _ = _autograd(system, states, actions, goal, 0.7, stop=stop)
            moved = states[1:] - ETA * gradient[1:]
            claimed = states[1:] - 2.0 * ETA * (states[1:] - predicted)
            gap = float(np.abs(moved - claimed).max())
            scale = 1.0 + float(np.abs(predicted).max() + np.abs(states).max())
            allowance = rounding_allowance(scale, 2 * (system.state_dim + system.action_dim))
            yield TheoremCheck(gap, 0.0, "=", allowance, {}), partial(as_code, system)

    return judge(evaluations(), "autograd's state step against Eq. (93) without noise")


def _inspect_action_step(run: Run, weight: float) -> Evidence:
    def evaluations() -> Evaluations:
        for system, states, actions, goal in _draw(run, "action step"):
            gamma = 0.7
            predicted = states[:-1] @ system.A.T + actions @ system.B.T
            _, gradient = _autograd(system, states, actions, goal, gamma)
            claimed = 2.0 * ((predicted - states[1:]) + weight * gamma * (predicted - goal)) @ system.B
            gap = float(np.abs(gradient - claimed).max())
            scale = (1.0 + float(np.abs(predicted).max() + np.abs(states).max())) * float(
                np.abs(system.B).sum() + 1.0
            )
            allowance = rounding_allowance(scale, 4 * (system.state_dim + system.action_dim))
            yield TheoremCheck(gap, 0.0, "=", allowance, {}), partial(as_code, system)

    return judge(evaluations(), "autograd's action gradient of Eq. (92) against 2Bᵀ((μ−s) + γ(μ−g))")


def _inspect_mean(factor: int) -> Evidence:
    s, mu, eta = sp.symbols("s mu eta")
    step = s - eta * sp.diff((s - mu) ** 2, s)
    return identity(
        [sp.expand(step - ((1 - factor * eta) * s + factor * eta * mu))],
        "the mean of a gradient step on (s−μ)² plus centred noise",
        "coordinates are independent; the step is affine, so expectation commutes with it",
    )


def _inspect_lyapunov(divisor: int) -> Evidence:
    eta, sigma = sp.symbols("eta sigma", positive=True)
    tube = sigma**2 / (divisor * eta * (1 - eta))
    return identity(
        [sp.simplify(tube - ((1 - 2 * eta) ** 2 * tube + sigma**2))],
        "Σ = (1−2η)²Σ + σ² at the claimed Σ",
        "a scalar identity; the covariance is a multiple of I in every dimension",
    )


def _inspect_condition(upper: float) -> Evidence:
    """Solve |1 − 2η| < 1 for real η and compare the solutions with 0 < η < upper."""
    eta = sp.Symbol("eta", real=True)
    solutions = sp.solveset(sp.Abs(1 - 2 * eta) < 1, eta, sp.S.Reals)
    stated = sp.Interval.open(0, sp.nsimplify(upper))
    return Evidence(
        Grade.SYMBOLIC,
        bool(solutions == stated),
        "an AR(1) with factor 1 − 2η and nonzero noise has a stationary law exactly where |1 − 2η| < 1: by symbols for "
        f"η in {solutions}, against {stated}",
        {"solutions": str(solutions)},
    )


def _inspect_approach(run: Run, factor: float) -> Evidence:
    rng = run.rng("approach")

    def evaluations() -> Evaluations:
        for _ in range(run.size(300, 80)):
            eta, sigma = float(rng.uniform(0.001, 0.999)), float(rng.uniform(0.01, 3.0))
            # After the mixing time to 10⁻⁶ the variance is within 10⁻¹² of the limit, relatively.
            k = noise.mixing_time(eta, 1e-6)
            check = gaussian_tube(eta, sigma, k)
            limit = factor * check.bound
            allowance = check.allowance + 1e-12 * check.bound
            code = f"step_size = {eta!r}\nsigma = {sigma!r}\niterations = {k}"
            yield TheoremCheck(check.computed, limit, "=", allowance, check.assumptions), partial(str, code)
            steps = np.diff(noise.tube_variances(eta, sigma, k))
            yield (
                TheoremCheck(float(-steps.min()), 0.0, "<=", check.allowance, check.assumptions),
                partial(str, code),
            )

    return judge(
        evaluations(),
        "σ²Σ_{j<k}(1−2η)^{2j}: no step down on the way, and at the mixing time to 10⁻⁶ the limit",
    )


def _inspect_continuous(divisor: int) -> Evidence:
    lam, sigma, tau = sp.symbols("lambda sigma tau", positive=True)
    variance = sp.integrate(sp.exp(-2 * lam * tau) * sigma**2, (tau, 0, sp.oo))
    return identity(
        [sp.simplify(variance - sigma**2 / (divisor * lam))],
        "σ²∫e^{−2λτ}dτ, the stationary variance of the Ornstein–Uhlenbeck process",
        "coordinates are independent",
    )


# --- the chain --------------------------------------------------------------------------------------------


def _inspect_live_tube(run: Run, variant: tuple[str, float]) -> Evidence:
    """Compare the closed-form spread of each state with the tube, and run the shipped planner against it."""
    wanted, factor = variant
    T = 16
    system = LinearSystem([[1.0]], [[1.0]])
    variances = state_chain.stationary_law(system, T, ETA, SIGMA).states[:, 0, 0]
    tube = noise.tube_variance(ETA, SIGMA)
    ratios = variances / tube
    drawn = [live_tube(s, 12, ETA, SIGMA) for s in drawn_systems(run.rng("live"), run.size(60, 20), max_n=3)]
    planner, outcomes = compare_chain(run, T, factor)
    exact = rounding_allowance(1.0, T)
    outcomes |= {
        "first state has the tube": abs(ratios[0] - 1.0) <= exact,
        "never below it": all(check.holds for check in drawn),
        "limit of the planner's law is the closed form": chain_limit_gap(T) <= LIMIT_GAP,
        "wider at T = 16" if wanted == "wider" else "the tube at every t": bool(
            ratios[-1] > 1.5 if wanted == "wider" else np.all(np.abs(ratios - 1.0) <= exact)
        ),
    }
    return Evidence(
        Grade.STATISTICAL,
        all(outcomes.values()),
        f"A = 1, η_s = {ETA}: Cov(s_t)/tube = 1 at t = 1 and {ratios[-1]:.2f} at t = {T}; never below 1 on {len(drawn)} random "
        f"systems; {planner}",
        {f"Cov(s_{t})/tube": float(ratios[t - 1]) for t in (1, 2, 4, 8, 16)},
        as_code(system, horizon=T, step_size=ETA, sigma=SIGMA),
        outcomes=outcomes,
    )


def _inspect_large_steps(step_size: float) -> Evidence:
    """Growth of the last state's spread per step of T, for A = 0.8: exponential or settled."""
    system = LinearSystem([[0.8]], [[1.0]])
    variances = state_chain.stationary_law(system, 60, step_size, 1.0).states[:, 0, 0]
    growth = float(np.log(variances[59] / variances[29]) / 30.0)
    return Evidence(
        Grade.NUMERICAL,
        growth > 0.05,
        f"A = 0.8, η_s = {step_size} (1/(1+ρ(A)) = {1 / 1.8:.3f}): log Cov(s_t) grows by {growth:.4f} a step of t between 30 "
        "and 60",
        {"growth per step": growth, "Cov(s_60) / σ²": float(variances[59])},
        as_code(system, horizon=60, step_size=step_size, sigma=1.0),
    )


def _inspect_joint_iteration(step_size: tuple[float, float]) -> Evidence:
    """Growth over T of the last state's stationary variance in z' = Jz + c + σξ, for A = 0.8, B = 1, β = 1."""
    system = LinearSystem([[0.8]], [[1.0]])
    logs = noise.log_joint_stationary_variances(system, 80, 1.0, step_size, 1.0)[:, 0]
    growth = float((logs[79] - logs[39]) / 40.0)
    radius = stop_gradient.spectral_radius(system, 80, 1.0, step_size)
    return Evidence(
        Grade.NUMERICAL,
        growth > 0.1 and radius < 1.0,
        f"A = 0.8, B = 1, β = 1, (η_s, η_a) = ({step_size[0]:.3g}, {step_size[1]:.3g}), ρ(J) = {radius:.3f}: the standard "
        f"deviation of s_80 is 10^{logs[79] / np.log(100.0):.1f} σ, growing by a factor {np.exp(growth / 2.0):.3f} a step",
        {"log10 of the standard deviation of s_80 / σ": float(logs[79] / np.log(100.0)), "ρ(J)": radius},
        as_code(system, horizon=80, beta=1.0, step_size=step_size, sigma=1.0),
    )


def _record(run: Run) -> None:
    horizons = list(range(1, 41))
    tube = noise.tube_variance(ETA, SIGMA)
    series: dict[str, tuple[list[int], list[float]]] = {"tube of Eq. (96)": (horizons, [1.0] * 40)}
    for a in (0.8, 1.0, 1.1):
        law = state_chain.stationary_law(LinearSystem([[a]], [[1.0]]), 40, ETA, SIGMA)
        series[f"A = {a}"] = (horizons, [float(v / tube) for v in law.states[:, 0, 0]])
    run.curve(
        Curve(
            f"Spread of the noised states with s̄_t live, η_s = {ETA}",
            "state t",
            "Cov(s_t) / tube variance",
            series,
            log_y=True,
            note="The tube of Theorem 7 is the spread of the first state; A ≥ 1 accumulates noise along the chain.",
        )
    )
    run.sharpness(
        Sharpness(
            "Eq. (96): variance after the mixing time over the stationary variance",
            gaussian_tube(ETA, SIGMA, noise.mixing_time(ETA, 1e-6)).computed / tube,
            "closed form",
            f"step_size = {ETA}\nsigma = {SIGMA}",
            "an equality; with s̄_t live the spread is that of linear_systems.noise.state_chain.stationary_law",
        )
    )


CLAIMS = (
    Claim(
        id="thm7",
        title="Gaussian tube around one-step predictions",
        source="Appendix A.4, Theorem 7",
        statement=(
            "With μ_t fixed and 0 < η_s < 1 the noised state update has conditional mean (1−2η_s)s + 2η_sμ_t and converges in "
            "distribution to N(μ_t, σ²/(4η_s(1−η_s)) I); in continuous time to N(μ_t, σ²/(2λ) I)."
        ),
        latex=r"s_{t+1}^\infty \sim \mathcal{N}\Bigl(\mu_t, \frac{\sigma^2}{4\eta_s(1-\eta_s)} I\Bigr)",
        assumptions=("μ_t held fixed", "0 < η_s < 1"),
        equations=(93, 94, 95, 96),
        definitions={92: "restates the objective (10) with μ_t for the prediction"},
        others=("Theorem 7",),
        check=check_theorem_7,
    ),
)
