"""Algorithm 1 and its synchronisation, Eq. (13)–(15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_theory.dynamics import Dynamics, LinearDynamics, rollout
from grasp_theory.objectives import rollout_loss
from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, shooting
from linear_systems.examples.random_systems import random_system
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.method.algorithm_1_listing import record_listing
from paper_checks.claims.method.algorithm_1_reference import StepSizes, Truncated, joint_step, sync_step
from paper_checks.claims.method.gradients import Trajectory, random_problems, random_trajectory
from paper_checks.claims.method.shipped import record_planner, record_sync
from paper_checks.claims.method.shipped_noise import record_noise
from paper_checks.engine.inspection import identity, judge
from paper_checks.engine.orders import central_gradient
from paper_checks.engine.records import Claim, Evidence, Far, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def check_sync(run: Run) -> None:
    """Examine the gradient of the sync step, and how large that step may be."""
    run.examine(
        "the sync gradient is that of ‖s_T(a, s_0) − g‖² through the whole rollout",
        lambda truncated: _inspect_sync_gradient(run, truncated),
        False,
        false_variants={"truncated: no gradient from step to step": True},
        equations=(13, 14, 15),
    )
    record_sync(run)
    run.caveat(
        "one η_sync does not serve all horizons: descent needs η_sync < 2/L_S, and L_S grows "
        "exponentially with T on an unstable mode (Theorem 2)",
        _inspect_sync_step_size,
        1.2,
        false_variants={
            "a stable mode, s' = 0.92 s + a": Far(
                0.92, "from 0.93 on the largest step halves too, if not exponentially"
            )
        },
    )


def check_algorithm(run: Run) -> None:
    """Examine runs of the algorithm against the equations, and what fixing s_T changes."""
    run.examine(
        "the listing of Algorithm 1, run, follows (11), (12) and, where k mod K_sync = 0, (14) and (15)",
        lambda reading: _inspect_run(run, reading),
        Reading(),
        false_variants={
            "no sync at k = 0": Reading(sync_first=False),
            "two gradient steps a sync": Reading(sync_steps=2),
            "virtual states kept by the sync": Reading(assign_states=False),
            "noise before the gradient step": Reading(noise_first=True),
        },
    )
    run.examine(
        "with γ > 0 the actions of the fixed points are the same whether s_T is fixed to g or free",
        lambda weight: _inspect_end(run, weight),
        sp.Integer(1),
        false_variants={"γ = 0": sp.Integer(0)},
    )
    run.examine(
        "fixing s_T = g makes the last diagonal block 2(1+β)BᵀB, which never needs a smaller step than (83)",
        _inspect_last_block,
        1,
        false_variants={"4(1+β)BᵀB": 2},
    )
    record_planner(run)
    record_noise(run)
    record_listing(run)


def _inspect_sync_gradient(run: Run, truncated: bool) -> Evidence:
    rng = run.rng("sync gradient")

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for network, trajectory in random_problems(run, "sync gradient", run.size(12, 5)):
            yield from (
                (check, network.as_code) for check in _network_gradients(network, trajectory, truncated)
            )
        for _ in range(run.size(12, 5)):
            n, m, T = (int(rng.integers(1, top)) for top in (4, 4, 7))
            system = random_system(rng, n, m, "stable")
            trajectory = random_trajectory(rng, n, m, T)
            start, goal = trajectory.states[0].numpy(), trajectory.goal.numpy()
            found = _gradient(_linear(system), trajectory, truncated).numpy().ravel()
            C = shooting.controllability_matrix(system, T)
            final = system.rollout(start, trajectory.actions.numpy())[-1]
            closed = 2.0 * C.T @ (final - goal)
            scale = 2.0 * float(np.linalg.norm(C) * (np.linalg.norm(final) + np.linalg.norm(goal) + 10.0))
            check = TheoremCheck(
                float(np.abs(found - closed).max()), 0.0, "<=", rounding_allowance(scale, n * T), {}
            )
            yield check, partial(as_code, system)

    return judge(
        evaluations(),
        "back-propagation through the rollout, with and without recomputation, against central "
        "differences on networks and 2C_Tᵀ(s_T − g) on linear systems",
    )


def _linear(system: LinearSystem) -> LinearDynamics:
    return LinearDynamics(torch.tensor(system.A), torch.tensor(system.B))


def _gradient(
    model: Dynamics, trajectory: Trajectory, truncated: bool, *, checkpoint: bool = False
) -> Tensor:
    actions = trajectory.actions.clone().requires_grad_()
    chosen = Truncated(model) if truncated else model
    loss = rollout_loss(chosen, trajectory.states[0], actions, trajectory.goal, checkpoint=checkpoint)
    return torch.autograd.grad(loss, actions)[0]


def _network_gradients(network: Dynamics, trajectory: Trajectory, truncated: bool) -> Iterator[TheoremCheck]:
    found = _gradient(network, trajectory, truncated)
    recomputed = _gradient(network, trajectory, truncated, checkpoint=True)
    start, goal = trajectory.states[0], trajectory.goal

    def value(vector: NDArray[np.float64]) -> float:
        actions = torch.from_numpy(vector).reshape(trajectory.actions.shape)
        return float((rollout(network, start, actions)[-1] - goal).square().sum())

    differences, bound = central_gradient(value, trajectory.actions.numpy().ravel())
    yield TheoremCheck(float((found - recomputed).abs().max()), 0.0, "<=", 0.0, {})
    yield TheoremCheck(float(np.max(np.abs(found.numpy().ravel() - differences) - bound)), 0.0, "<=", 0.0, {})


def _inspect_sync_step_size(mode: float) -> Evidence:
    """Fix half of the largest step at T = 5 and ask whether it still descends at T = 40."""
    system = LinearSystem([[mode]], [[1.0]])
    step = 1.0 / shooting.lipschitz(system, 5)
    ratio = step * shooting.lipschitz(system, 40) / 2.0
    return Evidence(
        Grade.NUMERICAL,
        ratio > 1.0,
        f"s' = {mode} s + a: half of the largest descending step at T = 5 is {ratio:.3g} times the "
        "largest one at T = 40",
        {"step over the limit at T = 40": ratio},
        as_code(system),
    )


@dataclass(frozen=True)
class Reading:
    """How the lines of Algorithm 1 are read.

    Arguments
        sync_first: whether k = 0 syncs.
        sync_steps: gradient steps of a sync.
        assign_states: whether the sync assigns the virtual states.
        noise_first: whether the noise comes before the gradient step.
    """

    sync_first: bool = True
    sync_steps: int = 1
    assign_states: bool = True
    noise_first: bool = False


def _inspect_run(run: Run, reading: Reading) -> Evidence:
    """Compare Algorithm 1 by automatic differentiation with its equations in matrices, on linear systems."""
    rng = run.rng("run")
    iterations, every, sigma, gamma, eta_sync = 7, 3, 0.2, 0.5, 0.01
    steps = StepSizes(0.1, 0.05)

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for _ in range(run.size(16, 6)):
            n, m, T = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(2, 5))
            system = random_system(rng, n, m, "stable")
            start = random_trajectory(rng, n, m, T)
            start.states[-1] = start.goal
            noises = sigma * rng.standard_normal((iterations, T + 1, n))
            found = start
            for k in range(iterations):
                found = joint_step(_linear(system), found, gamma, steps, torch.from_numpy(noises[k]))
                if k % every == 0:
                    found = sync_step(_linear(system), found, eta_sync, assign_states=True)
            stated = _run_in_matrices(system, start, noises, reading, (gamma, steps, eta_sync, every))
            error = max(
                float(np.abs(found.states.numpy() - stated[0]).max()),
                float(np.abs(found.actions.numpy() - stated[1]).max()),
            )
            scale = float(np.abs(stated[0]).max() + np.abs(stated[1]).max()) + 10.0
            # An iteration amplifies earlier rounding by at most 1 + the step times the norm of the gradient's matrix.
            size = 1.0 + float(np.linalg.norm(system.A) + np.linalg.norm(system.B))
            growth = (1.0 + 4.0 * steps.states * (1.0 + gamma) * size**2) ** iterations
            allowance = rounding_allowance(scale, n * T, growth)
            yield TheoremCheck(error, 0.0, "<=", allowance, {}), partial(as_code, system)

    return judge(
        evaluations(), f"{iterations} iterations with K_sync = {every}: states and actions after the last one"
    )


def _run_in_matrices(
    system: LinearSystem,
    start: Trajectory,
    noises: NDArray[np.float64],
    reading: Reading,
    setting: tuple[float, StepSizes, float, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the states and actions after following (11), (12), (14), (15) in numpy."""
    gamma, steps, eta_sync, every = setting
    A, B, goal = system.A, system.B, start.goal.numpy()
    s, a = start.states.numpy().copy(), start.actions.numpy().copy()
    C = shooting.controllability_matrix(system, len(a))
    for k, noise in enumerate(noises):
        if reading.noise_first:
            s[1:-1] += noise[1:-1]
        mu = s[:-1] @ A.T + a @ B.T
        pulls = (mu - s[1:]) + gamma * (mu - goal)
        s[1:-1] -= 2.0 * steps.states * (s[1:-1] - mu[:-1])
        a -= 2.0 * steps.actions * pulls @ B
        if not reading.noise_first:
            s[1:-1] += noise[1:-1]
        if k % every == 0 and (k > 0 or reading.sync_first):
            if reading.assign_states:
                s = np.array(system.rollout(s[0], a))
            for _ in range(reading.sync_steps):
                final = system.rollout(s[0], a)[-1]
                a -= eta_sync * (2.0 * C.T @ (final - goal)).reshape(a.shape)
    return s, a


def _inspect_end(run: Run, weight: sp.Integer) -> Evidence:
    """Solve the fixed-point equations of (10) with s_T = g and with s_T free, in rational arithmetic."""
    rng = run.rng("end")
    different, count, code = 0, run.size(12, 5), ""
    for _ in range(count):
        n, T = 2, int(rng.integers(2, 4))
        A = sp.Matrix(n, n, [int(e) for e in rng.integers(-2, 3, size=n * n)])
        B, start, goal = (sp.Matrix([int(e) for e in rng.integers(-3, 4, size=n)]) for _ in range(3))
        if sp.zeros(n, 1) == B:
            B[0] = 1
        fixed, free = (
            _fixed_point_actions((A, B, start, goal), T, weight, end_free=end) for end in (False, True)
        )
        if fixed != free:
            different, code = (
                different + 1,
                f"A, B, s_0, g, T = {A.tolist()}, {B.tolist()}, {list(start)}, {list(goal)}, {T}",
            )
    return Evidence(
        Grade.CERTIFIED,
        different == 0,
        f"action parts of the fixed points of the noise-free iteration, γ = {weight}, {count} integer "
        f"systems: {different} differ",
        {"different": different},
        code,
    )


def _fixed_point_actions(
    problem: tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Matrix], T: int, weight: sp.Integer, *, end_free: bool
) -> sp.Matrix:
    """Return the reduced rows of the equations that the actions of a fixed point satisfy."""
    A, B, start, goal = problem
    n, free = A.rows, T if end_free else T - 1
    states = [start, *(sp.Matrix(sp.symbols(f"s{t}_:{n}")) for t in range(1, free + 1))]
    ends = states if end_free else [*states, goal]
    actions = sp.symbols(f"a_:{T}")
    equations: list[sp.Expr] = []
    for t in range(T):
        mu = A * ends[t] + B * actions[t]
        if t < free:
            equations += list(ends[t + 1] - mu)
        equations.append((B.T * ((mu - ends[t + 1]) + weight * (mu - goal)))[0])
    unknowns = [*(entry for state in states[1:] for entry in state), *actions]
    matrix, right = sp.linear_eq_to_matrix(equations, *unknowns)
    rows = matrix.row_join(right).rref()[0].tolist()
    split = len(unknowns) - T
    return sp.Matrix([row[split:] for row in rows if any(row) and not any(row[:split])] or sp.zeros(0, T + 1))


def _inspect_last_block(factor: int) -> Evidence:
    """Evaluate the characteristic polynomial of half of (83), per singular value b of B, at (1+β)b²."""
    beta, b = sp.symbols("beta b", positive=True)
    block = sp.Matrix([[1, -b], [-b, (1 + beta) * b**2]])
    value = (block - factor * (1 + beta) * b**2 * sp.eye(2)).det()
    return identity(
        [value + b**2],
        "the characteristic polynomial of a block of (83)/2 at (1+β)b² is −b² < 0, so (1+β)b² lies "
        "below its largest root",
        "every singular value b of B and every β > 0, in symbols",
    )


CLAIMS = (
    Claim(
        id="algorithm-1",
        title="GRASP planner",
        source="Section 3.3, Algorithm 1",
        statement=(
            "Each iteration takes a joint gradient step on (10), adds noise to s_1, ..., s_{T−1}, and "
            "where k mod K_sync = 0 rolls out and takes a gradient step on ‖s_T − g‖²."
        ),
        others=("Algorithm 1",),
        check=check_algorithm,
    ),
    Claim(
        id="sync",
        title="Full-gradient rollout synchronisation",
        source="Section 3.4, Eq. (13)–(15)",
        statement=(
            "Every K_sync iterations, J_sync gradient steps on ‖s_T(a, s_0) − g‖² through the full "
            "rollout, over the actions only."
        ),
        latex=r"\mathbf{a} \leftarrow \mathbf{a} - \eta_{\rm sync}\nabla_{\mathbf{a}}\|s_T(\mathbf{a}, s_0)-g\|_2^2",
        equations=(13, 14, 15),
        check=check_sync,
    ),
)
