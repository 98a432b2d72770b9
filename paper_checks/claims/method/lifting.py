"""The problem, its lifting and the Langevin updates: Eq. (1)–(7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from grasp_theory.dynamics import Dynamics, one_step_predictions, rollout
from grasp_theory.objectives import dynamics_loss, rollout_loss
from grasp_theory.theorems import TheoremCheck
from paper_checks.claims.method.algorithm_1_reference import CountingDynamics
from paper_checks.claims.method.gradients import Objective, inspect_three_ways, random_problems
from paper_checks.claims.method.shipped import SILENT, inspect_gradient_step
from paper_checks.engine.inspection import identity, judge, refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run

HORIZONS = (1, 2, 4, 8, 16)
"""Horizons at which the evaluations of the model are counted."""


def check_problem(run: Run) -> None:
    """Examine the rollout and the sufficiency of the rollout loss."""
    run.examine(
        "the T-fold composition is the recursion s_{t+1} = F(s_t, a_t), first action innermost",
        lambda order: _inspect_composition(run, order),
        1,
        false_variants={"last action innermost": -1},
        equations=(2,),
    )
    run.examine(
        "where g is reachable, the minimisers of (3) are exactly the solutions of (1)",
        lambda goals: _inspect_sufficiency(run, goals),
        "reachable",
        false_variants={"for every g": "any"},
        equations=(1, 3),
    )


def check_lifting(run: Run) -> None:
    """Examine whether Eq. (4) and Eq. (3) share their global minimisers."""
    run.examine(
        "the minimisers of (4) and of (3) have the same actions, for every goal that some plan reaches, as (1) has it",
        lambda variant: _inspect_lifting(run, variant),
        Lifting(goals="reachable"),
        false_variants={"s_T free in place of s_T = g": Lifting(end_fixed=False, goals="reachable")},
        equations=(4,),
    )
    run.caveat(
        "out of reach they are two problems: (4) spreads the miss over the steps, and has the minimisers of (3) measured "
        "in the metric (Σ_{j<T} A^j (A^j)ᵀ)⁻¹",
        refuted(lambda variant: _inspect_lifting(run, variant)),
        Lifting(),
        false_variants={"(3) measured in that metric": Lifting(weighted=True)},
    )


def check_parallel(run: Run) -> None:
    """Examine which model evaluations depend on which."""
    run.examine(
        "the lifted loss takes one batched model evaluation, none of which depends on another",
        lambda lifted: _inspect_parallel(run, lifted),
        True,
        false_variants={"the rollout loss (3)": False},
        equations=(4,),
    )


def check_langevin(run: Run) -> None:
    """Examine the gradients in (5)–(6) and the noise against overdamped Langevin dynamics."""
    run.examine(
        "the gradients in (5) and (6) are those of (4), through both arguments of F",
        lambda stated: inspect_three_ways(run, Objective(4), stated, freeze=False),
        Objective(4),
        false_variants={"without the gradient through F's state input": Objective(8)},
        equations=(5, 6),
    )
    run.examine(
        "GRASP with the state gradient kept and γ = 0 steps by (5) and (6)",
        lambda stated: inspect_gradient_step(
            run, replace(SILENT, sync_every=None, stop_state_gradient=False, goal_weight=0.0), stated
        ),
        Objective(4),
        false_variants={"without the gradient through F's state input": Objective(8)},
        equations=(5, 6),
    )
    run.examine(
        "(5) is an Euler–Maruyama step of overdamped Langevin dynamics at inverse temperature β = 2η_s/σ²",
        _inspect_temperature,
        sp.Integer(2),
        false_variants={"β = 1/σ², independent of the step size": sp.Integer(0), "β = η_s/σ²": sp.Integer(1)},
        equations=(5,),
    )
    run.caveat(
        "σ_state alone sets no temperature (footnote 1): at fixed σ the stationary variance grows like "
        "1/η_s as the step shrinks, and (5) tends to no diffusion.  Langevin noise is √(2η_s/β)",
        _inspect_small_step,
        "fixed",
        false_variants={"σ = √(2η_s/β)": "scaled"},
    )


def _composed(dynamics: Dynamics, initial_state: Tensor, actions: Tensor) -> Tensor:
    """Return F(... F(F(s_0, a_0), a_1) ..., a_{T−1}) by recursion on T, as (2) is written."""
    if len(actions) == 0:
        return initial_state
    return dynamics.step(_composed(dynamics, initial_state, actions[:-1]), actions[-1])


def _inspect_composition(run: Run, order: int) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for network, trajectory in random_problems(run, "composition", run.size(40, 12)):
            actions, start = trajectory.actions, trajectory.states[0]
            final = _composed(network, start, actions if order == 1 else actions.flip(0))
            difference = float((rollout(network, start, actions)[-1] - final).abs().max())
            yield TheoremCheck(difference, 0.0, "<=", 0.0, {}), network.as_code

    return judge(evaluations(), "library rollout against literal recursion of (2), bit for bit")


def _random_integers(rng: np.random.Generator, rows: int, columns: int) -> sp.Matrix:
    return sp.Matrix(rows, columns, [int(entry) for entry in rng.integers(-2, 3, size=rows * columns)])


@dataclass(frozen=True)
class _ExactProblem:
    """s' = A s + B a from s_0 = `start` to `goal` in `horizon` steps, rational matrices."""

    A: sp.Matrix
    B: sp.Matrix
    start: sp.Matrix
    goal: sp.Matrix
    horizon: int

    def controllability(self) -> sp.Matrix:
        return sp.Matrix.hstack(*(self.A ** (self.horizon - 1 - t) * self.B for t in range(self.horizon)))

    def target(self) -> sp.Matrix:
        return self.goal - self.A**self.horizon * self.start

    def metric(self) -> sp.Matrix:
        """Return (Σ_{j<T} A^j (A^j)ᵀ)⁻¹."""
        return sum((self.A**j * (self.A**j).T for j in range(self.horizon)), sp.zeros(self.A.rows)).inv()

    def as_code(self) -> str:
        values = {"A": self.A.tolist(), "B": self.B.tolist(), "s_0": list(self.start), "g": list(self.goal)}
        return "\n".join(f"{name} = {value}" for name, value in {**values, "T": self.horizon}.items())


def _exact_problems(rng: np.random.Generator, count: int, goals: str) -> Iterator[_ExactProblem]:
    """Yield the smallest counterexample for unreachable goals, then random problems."""
    if goals == "any":
        shear, input_matrix = sp.Matrix([[1, 1], [0, 1]]), sp.Matrix([1, 0])
        yield _ExactProblem(shear, input_matrix, sp.zeros(2, 1), sp.Matrix([0, 1]), 2)
    for _ in range(count):
        n, T = int(rng.integers(2, 4)), int(rng.integers(2, 4))
        problem = _ExactProblem(
            _random_integers(rng, n, n),
            _random_integers(rng, n, 1),
            _random_integers(rng, n, 1),
            sp.zeros(n, 1),
            T,
        )
        if goals == "any":
            yield replace(problem, goal=_random_integers(rng, n, 1))
        else:
            actions = _random_integers(rng, T, 1)
            yield replace(problem, goal=problem.A**T * problem.start + problem.controllability() * actions)


def _solution_set(matrix: sp.Matrix, right: sp.Matrix) -> sp.Matrix:
    """Return the nonzero rows of the reduced row echelon form, the same for the same solution set."""
    rows = [row for row in matrix.row_join(right).rref()[0].tolist() if any(row)]
    return sp.Matrix(rows) if rows else sp.zeros(0, matrix.cols + 1)


def _least_squares(matrix: sp.Matrix, right: sp.Matrix, metric: sp.Matrix) -> sp.Matrix:
    """Return the solution set of the normal equations of ‖matrix x − right‖² in the given metric."""
    return _solution_set(matrix.T * metric * matrix, matrix.T * metric * right)


def _inspect_sufficiency(run: Run, goals: str) -> Evidence:
    different, count, code = 0, 0, ""
    for problem in _exact_problems(run.rng("sufficiency"), run.size(24, 8), goals):
        C, d = problem.controllability(), problem.target()
        minimisers = _least_squares(C, d, sp.eye(C.rows))
        count += 1
        if minimisers != _solution_set(C, d):
            different, code = different + 1, problem.as_code()
    return Evidence(
        Grade.CERTIFIED,
        different == 0,
        f"minimisers of (3) and solutions of (1) on {count} linear problems in rational arithmetic: "
        f"{different} differ",
        {"problems": count, "different": different},
        code,
    )


@dataclass(frozen=True)
class Lifting:
    """Which reading of "(4) and (3) share global minimisers" is examined.

    Arguments
        goals: "any" or "reachable".
        end_fixed: whether s_T = g in (4).
        weighted: whether (3) is measured in the metric (Σ A^j (A^j)ᵀ)⁻¹.
    """

    goals: str = "any"
    end_fixed: bool = True
    weighted: bool = False


def _inspect_lifting(run: Run, variant: Lifting) -> Evidence:
    different, count, example, code = 0, 0, "", ""
    for problem in _exact_problems(run.rng("lifting"), run.size(14, 5), variant.goals):
        C, d = problem.controllability(), problem.target()
        shot = _least_squares(C, d, problem.metric() if variant.weighted else sp.eye(C.rows))
        lifted = _lifted_minimisers(problem, variant.end_fixed)
        count += 1
        if shot != lifted and not code:
            example, code = f"(3): {shot.tolist()}; (4): {lifted.tolist()}", problem.as_code()
        different += shot != lifted
    return Evidence(
        Grade.CERTIFIED,
        different == 0,
        f"actions that minimise (3) and (4) as reduced rows [a | value], rational arithmetic, {count} "
        f"linear problems with {variant.goals} goals: {different} differ",
        {"problems": count, "different": different, "example": example},
        code,
    )


def _lifted_minimisers(problem: _ExactProblem, end_fixed: bool) -> sp.Matrix:
    """Return the actions of the minimisers of (4), the states eliminated from its normal equations."""
    n, T = problem.A.rows, problem.horizon
    free = T - 1 if end_fixed else T
    residuals, right = sp.zeros(n * T, n * free + T), sp.zeros(n * T, 1)
    for t in range(T):
        rows = slice(n * t, n * (t + 1))
        residuals[rows, n * free + t] = problem.B
        if t > 0:
            residuals[rows, n * (t - 1) : n * t] = problem.A
        else:
            right[rows, 0] -= problem.A * problem.start
        if t < free:
            residuals[rows, n * t : n * (t + 1)] = -sp.eye(n)
        else:
            right[rows, 0] += problem.goal
    reduced = _least_squares(residuals, right, sp.eye(n * T))
    # States come first, so the rows without a state are the equations of the projection on the actions.
    kept = [row[n * free :] for row in reduced.tolist() if not any(row[: n * free])]
    return sp.Matrix(kept) if kept else sp.zeros(0, T + 1)


def _inspect_parallel(run: Run, lifted: bool) -> Evidence:
    """Count sequential evaluations, and look for predictions that depend on another step's action."""
    rng = run.rng("parallel")
    calls, coupled = {}, False
    for T in HORIZONS:
        network, trajectory = next(random_problems(run, f"T = {T}", 1))
        n, m = trajectory.states.shape[1], trajectory.actions.shape[1]
        states, actions = (torch.tensor(rng.standard_normal(shape)) for shape in ((T + 1, n), (T, m)))
        counting = CountingDynamics(network)
        if lifted:
            dynamics_loss(counting, states, actions, stop_state_gradient=False)
        else:
            rollout_loss(counting, states[0], actions, trajectory.goal)
        calls[T] = len(counting.batches)

        def predictions(a: Tensor, s: Tensor, network: Dynamics = network) -> Tensor:
            return one_step_predictions(network, s, a) if lifted else rollout(network, s[0], a)[1:]

        of_actions: Tensor = torch.func.jacrev(predictions)(actions, states)
        other_steps = ~torch.eye(T, dtype=torch.bool)
        coupled |= bool((of_actions.abs().amax(dim=(1, 3)) * other_steps).any())
    return Evidence(
        Grade.NUMERICAL,
        all(count == 1 for count in calls.values()) and not coupled,
        f"sequential model evaluations at T = {HORIZONS}: {list(calls.values())}; a prediction depends "
        f"on the action of another step: {coupled} (exact zeros of the Jacobian)",
        {f"sequential evaluations at T = {T}": count for T, count in calls.items()},
    )


def _inspect_temperature(factor: sp.Integer) -> Evidence:
    """Match (5) with s ← s − η∇L + √(2η/β) ξ, and the stationary variance on ‖s − c‖² to first order in η."""
    eta, sigma = sp.symbols("eta sigma", positive=True)
    beta = factor * eta / sigma**2 if factor else 1 / sigma**2
    stationary = sigma**2 / (1 - (1 - 2 * eta) ** 2)
    gibbs = 1 / (2 * beta)
    return identity(
        [sigma**2 - 2 * eta / beta, sp.limit(stationary / gibbs, eta, 0) - 1],
        "σ² = 2η/β, and on L = ‖s − c‖² the stationary variance over the 1/(2β) of exp(−βL) tends to 1 "
        "as η → 0",
        "the first for every L; the ratio is 1/(1 − η), so the discretisation error is of order η",
    )


def _inspect_small_step(noise: str) -> Evidence:
    """Decide whether the stationary variance on ‖s − c‖² diverges as η → 0."""
    eta, beta, sigma = sp.symbols("eta beta sigma", positive=True)
    squared = sigma**2 if noise == "fixed" else 2 * eta / beta
    variance = sp.simplify(squared / (1 - (1 - 2 * eta) ** 2))
    limit = sp.limit(variance, eta, 0, "+")
    return Evidence(
        Grade.SYMBOLIC,
        limit == sp.oo,
        "limit of the stationary variance of (5) on ‖s − c‖² as η_s → 0",
        {"variance": str(variance), "limit": str(limit)},
        "eta_s, sigma = 1e-6, 0.5  # variance 6.25e4",
    )


CLAIMS = (
    Claim(
        id="problem",
        title="Goal reaching as minimisation over a rollout",
        source="Section 2, Eq. (1)–(3)",
        statement=(
            "To find actions with F^T(a, s_0) = g, the T-fold composition of the model, it suffices to "
            "minimise ‖F^T(a, s_0) − g‖²."
        ),
        latex=r"\mathbf{a}^* = \operatorname{arg\,min}_{\mathbf{a}} \|\mathcal{F}_\theta^T(\mathbf{a}, s_0) - g\|_2^2",
        assumptions=("g is reachable from s_0 in T steps",),
        equations=(1, 2, 3),
        check=check_problem,
    ),
    Claim(
        id="lifting",
        title="The lifted problem has the minimisers of the rollout problem",
        source="Section 3.1, Eq. (4)",
        statement="Minimising Σ‖F(s_t, a_t) − s_{t+1}‖² with s_0, s_T = g fixed shares global minimisers with Eq. (3).",
        latex=r"\min_{\mathbf{s},\mathbf{a}} \sum_{t=0}^{T-1} \|F_\theta(s_t,a_t)-s_{t+1}\|_2^2,\quad s_T = g",
        assumptions=("some plan reaches g, as Eq. (1) takes for granted",),
        equations=(4,),
        check=check_lifting,
    ),
    Claim(
        id="parallel",
        title="All world model evaluations are parallel",
        source="Section 3.1",
        statement="The lifted loss needs no serial rollout: its T model evaluations are independent of each other.",
        equations=(4,),
        check=check_parallel,
    ),
    Claim(
        id="langevin",
        title="Langevin-style state updates",
        source="Section 3.2, Eq. (5)–(6)",
        statement=(
            "Overdamped Langevin dynamics on the states, discretised by Euler's method, is s ← s − "
            "η_s∇L_dyn + σ ξ, with a plain gradient step on the actions."
        ),
        latex=r"s_t^{k+1} \leftarrow s_t^k - \eta_s \nabla_{s_t}\mathcal{L}_{\rm dyn} + \sigma_{\rm state}\,\xi_t^k",
        equations=(5, 6),
        check=check_langevin,
    ),
)
