"""GRASP's iteration is that of the paper, and has the fixed point and the law that the theory gives it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planner_cases import Counting, Patches, Pendulum, pendulum_problem
from scipy import stats
from system_strategies import horizons, systems
from torch import Tensor

from grasp_theory import GRASP, Observation, PlanningProblem, rollout
from grasp_theory.objectives import dynamics_loss, goal_loss, lifted_loss, rollout_loss
from grasp_theory.planners.loop.rows import Rows
from linear_systems import state_chain, stop_gradient
from linear_systems.noise.tubes import tube_variance
from linear_systems.rounding import rounding_allowance
from linear_systems.system import LinearSystem

PLAIN = GRASP(
    iterations=1,
    check_every=1,
    optimizer="sgd",
    state_noise=0.0,
    cycle_decay=1.0,
    sync_every=None,
    fix_final_state=False,
    state_lr=0.2,
    action_lr=0.05,
    goal_weight=0.3,
)
"""Eq. (11)-(12) without noise and sync, s_T free: the iteration of Theorem 6."""


def _trace(planner: GRASP, problem: PlanningProblem) -> list[tuple[Tensor, Tensor]]:
    """The virtual states and actions at the start and after every iteration."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(observation: Observation) -> None:
        assert observation.virtual_states is not None
        seen.append((observation.virtual_states, observation.actions))

    replace(planner, check_every=1).plan(problem, callback=keep)
    return seen


def _linear_problem(system: LinearSystem, horizon: int, batch: int = 2, seed: int = 0) -> PlanningProblem:
    generator = torch.Generator().manual_seed(seed)
    start, goal = torch.randn(2, batch, system.state_dim, generator=generator, dtype=torch.float64)
    actions = torch.randn(batch, horizon, system.action_dim, generator=generator, dtype=torch.float64)
    return PlanningProblem(
        system, start, goal, horizon, system.action_dim, initial_actions=actions, seeds=torch.arange(batch)
    )


@given(systems(max_n=4, max_m=4), horizons(12), st.floats(0.0, 2.0))
def test_an_iteration_is_theorem_6s(system: LinearSystem, horizon: int, gamma: float) -> None:
    problem = _linear_problem(system, horizon)
    (states, actions), (new_states, new_actions) = _trace(replace(PLAIN, goal_weight=gamma), problem)
    for i in range(2):
        z = stop_gradient.stack(states[i, 1:].numpy(), actions[i].numpy())
        start, goal = problem.initial_state[i].numpy(), problem.goal[i].numpy()
        expected = stop_gradient.update(system, horizon, gamma, (0.2, 0.05), start, goal, z)
        gain = 1 + np.abs(system.A).sum() + np.abs(system.B).sum()
        scale = (1 + gamma) * gain**2 * (np.abs(z).max() + np.abs(start).max() + np.abs(goal).max())
        found = stop_gradient.stack(new_states[i, 1:].numpy(), new_actions[i].numpy())
        size = system.state_dim + system.action_dim
        assert np.abs(found - expected).max() <= rounding_allowance(scale, size)


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_three_ways(stop: bool, fixed: bool, reduction: str) -> None:
    """The step against autograd of the objective, and both against central differences."""
    generator = torch.Generator().manual_seed(0)
    start, goal = torch.randn(2, 2, 3, 4, generator=generator, dtype=torch.float64)
    problem = PlanningProblem(
        Patches(torch.float64), start, goal, 5, 3,
        initial_actions=torch.randn(2, 5, 3, generator=generator, dtype=torch.float64),
    )  # fmt: skip
    planner = replace(
        PLAIN, stop_state_gradient=stop, fix_final_state=fixed, reduction=reduction, initial_state_noise=0.3
    )
    (states, actions), (new_states, new_actions) = _trace(planner, problem)
    divisor = 12 if reduction == "mean" else 1
    last = 5 if fixed else 6
    taken_states = (states - new_states)[:, 1:last] / 0.2 * divisor
    taken_actions = (actions - new_actions) / 0.05 * divisor

    def loss(s: Tensor, a: Tensor) -> Tensor:
        # The frozen copies of the stop-gradient are the point where the gradient is taken.
        inputs = torch.cat([states[:, :-1], s[:, -1:]], 1) if stop else s
        prediction = problem.parallel_step()(inputs[:, :-1], a)
        residual = (prediction - s[:, 1:]).square().sum()
        return residual + 0.3 * (prediction - goal[:, None]).square().sum()

    leaves = states.clone().requires_grad_(), actions.clone().requires_grad_()
    lifted_loss(problem.dynamics, *leaves, goal, 0.3, stop_state_gradient=stop).sum().backward()
    assert leaves[0].grad is not None
    assert leaves[1].grad is not None
    # The quotient by the step size loses the digits of the subtraction.
    torch.testing.assert_close(taken_states, leaves[0].grad[:, 1:last], rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(taken_actions, leaves[1].grad, rtol=1e-10, atol=1e-11)
    h = 1e-6
    for which, gradient in ((0, leaves[0].grad), (1, leaves[1].grad)):
        for _ in range(4):
            direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
            if which == 0:
                direction[:, 0] = 0
            ahead, behind = [
                loss(
                    *(x + sign * h * direction if i == which else x for i, x in enumerate((states, actions)))
                )
                for sign in (1, -1)
            ]
            slope = float((ahead - behind) / (2 * h))
            # Central differences: h² times third derivatives, and rounding over h.
            assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-6)


def test_a_model_with_an_independent_action_has_no_state_gradient_when_stopped() -> None:
    """Negative control: the kept and the stopped gradient differ on this problem."""
    problem = pendulum_problem(2, reached=None)
    kept = _trace(replace(PLAIN, stop_state_gradient=False), problem)[1][0]
    stopped = _trace(PLAIN, problem)[1][0]
    assert not torch.allclose(kept, stopped)


def test_converges_to_theorem_6s_fixed_point() -> None:
    system = LinearSystem(np.array([[0.8, 0.2], [0.0, 0.7]]), np.array([[1.0, 0.0], [0.3, 1.0]]))
    horizon, gamma, pair = 5, 0.5, (0.2, 0.2)
    problem = _linear_problem(system, horizon)
    planner = replace(PLAIN, iterations=650, check_every=650, state_lr=0.2, action_lr=0.2, goal_weight=gamma)
    seen: list[Observation] = []
    planner.plan(problem, callback=seen.append)
    growth = stop_gradient.transient_growth(system, horizon, gamma, pair, planner.iterations)
    for i in range(2):
        start, goal = problem.initial_state[i].numpy(), problem.goal[i].numpy()
        expected = stop_gradient.fixed_point(system, horizon, gamma, start, goal)
        first, last = [
            stop_gradient.stack(o.virtual_states[i, 1:].numpy(), o.actions[i].numpy())  # type: ignore[index]
            for o in (seen[0], seen[-1])
        ]
        # What is left of the first error, and of the rounding of every step, after the powers of J.
        remaining = float(growth[-1] * np.linalg.norm(first - expected))
        assert remaining < 1e-13
        allowance = rounding_allowance(float(np.abs(expected).max()), expected.size, float(growth.sum()))
        assert np.abs(last - expected).max() <= allowance + remaining


FROZEN = replace(PLAIN, iterations=100, check_every=100, state_lr=0.15, action_lr=0.0, state_noise=0.4)
SAMPLES = 3000
LEVEL = 1e-6
"""Of the statistical tests below; the seeds are fixed, so that they do not flicker."""


def _stationary_states(system: LinearSystem, horizon: int) -> tuple[PlanningProblem, Tensor]:
    generator = torch.Generator().manual_seed(5)
    start = torch.randn(1, system.state_dim, generator=generator, dtype=torch.float64).expand(SAMPLES, -1)
    actions = torch.randn(1, horizon, system.action_dim, generator=generator, dtype=torch.float64)
    problem = PlanningProblem(
        system, start, start, horizon, system.action_dim,
        initial_actions=actions.expand(SAMPLES, -1, -1), seeds=torch.arange(SAMPLES),
    )  # fmt: skip
    seen: list[Observation] = []
    FROZEN.plan(problem, callback=seen.append)
    assert torch.equal(seen[-1].actions, seen[0].actions)
    assert seen[-1].virtual_states is not None
    return problem, seen[-1].virtual_states


def test_frozen_actions_give_the_tube_of_theorem_7() -> None:
    """Where s̄_t is fixed the law is N(F(s̄_t, a_t), σ²/(4η_s(1−η_s)) I): at t = 0 always."""
    system = LinearSystem(np.array([[0.9, 0.4], [-0.3, 0.7]]), np.array([[1.0], [0.5]]))
    problem, states = _stationary_states(system, 1)
    assert problem.initial_actions is not None
    centre = rollout(system, problem.initial_state, problem.initial_actions)[:, 1]
    spread = tube_variance(0.15, 0.4) ** 0.5
    deviations = ((states[:, 1] - centre) / spread).flatten().numpy()
    assert stats.kstest(deviations, "norm").pvalue > LEVEL
    # The control: a tube wider by a fifth is rejected.
    assert stats.kstest(deviations / 1.2, "norm").pvalue < LEVEL


def test_frozen_actions_give_the_law_of_the_state_chain() -> None:
    """s̄_t moves with the states in the planner, and the exact law is then not the tube's beyond t = 1."""
    system = LinearSystem(np.array([[0.9, 0.4], [-0.3, 0.7]]), np.array([[1.0], [0.5]]))
    horizon = 4
    problem, states = _stationary_states(system, horizon)
    law = state_chain.stationary_law(system, horizon, 0.15, 0.4)
    covariances = law.states
    assert problem.initial_actions is not None
    centre = rollout(system, problem.initial_state, problem.initial_actions)[:, 1:]
    deviations = (states[:, 1:] - centre).numpy()
    for t in range(horizon):
        whitened = np.linalg.solve(np.linalg.cholesky(covariances[t]), deviations[:, t].T)
        assert stats.kstest((whitened**2).sum(0), stats.chi2(2).cdf).pvalue > LEVEL
    tube = deviations[:, -1] / tube_variance(0.15, 0.4) ** 0.5
    assert stats.kstest((tube**2).sum(1), stats.chi2(2).cdf).pvalue < LEVEL


def test_the_whole_algorithm_against_a_loop_over_time_and_rows() -> None:
    """Algorithm 1, written row by row and step by step from the paper, with the same noise."""
    planner = replace(
        GRASP.paper(), iterations=7, sync_every=3, sync_steps=2, action_lr=0.3, sync_lr=0.2, check_every=1
    )
    problem = pendulum_problem(3, reached=None)
    trace = _trace(planner, problem)
    horizon = problem.horizon
    assert problem.seeds is not None
    rows = Rows(problem, 1, problem.seeds)
    stream = rows.noise(horizon - 1, 2)
    noise = [stream.draw().clone() for _ in range(8)]
    for i in range(3):
        s0, g = problem.initial_state[i], problem.goal[i]
        a = torch.zeros(horizon, 1, dtype=torch.float64)
        s = [s0 + (g - s0) * t / horizon for t in range(horizon + 1)]
        s = [s0, *(s[t] + planner.initial_state_noise * noise[0][i, t - 1] for t in range(1, horizon)), g]
        for k in range(7):
            a = a.detach().requires_grad_()
            predictions = [Pendulum().step(s[t], a[t]) for t in range(horizon)]
            loss = sum(
                (p - n).square().sum() + planner.goal_weight * (p - g).square().sum()
                for p, n in zip(predictions, s[1:], strict=True)
            )
            (gradient,) = torch.autograd.grad(loss, a)  # type: ignore[arg-type]
            moved = [
                s[t]
                - 2 * planner.state_lr * (s[t] - predictions[t - 1].detach())
                + 0.5 * noise[k + 1][i, t - 1]
                for t in range(1, horizon)
            ]
            s = [s0, *moved, g]
            a = (a - planner.action_lr * gradient).detach().clamp(-3, 3)
            if k % 3 == 0:
                for _ in range(2):
                    leaf = a.detach().requires_grad_()
                    path = [s0]
                    for t in range(horizon):
                        path.append(Pendulum().step(path[-1], leaf[t]))
                    (gradient,) = torch.autograd.grad((path[-1] - g).square().sum(), leaf)
                    a = (a - planner.sync_lr * gradient).detach().clamp(-3, 3)
                s = [x.detach() for x in path[:-1]] + [g]
            torch.testing.assert_close(trace[k + 1][0][i], torch.stack(s), rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(trace[k + 1][1][i], a, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("at_start", "expected"), [(True, [1, 4, 7]), (False, [3, 6])])
def test_when_the_sync_falls(at_start: bool, expected: list[int]) -> None:
    seen: list[int] = []
    planner = GRASP(iterations=8, sync_every=3, sync_at_start=at_start, check_every=None)
    planner.plan(pendulum_problem(2, reached=None), callback=lambda o: seen.append(o.iteration))
    assert seen == [0, *expected, 8]


def test_what_the_sync_does_to_the_states() -> None:
    problem = pendulum_problem(2, reached=None)
    base = GRASP(iterations=1, sync_every=1, sync_steps=1, state_noise=0.0)
    synced, actions = _trace(base, problem)[1]
    assert torch.equal(synced[:, -1], problem.goal)
    free, _ = _trace(replace(base, fix_final_state=False), problem)[1]
    # One sync step: the states are the rollout of the actions before it, hence consistent with each other.
    before = _trace(replace(base, sync_every=None), problem)[1][1]
    torch.testing.assert_close(free, rollout(Pendulum(), problem.initial_state, before))
    torch.testing.assert_close(synced[:, :-1], free[:, :-1])
    kept, kept_actions = _trace(replace(base, sync_states=False), problem)[1]
    assert torch.equal(kept, _trace(replace(base, sync_every=None), problem)[1][0])
    assert torch.equal(kept_actions, actions)


@pytest.mark.parametrize("method", ["shooting", "gradient", "cem"])
def test_a_sync_lowers_the_rollout_loss(method: str) -> None:
    problem = pendulum_problem(4, reached=None)
    base = GRASP(iterations=1, sync_every=1, sync_steps=5, sync_method=method)  # type: ignore[arg-type]
    after = _trace(base, problem)[1][1]
    before = _trace(replace(base, sync_every=None), problem)[1][1]
    losses = [rollout_loss(Pendulum(), problem.initial_state, a, problem.goal) for a in (before, after)]
    assert (losses[1] < losses[0]).all()


def test_a_cem_sync_of_states_without_a_gap_samples_everywhere() -> None:
    system = LinearSystem(np.eye(2), np.zeros((2, 1)))
    still = torch.ones(1, 2, dtype=torch.float64)
    problem = PlanningProblem(system, still, still, 3, 1, seeds=torch.arange(1))
    planner = GRASP(iterations=1, sync_every=1, sync_method="cem", sync_steps=1, state_noise=0.0)
    actions = _trace(planner, problem)[1][1]
    assert torch.isfinite(actions).all()
    assert (actions != 0).all()


def test_noise_decays_as_said() -> None:
    """With A = I, B = 0 and steps of nearly zero length the states only collect noise."""
    system = LinearSystem(np.eye(1), np.zeros((1, 1)))
    zeros = torch.zeros(2000, 1, dtype=torch.float64)
    problem = PlanningProblem(system, zeros, zeros, 2, 1, seeds=torch.arange(2000))
    still = replace(PLAIN, state_lr=1e-12, state_noise=1.0, iterations=6, fix_final_state=True)
    for planner, sigmas in (
        (still, [1.0] * 6),
        (replace(still, noise_decay=0.5), [0.5**k for k in range(6)]),
        (replace(still, cycle_decay=0.5, sync_every=None), [1.0] * 6),
        (
            replace(still, cycle_decay=0.5, sync_every=3, sync_states=False),
            [0.5 ** (k % 3) for k in range(6)],
        ),
    ):
        trace = _trace(planner, problem)
        for k, sigma in enumerate(sigmas):
            step = (trace[k + 1][0] - trace[k][0])[:, 1, 0] / sigma
            assert stats.kstest(step.numpy(), "norm").pvalue > LEVEL


def test_fixed_states_are_not_noised() -> None:
    problem = pendulum_problem(2, reached=None)
    for fixed in (True, False):
        planner = GRASP(iterations=3, fix_final_state=fixed, initial_state_noise=0.2, sync_every=None)
        for states, _ in _trace(planner, problem):
            assert torch.equal(states[:, 0], problem.initial_state)
            assert torch.equal(states[:, -1], problem.goal) == fixed


def test_the_presets_are_what_their_sources_say() -> None:
    paper, released = GRASP.paper(), GRASP.released()
    assert (paper.state_noise, paper.sync_every, paper.sync_steps, paper.sync_at_start) == (0.5, 25, 1, True)
    assert (paper.optimizer, paper.sync_optimizer, paper.reduction) == ("sgd", "sgd", "sum")
    assert (released.optimizer, released.state_lr, released.action_lr) == ("adam", 0.1, 0.01)
    assert (released.sync_every, released.sync_steps, released.sync_lr) == (50, 10, 0.05)
    assert (released.reduction, released.initial_state_noise) == ("mean", 0.0)
    assert (released.goal_weight, released.sync_states, released.returned) == (1.0, False, "last")
    assert (released.iterations, released.state_noise, released.cycle_decay) == (200, 0.01, 1.0)
    for preset in (paper, released):
        assert preset.fix_final_state
        assert preset.stop_state_gradient


def test_the_defaults_are_those_that_were_tuned() -> None:
    """Stored trials were planned with them: another number is another planner."""
    tuned = GRASP(
        iterations=300, check_every=25, state_lr=0.02, action_lr=0.01, sync_lr=0.2, goal_weight=0.1, state_noise=0.2,
        noise_decay=1.0, cycle_decay=0.9, sync_every=25, sync_steps=10, optimizer="adam", sync_optimizer="adam",
    )  # fmt: skip
    assert GRASP() == tuned
    assert (tuned.shooting_steps, tuned.sync_samples, tuned.sync_spread, tuned.greedy_spread) == (
        3,
        64,
        0.5,
        1.0,
    )
    assert (tuned.initial_state_noise, tuned.initial_action_noise) == (0.0, 0.0)
    paper = GRASP.paper()
    ours = (paper.iterations, paper.state_lr, paper.action_lr, paper.sync_lr, paper.goal_weight)
    assert ours == (500, 0.25, 0.1, 0.1, 0.1)
    assert (paper.initial_state_noise, paper.cycle_decay) == (0.1, 1.0)


def test_the_recorded_numbers_are_the_objectives() -> None:
    problem = pendulum_problem(3, reached=None)
    seen: list[Observation] = []
    plan = GRASP(iterations=4, check_every=2).plan(problem, history=True, callback=seen.append)
    assert plan.history is not None
    for k, observation in enumerate(seen):
        assert observation.virtual_states is not None
        defect = dynamics_loss(
            Pendulum(), observation.virtual_states, observation.actions, stop_state_gradient=True
        )
        torch.testing.assert_close(plan.history.defect[k, :, 0], defect)
        whole = lifted_loss(
            Pendulum(),
            observation.virtual_states,
            observation.actions,
            problem.goal,
            0.5,
            stop_state_gradient=True,
        )
        shaping = goal_loss(
            Pendulum(),
            observation.virtual_states,
            observation.actions,
            problem.goal,
            stop_state_gradient=True,
        )
        torch.testing.assert_close(whole, defect + 0.5 * shaping)


def test_what_an_iteration_costs() -> None:
    """T rows a joint step, T a rollout: one at the start, J + 1 in a sync, and none twice."""
    model = Counting()
    planner = GRASP(iterations=10, sync_every=5, sync_steps=3, check_every=5)
    problem = pendulum_problem(2, reached=None, dynamics=model)
    model.rows = 0
    planner.plan(problem)
    probes = model.rows - 2 * problem.horizon * (10 + 1 + 2 * (3 + 1))
    assert probes == 0
