"""The baselines solve what they are known to solve, and do what their options say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planner_cases import Pendulum, pendulum_problem
from scipy import stats

from grasp_theory import (
    CEM,
    CEMGD,
    ICEM,
    MPPI,
    GradientDescent,
    LatCo,
    Observation,
    Planner,
    PlanningProblem,
    rollout,
)
from grasp_theory.objectives import dynamics_loss, rollout_loss
from grasp_theory.planners.cem import coloured
from grasp_theory.planners.loop.evaluations import rollout_gradient
from grasp_theory.planners.loop.rows import Rows
from linear_systems import lifted, shooting
from linear_systems.rounding import rounding_allowance
from linear_systems.system import LinearSystem

OVERDETERMINED = LinearSystem(
    np.array([[0.9, 0.2, 0.0], [0.0, 0.8, 0.1], [0.1, 0.0, 0.7]]), np.array([[1.0], [0.4], [-0.3]])
)
"""Three states and one action: in two steps the goal is out of reach and the optimum unique."""


WELL_CONDITIONED = LinearSystem(
    np.array([[0.0, 0.5, 0.2], [1.0, 0.0, 0.0], [0.1, 0.2, 0.5]]), np.array([[1.0], [0.0], [0.2]])
)
"""The same, with level sets that are nearly round: a diagonal Gaussian does not collapse in a narrow valley."""


def _problem(horizon: int, system: LinearSystem = OVERDETERMINED, batch: int = 3) -> PlanningProblem:
    generator = torch.Generator().manual_seed(2)
    start, goal = torch.randn(2, batch, system.state_dim, generator=generator, dtype=torch.float64)
    return PlanningProblem(system, start, goal, horizon, system.action_dim, seeds=torch.arange(batch))


def _least_squares(system: LinearSystem, problem: PlanningProblem, row: int) -> tuple[np.ndarray, float]:
    """The optimal actions, in time order, and their loss."""
    horizon = problem.horizon
    controllability = np.concatenate(
        [np.linalg.matrix_power(system.A, horizon - 1 - t) @ system.B for t in range(horizon)], axis=1
    )
    free = np.linalg.matrix_power(system.A, horizon) @ problem.initial_state[row].numpy()
    actions, *_ = np.linalg.lstsq(controllability, problem.goal[row].numpy() - free, rcond=None)
    return actions, float(np.square(controllability @ actions + free - problem.goal[row].numpy()).sum())


def test_gradient_descent_reaches_the_least_squares_optimum() -> None:
    problem = _problem(2)
    step = 1.0 / shooting.lipschitz(OVERDETERMINED, 2)
    condition = shooting.condition_number(OVERDETERMINED, 2)
    iterations = int(np.ceil(-np.log(1e-14) * condition))  # (1 − 1/κ)^k <= 1e-14
    plan = GradientDescent(iterations=iterations, lr=step, optimizer="sgd", action_noise=0.0).plan(problem)
    for row in range(3):
        actions, loss = _least_squares(OVERDETERMINED, problem, row)
        scale = np.abs(actions).max()
        error = np.abs(plan.actions[row].flatten().numpy() - actions).max()
        # The returned iterate has the least loss, and losses a rounding apart cannot be told from each other:
        # the distance is the square root of a rounding, over the smallest curvature.
        flat = np.sqrt(rounding_allowance(loss, 3) * condition / shooting.lipschitz(OVERDETERMINED, 2))
        assert error <= 1e-13 * scale + 2 * flat
        assert float(plan.loss[row]) - loss <= rounding_allowance(loss + 1.0, 10)


@pytest.mark.parametrize(
    ("planner", "excess"),
    [
        (CEM(iterations=60, initial_std=4.0), 1e-8),
        (ICEM(iterations=60, initial_std=4.0, noise_exponent=0.0), 1e-8),
        (CEMGD(iterations=40, initial_std=4.0), 1e-5),
        (MPPI(iterations=200, noise=4.0, noise_decay=0.95, noise_exponent=0.0), 1e-5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sampling_finds_a_known_optimum(planner: Planner, excess: float) -> None:
    """The excess loss over the optimum, relative to the loss of doing nothing.

    The first samples cover the optima: where they do not, the elites' spread collapses before the mean has
    come there, a known weakness of the method.
    """
    problem = _problem(2, WELL_CONDITIONED)
    plan = planner.plan(problem)
    for row in range(3):
        actions, loss = _least_squares(WELL_CONDITIONED, problem, row)
        nothing = float(
            rollout_loss(
                WELL_CONDITIONED, problem.initial_state, torch.zeros(3, 2, 1).double(), problem.goal
            )[row]
        )
        assert (float(plan.loss[row]) - loss) / nothing <= excess
        assert np.abs(plan.actions[row].flatten().numpy() - actions).max() <= 0.05


CONTROLLABLE = LinearSystem(np.array([[1.0, 0.3], [0.0, 1.0]]), np.array([[0.0], [0.3]]))


def test_latcos_defect_goes_to_zero_on_a_controllable_system() -> None:
    """Plain gradient steps of length 1/L on a consistent least-squares problem: linear convergence."""
    horizon = 6
    problem = _problem(horizon, CONTROLLABLE)
    step = 1.0 / lifted.lipschitz(CONTROLLABLE, horizon)
    planner = LatCo(
        constraint="penalty",
        iterations=3000,
        check_every=1000,
        optimizer="sgd",
        state_lr=step,
        action_lr=step,
    )
    plan = planner.plan(problem, history=True)
    assert plan.history is not None
    defect = plan.history.defect[:, :, 0]
    assert (defect[1:] < 0.1 * defect[:-1]).all()
    assert (defect[-1] < 1e-8).all()
    assert (plan.loss < 1e-6).all()


def test_latco_with_multipliers_meets_its_tolerance() -> None:
    problem = _problem(6, CONTROLLABLE)
    planner = LatCo(iterations=1500, check_every=1500, constraint="multipliers")
    seen: list[Observation] = []
    planner.plan(problem, callback=seen.append)
    last = seen[-1]
    assert last.virtual_states is not None
    defect = dynamics_loss(CONTROLLABLE, last.virtual_states, last.actions, stop_state_gradient=True)
    assert (defect <= 6 * planner.defect_tolerance).all()
    goal_gap = (last.virtual_states[:, -1] - problem.goal).square().sum(1)
    assert (goal_gap <= planner.defect_tolerance).all()


@pytest.mark.parametrize("objective", ["last", "all"])
def test_the_rollout_gradient_three_ways(objective: str) -> None:
    problem = pendulum_problem(2)
    generator = torch.Generator().manual_seed(0)
    actions = torch.randn(2, 8, 1, generator=generator, dtype=torch.float64)
    s0, goal = problem.initial_state, problem.goal
    rows = Rows(problem, 1, torch.arange(2))
    gradient, states = rollout_gradient(rows, actions, objective)  # type: ignore[arg-type]
    again, _ = rollout_gradient(rows, actions, objective, checkpoint=True)  # type: ignore[arg-type]
    torch.testing.assert_close(gradient, again)

    def loss(a: torch.Tensor) -> torch.Tensor:
        gaps = (rollout(Pendulum(), s0, a) - goal[:, None]).square().sum(2)
        return gaps[:, -1].sum() if objective == "last" else gaps[:, 1:].sum()

    (automatic,) = torch.autograd.grad(loss(leaf := actions.clone().requires_grad_()), leaf)
    torch.testing.assert_close(gradient, automatic)
    h = 1e-6
    for i in range(8):
        unit = torch.zeros_like(actions)
        unit[1, i] = h
        slope = float((loss(actions + unit) - loss(actions - unit)) / (2 * h))
        assert slope == pytest.approx(float(gradient[1, i]), rel=1e-6, abs=1e-7)
    torch.testing.assert_close(states, rollout(Pendulum(), s0, actions))


def test_the_all_step_loss_differs_from_the_last_step_loss() -> None:
    problem = pendulum_problem(2, reached=None)
    last = GradientDescent(iterations=30).plan(problem)
    every = GradientDescent(iterations=30, objective="all").plan(problem)
    assert not torch.allclose(last.actions, every.actions)


def test_gradient_descent_with_state_noise_returns_the_models_own_rollout() -> None:
    problem = pendulum_problem(3, reached=None)
    planner = GradientDescent(iterations=10, state_noise=0.3, check_every=2)
    plan = planner.plan(problem, history=True)
    torch.testing.assert_close(plan.states, rollout(Pendulum(), problem.initial_state, plan.actions))
    assert plan.history is not None
    assert plan.history.iteration.tolist() == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("horizon", [2, 7, 16])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 4.0])
def test_coloured_noise_has_unit_variance_and_its_spectrum(horizon: int, exponent: float) -> None:
    white = torch.randn(
        1, 20_000, horizon, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    noise = coloured(white, exponent)
    count = 20_000
    for t in range(horizon):
        assert stats.kstest(noise[0, :, t, 0].numpy(), "norm").pvalue > 1e-6
    power = torch.fft.rfft(noise[0, :, :, 0], dim=1).abs().square().mean(0)
    frequencies = torch.arange(len(power), dtype=torch.float64)
    frequencies[0] = 1.0
    shape = power * frequencies**exponent
    # The mean of `count` squares has relative standard deviation at most sqrt(2 / count): six of them.
    assert (shape / shape.mean() - 1).abs().max() < 6 * (2 / count) ** 0.5 * 2


def test_cem_draws_fewer_samples_as_told() -> None:
    planner = CEM(samples=100, elites=10, population_decay=1.5)
    assert [planner.population(k) for k in range(6)] == [100, 66, 44, 29, 20, 20]


def test_refinement_helps_cem() -> None:
    problem = pendulum_problem(6, reached=None)
    plain = CEM(iterations=3, samples=30, elites=6)
    hybrid = CEMGD(iterations=3, samples=30, elites=6, refined=3)
    assert (hybrid.plan(problem).loss < plain.plan(problem).loss).all()


def test_a_sampling_planner_survives_a_few_bad_samples() -> None:
    class Cliff:
        def step(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return torch.where(action > 1.0, torch.nan, Pendulum().step(state, action))

    for planner in (CEM(iterations=5), ICEM(iterations=5), MPPI(iterations=5), CEMGD(iterations=5)):
        plan = planner.plan(pendulum_problem(3, dynamics=Cliff(), reached=None))
        assert (plan.status == 1).all()
        assert plan.loss.isfinite().all()
        assert plan.actions.max() <= 1.0
