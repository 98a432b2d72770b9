"""What no combination of iterates can know: Anderson's acceleration within the cone of dependence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, acceleration, parallel_iterations, uniform_convergence
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.parallel_iterations import Iteration
from paper_checks.claims.theorem_6.instances import benchmark, judged
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

HORIZON, ITERATIONS = 24, 12
SYSTEMS = ("tanks_in_series", "double_integrator", "convection_diffusion")
MODES = (0.5, 0.8, 0.95)
"""Eigenvalues κ = ρ(K) of systems with one state that the action does not move."""


def check_acceleration(run: Run) -> None:
    """Examine U21 for Anderson's acceleration with unlimited and with short memory."""
    run.examine(
        "started at the plan for another initial state, after k iterations the largest error of a state at times beyond k is "
        "still max ‖K^tδ‖ over k < t ≤ T, whatever Anderson's coefficients are",
        lambda factor: _inspect_cone(run, factor),
        1.0,
        false_variants={"1.05 times that": 1.05, "0.95 times that": 0.95},
    )
    run.examine(
        "so ‖e^k‖ ≥ ρ(K)^k ‖e⁰‖ in the limit of long horizons, which plain parallel greedy attains",
        lambda factor: _inspect_rate(run, factor),
        1.0,
        false_variants={"(1.05 ρ(K))^k": 1.05},
    )
    run.examine(
        "the start matters: from the straight line Anderson's acceleration of gradient steps gains by k = 25",
        _inspect_line,
        "straight line",
        false_variants={"from the plan for another initial state, at times beyond k": "other state"},
    )


def _accelerated(run: Run, system: LinearSystem) -> Iterator[tuple[Iteration, int | None]]:
    for memory in (None, 3):
        yield parallel_iterations.parallel_greedy(system), memory
        if uniform_convergence.greedy_radius(system) < 1.0:
            pair = uniform_convergence.best_uniform_step_size(system, 1.0)
            yield parallel_iterations.gradient_steps(system, 1.0, pair), memory


def _other_plan(system: LinearSystem, delta: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Return the error (T, n+m) of the greedy plan made for an initial state that is off by δ."""
    K = uniform_convergence.greedy_closed_loop(system)
    response = -np.linalg.pinv(system.B) @ system.A
    rows, state = [], delta
    for _ in range(horizon):
        rows.append(np.concatenate([K @ state, response @ state]))
        state = K @ state
    return np.array(rows)


def _iterates(
    method: Iteration, start: NDArray[np.float64], count: int, memory: int | None
) -> list[NDArray[np.float64]]:
    return acceleration.anderson(lambda error: method.advance(error.copy(), 0), start, count, memory)


def _inspect_cone(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("cone")
        for name in SYSTEMS[: run.size(3, 2)]:
            system = benchmark(name)
            n = system.state_dim
            start = _other_plan(system, rng.standard_normal(n), HORIZON)
            for method, memory in _accelerated(run, system):
                for k, error in enumerate(_iterates(method, start, ITERATIONS, memory)):
                    found = float(np.linalg.norm(error[k:, :n], axis=1).max())
                    stated = factor * float(np.linalg.norm(start[k:, :n], axis=1).max())
                    allowance = rounding_allowance(1.0 + stated, HORIZON * (n + system.action_dim))
                    check = TheoremCheck(found, stated, "=", allowance, {"local": True})
                    yield check, as_code(system, horizon=HORIZON, k=k, method=method.name, memory=memory)

    return judged(
        evaluations(),
        "largest error at t > k, Anderson on parallel greedy and gradient steps, memory ∞ and 3",
    )


def _inspect_rate(run: Run, factor: float) -> Evidence:
    """One state that decays by κ and one that the action sets: K = diag(κ, 0)."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        T, k = run.size(400, 200), 4
        for kappa in MODES:
            system = LinearSystem(np.diag([kappa, 0.3]), [[0.0], [1.0]])
            start = _other_plan(system, np.array([1.0, 0.0]), T)
            for method, memory in _accelerated(run, system):
                last = _iterates(method, start, k, memory)[-1]
                found = float(np.linalg.norm(last) / np.linalg.norm(start))
                # The sums over t ≥ k and t ≥ 0 end at T: what is cut off is less than κ^{2(T−k)}.
                allowance = rounding_allowance(1.0, T) + kappa ** (2 * (T - k))
                check = TheoremCheck(found, (factor * kappa) ** k, ">=", allowance, {"local": True})
                yield check, as_code(system, horizon=T, k=k, method=method.name, memory=memory)

    return judged(evaluations(), "‖e⁴‖/‖e⁰‖ of Anderson against ρ(K)⁴, ρ(K) = 0.5, 0.8, 0.95")


def _inspect_line(start: str) -> Evidence:
    system, T, k = benchmark("tanks_in_series"), 40, 25
    n, d = system.state_dim, system.state_dim + system.action_dim
    first = _other_plan(system, np.ones(n), T)
    if start == "straight line":
        # s_0 = (1, …, 1), g = 0, no actions: the error is the start less the greedy plan.
        line = np.linspace(1.0 - 1.0 / T, 0.0, T)[:, None] * np.concatenate([np.ones(n), np.zeros(d - n)])
        first = line - first
    pair = uniform_convergence.best_uniform_step_size(system, 1.0)
    method = parallel_iterations.gradient_steps(system, 1.0, pair)
    plain = first
    for index in range(k):
        plain = method.advance(plain.copy(), index)
    beyond = 0 if start == "straight line" else k
    fast = _iterates(method, first, k, None)[-1]
    sizes = [float(np.linalg.norm(error[beyond:])) for error in (fast, plain)]
    return Evidence(
        Grade.NUMERICAL,
        sizes[0] < 0.5 * sizes[1],
        f"tanks_in_series, T = {T}, from the {start}: error after {k} iterations {sizes[0]:.3g} with Anderson, "
        f"{sizes[1]:.3g} without",
        {"with": sizes[0], "without": sizes[1]},
        as_code(system, step_size=pair),
    )


CLAIMS = (
    Claim(
        id="ours-acceleration",
        title="No acceleration that combines iterates beats the rate ρ(K) at every horizon",
        source="ours, beyond Theorem 6 (docs/theory/limits.md, U21)",
        statement=(
            "Started at the plan for another initial state, every method whose iterates are combinations of earlier iterates and "
            "their images, with any coefficients that add up to 1, leaves the plan beyond the k-th step as it was for k "
            "iterations.  So no such method, Anderson's acceleration among them, has a T-free rate below ρ(K)."
        ),
        latex=r"\sup_{T,\,e^0} \frac{\|e^k\|}{\|e^0\|} \ge \rho(K)^k",
        assumptions=("an iteration that is local in time", "coefficients are scalars that add up to 1"),
        check=check_acceleration,
    ),
)
