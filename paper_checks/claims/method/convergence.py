"""What the noise-free stop-gradient iteration converges to, with and without goal shaping."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from grasp_theory.dynamics import one_step_predictions, rollout
from linear_systems import LinearSystem, stop_gradient
from linear_systems.examples.random_systems import random_input_matrix
from paper_checks.claims.method.algorithm_1_reference import StepSizes, joint_step
from paper_checks.claims.method.gradients import Trajectory, random_trajectory
from paper_checks.claims.theorem_5.losses import points
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network

SETTLED = 1e-9
"""Largest dynamics residual, relative to the first one, at which noise-free iterations count as converged."""


def check_gravitation(run: Run) -> None:
    """Examine what the iteration on Eq. (8) alone converges to."""
    run.examine(
        "without goal shaping the noise-free iteration converges to a rollout of its own actions, "
        "whatever the goal",
        lambda variant: _inspect_gravitation(run, *variant),
        (0.0, True),
        false_variants={"with goal shaping, γ = 0.01": (0.01, True)},
        equations=(8,),
    )
    run.caveat(
        "with s_T = g fixed, as in Algorithm 1, the goal is not without effect: the last action is "
        "pulled towards it, the other actions are not",
        lambda weight: _inspect_last_action(run, weight),
        0.0,
        false_variants={"with goal shaping, γ = 0.01, the goal moves the other actions too": 0.01},
    )


def check_goal_tendency(run: Run) -> None:
    """Examine when converged trajectories tend to the goal."""
    run.examine(
        "the trajectory to which the noise-free iteration converges tends to a goal that can be held, from every start, "
        "exactly where ρ(K) < 1, K = (I − BB⁺)A",
        lambda rule: _inspect_condition(run, rule),
        _greedy_radius,
        false_variants={"where ρ(A) < 1": _open_radius, "always": lambda system: 0.0},
        equations=(9, 10),
    )
    run.caveat(
        "it is a condition: with ρ(K) ≥ 1 they may end farther from a goal that some plan reaches than they start, and a "
        "goal that can be reached and not held is left again",
        refuted(lambda kind: _inspect_tendency(run, kind)),
        "controllable",
        false_variants={"B square and invertible, so that K = 0": "invertible"},
    )


def _converge(
    network: SmoothNetwork, start: Trajectory, gamma: float, *, end_free: bool, iterations: int
) -> tuple[Trajectory, float]:
    """Iterate Algorithm 1's line 5 without noise; return the result and its residual over the first one."""
    steps, trajectory = StepSizes(0.2, 0.2), start

    def residual(at: Trajectory) -> float:
        return float((one_step_predictions(network, at.states, at.actions) - at.states[1:]).abs().max())

    for _ in range(iterations):
        trajectory = joint_step(
            network, trajectory, gamma, steps, torch.zeros_like(start.states), end_free=end_free
        )
    return trajectory, residual(trajectory) / residual(start)


def _two_goals(
    run: Run, gamma: float, *, end_free: bool
) -> Iterator[tuple[Trajectory, Trajectory, float, SmoothNetwork]]:
    """Yield what the iteration converges to for two goals from the same start, and the larger residual."""
    rng = run.rng("two goals")
    for _ in range(run.size(4, 2)):
        network = random_network(rng, 2, 1, gain=0.5)
        start = random_trajectory(rng, 2, 1, 3)
        found = []
        for goal in points(rng, 2, 2):
            states = start.states.clone()
            if not end_free:
                states[-1] = goal
            begin = Trajectory(states, start.actions, goal)
            found.append(_converge(network, begin, gamma, end_free=end_free, iterations=run.size(400, 300)))
        yield found[0][0], found[1][0], max(found[0][1], found[1][1]), network


def _inspect_gravitation(run: Run, gamma: float, end_free: bool) -> Evidence:
    residuals, differences, gaps, code = [], [], [], ""
    for first, second, residual, network in _two_goals(run, gamma, end_free=end_free):
        residuals.append(residual)
        differences.append(float((first.actions - second.actions).abs().max()))
        gaps.append(float((rollout(network, first.states[0], first.actions) - first.states).abs().max()))
        code = network.as_code()
    return Evidence(
        Grade.NUMERICAL,
        max(residuals) <= SETTLED and max(differences) == 0.0,
        f"noise-free iteration, s_T free, γ = {gamma}, {len(residuals)} random networks and two goals "
        f"each: residuals over the first ones ≤ {max(residuals):.1e}, distance to the rollout of the "
        f"final actions ≤ {max(gaps):.1e}, actions differ by {max(differences):.1e} between the goals",
        {"residual": max(residuals), "difference between goals": max(differences)},
        code,
    )


def _inspect_last_action(run: Run, gamma: float) -> Evidence:
    earlier, last = [], []
    for first, second, _, _ in _two_goals(run, gamma, end_free=False):
        difference = (first.actions - second.actions).abs().amax(dim=1)
        earlier.append(float(difference[:-1].max()))
        last.append(float(difference[-1]))
    return Evidence(
        Grade.NUMERICAL,
        max(earlier) <= SETTLED < min(last),
        f"difference of the converged actions between two goals, s_T = g, γ = {gamma}: a_0..a_{{T−2}} by at most "
        f"{max(earlier):.1e}, a_{{T−1}} by at least {min(last):.1e}",
        {
            "largest difference of an earlier action": max(earlier),
            "smallest difference of the last action": min(last),
        },
    )


def _greedy_radius(system: LinearSystem) -> float:
    A, B = system.A, system.B
    return float(np.abs(np.linalg.eigvals(A - B @ np.linalg.pinv(B) @ A)).max())


def _open_radius(system: LinearSystem) -> float:
    return float(np.abs(np.linalg.eigvals(system.A)).max())


def _inspect_condition(run: Run, radius: Callable[[LinearSystem], float]) -> Evidence:
    """Follow the greedy rollout for 200 steps to goals g = Ag + Ba: it must come near exactly where radius < 1."""
    rng, T = run.rng("condition"), 200
    wrong, near, count, outside, code = 0, 0, 0, 0, ""
    for _ in range(run.size(120, 40)):
        n = int(rng.integers(2, 4))
        system = LinearSystem(rng.standard_normal((n, n)), random_input_matrix(rng, n, 1))
        if 0.9 < _greedy_radius(system) < 1.1:
            outside += 1  # 200 steps do not tell these from 1
            continue
        goal = np.linalg.solve(np.eye(n) - system.A, system.B @ rng.standard_normal(1))
        start = goal + rng.standard_normal(n)
        states, _ = stop_gradient.greedy_rollout(system, T, start, goal)
        tends = bool(np.linalg.norm(states[-1] - goal) < 1e-2 * np.linalg.norm(start - goal))
        count, near = count + 1, near + tends
        if tends != (radius(system) < 1.0):
            wrong, code = wrong + 1, as_code(system, initial_state=start, goal=goal, horizon=T)
    return Evidence(
        Grade.NUMERICAL,
        0 < near < count and wrong == 0,
        f"greedy rollouts of {count} random systems over {T} steps, goals that an action holds: {near} come within 1% of "
        f"the first distance; {wrong} contradict the rule.  Why: s_{{t+1}} − g = K(s_t − g) + (I − BB⁺)(Ag − g), and the "
        "last term is 0 exactly for goals that can be held",
        {"systems": count, "near": near, "contradictions": wrong},
        code,
        outside,
    )


def _inspect_tendency(run: Run, kind: str) -> Evidence:
    """Follow the greedy rollout, the fixed point of the noise-free iteration, on reachable problems."""
    away, count, worst, code = 0, 0, 0.0, ""
    for system, start, goal, T in _tendency_problems(run, kind):
        states, _ = stop_gradient.greedy_rollout(system, T, start, goal)
        ratio = float(np.linalg.norm(states[-1] - goal) / np.linalg.norm(start - goal))
        count += 1
        away += ratio >= 1.0
        if ratio > worst:
            worst, code = ratio, as_code(system, initial_state=start, goal=goal, horizon=T)
    return Evidence(
        Grade.NUMERICAL,
        away == 0,
        f"{count} problems, goals that some plan reaches: final over initial distance of the greedy "
        f"rollout, the fixed point, at most {worst:.3g}; not nearer in {away}",
        {"problems": count, "not nearer": away, "largest ratio": worst},
        code,
    )


def _tendency_problems(
    run: Run, kind: str
) -> Iterator[tuple[LinearSystem, NDArray[np.float64], NDArray[np.float64], int]]:
    """Yield system, s_0, g and T; every goal is the end of some plan."""
    rng = run.rng("tendency")
    if kind == "controllable":
        yield LinearSystem([[1.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]]), np.zeros(2), np.array([1.0, 0.0]), 10
        yield LinearSystem([[1.2, 1.0], [0.0, 1.2]], [[0.0], [1.0]]), np.array([1.0, 0.0]), np.zeros(2), 20
    for _ in range(run.size(30, 10)):
        n, T = int(rng.integers(1, 4)), int(rng.integers(3, 12))
        A, start = rng.standard_normal((n, n)), rng.standard_normal(n)
        B = random_input_matrix(rng, n, n if kind == "invertible" else 1)
        system = LinearSystem(A, B)
        yield system, start, system.rollout(start, rng.standard_normal((T, B.shape[1])))[-1], T


CLAIMS = (
    Claim(
        id="gravitation",
        title="Without goal shaping paths gravitate to the current rollout",
        source="Section 3.3, after Eq. (8)",
        statement="On Eq. (8) alone, paths gravitate towards the current rollout, regardless of proximity to the goal.",
        assumptions=("no noise", "s_T free, as in (92)"),
        equations=(8,),
        check=check_gravitation,
    ),
    Claim(
        id="goal-tendency",
        title="Converged trajectories tend to the goal",
        source="Section 1; Section 3.3, after Eq. (9)",
        statement="With a dense one-step goal loss, converged trajectories of the noisy iterations tend towards the goal.",
        assumptions=(
            "linear dynamics: the mean of the noisy iteration is the noise-free one",
            "s_T free, as in Theorem 6",
        ),
        equations=(9, 10),
        check=check_goal_tendency,
    ),
)
