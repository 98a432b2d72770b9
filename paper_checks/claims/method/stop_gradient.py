"""The stop-gradient losses and the update they give: Eq. (8)–(12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_5 import jacobian_pair
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.method.algorithm_1_reference import StepSizes, joint_step
from paper_checks.claims.method.gradients import (
    Objective,
    Trajectory,
    inspect_three_ways,
    random_problems,
    random_trajectory,
)
from paper_checks.claims.method.shipped import (
    SILENT,
    Reading,
    inspect_gradient_step,
    inspect_iterations,
    planner_traces,
)
from paper_checks.claims.theorem_5.losses import (
    ExactPlan,
    PaperLoss,
    double_integrator,
    points,
    scalar_integrator,
)
from paper_checks.engine.inspection import judge
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network

STEPS = replace(SILENT, sync_every=None)
"""The shipped planner's joint steps alone."""


def check_losses(run: Run) -> None:
    """Examine the stop-gradient gradients three ways, and that they see no state Jacobian."""
    for equation, controls in (
        (8, {"an ordinary gradient, not stopped": (Objective(4), True)}),
        (9, {"Eq. (8) in its place": (Objective(8), True)}),
        (
            10,
            {
                "γ doubled": (Objective(10, 1.4), True),
                "differences of the value, s̄ not frozen": (Objective(10), False),
            },
        ),
    ):
        run.examine(
            f"the gradient of Eq. ({equation}) is that of the surrogate with s̄ frozen",
            partial(_three_ways, run, Objective(equation)),
            (Objective(equation), True),
            false_variants=controls,
            equations=(equation,),
        )
    for equation, weight, near in (
        (8, 0.0, {"the gradient kept, Eq. (4)": Objective(4), "γ = 0.001, Eq. (10)": Objective(10, 1e-3)}),
        (10, 0.7, {"γ 1% larger": Objective(10, 0.707), "γ on neither term, Eq. (8)": Objective(8)}),
    ):
        run.examine(
            f"GRASP with γ = {weight} steps along the gradient of Eq. ({equation})",
            partial(inspect_gradient_step, run, replace(STEPS, goal_weight=weight)),
            Objective(equation, weight),
            false_variants=near,
            equations=(equation,),
        )
    run.examine(
        "no gradient passes through the model's state input: it is bitwise the same for opposite state "
        "Jacobians",
        lambda equations: _inspect_jacobian_free(run, equations),
        (8, 9, 10),
        false_variants={"Eq. (4) too": (4, 8, 9, 10)},
        equations=(8, 9, 10),
    )
    run.caveat(
        "Eq. (10) is not 'the energy that is sampled from': the mean of the noisy iteration on linear "
        "dynamics is its stop-gradient fixed point, which does not minimise the value of (10)",
        _inspect_energy,
        double_integrator(),
        false_variants={"s' = s + a, where the two coincide": scalar_integrator()},
    )


def _three_ways(run: Run, objective: Objective, variant: tuple[Objective, bool]) -> Evidence:
    stated, freeze = variant
    return inspect_three_ways(run, objective, stated, freeze=freeze)


def check_dynamics(run: Run) -> None:
    """Examine the update (11)–(12) against automatic differentiation, and the field that it follows."""
    run.examine(
        "gradient steps on (10) with noise on s_1, ..., s_{T−1} are (11)–(12), to rounding",
        lambda variant: _inspect_update(run, variant),
        _Update(),
        false_variants={
            "η_s in place of 2η_s": _Update(factor=1.0),
            "noise on s_T too": _Update(noise_on_end=True),
            "s_T free": _Update(end_free=True),
            "the state gradient kept": _Update(stopped=False),
        },
        equations=(11, 12),
    )
    traces = planner_traces(run, "silent", STEPS)
    run.examine(
        "a step of GRASP.paper() is (11)–(12) without the noise, which the claim algorithm-1 examines",
        lambda reading: inspect_iterations(traces, STEPS, reading),
        Reading(STEPS),
        false_variants={
            "η_s in place of 2η_s": Reading(replace(STEPS, state_lr=SILENT.state_lr / 2.0)),
            "η_s 1% larger": Reading(replace(STEPS, state_lr=1.01 * SILENT.state_lr)),
            "s_T free": Reading(STEPS, end_free=True),
        },
        equations=(11, 12),
    )
    run.examine(
        "the states do not follow a gradient field: the field's Jacobian is not symmetric, and its "
        "asymmetry is the block −2G_t, G_t = ∇_s F",
        lambda variant: _inspect_field(run, variant),
        "stopped",
        false_variants={
            "the gradient of (4), not stopped": "kept",
            "a model that ignores the state": "stateless",
        },
        equations=(11,),
    )
    run.examine(
        "at fixed states the actions follow a gradient: their block of the Jacobian is symmetric",
        lambda block: _inspect_action_block(run, block),
        "actions",
        false_variants={"states and actions together": "all"},
        equations=(12,),
    )
    run.examine(
        "no change of inner product makes it a gradient field: on s' = s + a with T = 2 it is not "
        "diagonalisable",
        _inspect_diagonalisable,
        1,
        false_variants={"s' = a, where it is": 0},
    )


def _inspect_jacobian_free(run: Run, equations: tuple[int, ...]) -> Evidence:
    """Compare the gradients on models with equal values and action Jacobians but opposite state Jacobians."""
    rng = run.rng("Jacobian-free")
    changed: list[int] = []
    pairs = run.size(10, 4)
    for _ in range(pairs):
        n, m = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        s_0, a_0, y_0, s_1, a_1, y_1 = points(rng, n, m, n, n, m, n)
        jacobian = torch.tensor(rng.standard_normal((n, n)))
        radius = float(torch.cat([s_1 - s_0, a_1 - a_0]).norm()) / 2.0
        models = jacobian_pair((s_0, a_0, y_0), (s_1, a_1, y_1), (jacobian, -jacobian), radius)
        trajectory = Trajectory(
            torch.stack([s_0, s_1, *points(rng, n)]), torch.stack([a_0, a_1]), *points(rng, n)
        )
        for equation in equations:
            of_f, of_g = (Objective(equation).automatic(model, trajectory) for model in models)
            if not all(torch.equal(left, right) for left, right in zip(of_f, of_g, strict=True)):
                changed.append(equation)
    return Evidence(
        Grade.NUMERICAL,
        not changed,
        f"gradients of Eq. {equations} on {pairs} pairs of explicit models that differ in ∇_s F only; "
        f"changed bits in Eq. {sorted(set(changed)) or 'none'}",
        {"changed": len(changed)},
    )


def _inspect_energy(problem: ExactPlan) -> Evidence:
    """Compare the stop-gradient fixed point with the minimiser of the value, both exactly."""
    fixed, minimiser = (problem.stationary_plans(PaperLoss(10, stopped=stopped)) for stopped in (True, False))
    at_fixed, at_minimiser = (problem.example(rows, free_value=0)[0] for rows in (fixed, minimiser))
    return Evidence(
        Grade.CERTIFIED,
        fixed != minimiser,
        "T = 2, γ = 1: a law proportional to exp(−β·(10)) is Gaussian around the minimiser of (10), "
        "the stationary law of the linear iteration around its fixed point",
        {"fixed point": str(at_fixed), "minimiser of (10)": str(at_minimiser)},
        f"A, B = {problem.A.tolist()}, {problem.B.tolist()}; s_0, g = {list(problem.initial_state)}, "
        f"{list(problem.goal)}",
    )


@dataclass(frozen=True)
class _Update:
    """How (11)–(12) are written out.

    Arguments
        factor: the factor of η_s in (11).
        noise_on_end: whether s_T is noised too.
        end_free: whether s_T moves.
        stopped: whether the state inputs are stopped.
    """

    factor: float = 2.0
    noise_on_end: bool = False
    end_free: bool = False
    stopped: bool = True


def _inspect_update(run: Run, variant: _Update) -> Evidence:
    rng = run.rng("update")

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for network, drawn in random_problems(run, "update", run.size(30, 10)):
            T, n = len(drawn.actions) + 1, len(drawn.goal)
            trajectory = random_trajectory(rng, n, drawn.actions.shape[1], T)
            trajectory.states[-1] = trajectory.goal
            noise = 0.3 * torch.tensor(rng.standard_normal((T + 1, n)))
            steps, gamma = StepSizes(*rng.uniform(0.01, 0.4, size=2)), float(rng.uniform(0.0, 2.0))
            found = joint_step(network, trajectory, gamma, steps, noise)
            gradient_s, gradient_a = Objective(10, gamma).closed_form(network, trajectory)
            if not variant.stopped:
                gradient_s = _unstopped_gradient(network, trajectory, gamma)
            move = steps.states * variant.factor / 2.0 * gradient_s
            move[0] = 0.0
            stated_noise = noise.clone()
            stated_noise[0] = 0.0
            if not variant.noise_on_end:
                stated_noise[-1] = 0.0
            if not variant.end_free:
                move[-1] = 0.0
            states = trajectory.states - move + stated_noise
            actions = trajectory.actions - steps.actions * gradient_a
            error = max(
                float((found.states - states).abs().max()), float((found.actions - actions).abs().max())
            )
            scale = (
                float(gradient_s.abs().max() + gradient_a.abs().max() + trajectory.states.abs().max()) + 10.0
            )
            yield (
                TheoremCheck(error, 0.0, "<=", rounding_allowance(scale, len(network.bias)), {}),
                network.as_code,
            )

    return judge(
        evaluations(),
        "Algorithm 1 lines 4–6 by automatic differentiation of (10), s_0 and s_T = g fixed, "
        "s_1..s_{T−1} noised after the step, against (11)–(12) written out",
    )


def _unstopped_gradient(network: SmoothNetwork, trajectory: Trajectory, gamma: float) -> Tensor:
    goal, actions = trajectory.goal, trajectory.actions
    full = Objective(10, gamma)
    gradient: Tensor = torch.func.grad(lambda s: full.surrogate(network, s, actions, goal, s))(
        trajectory.states
    )
    return gradient


def _field_jacobian(network: SmoothNetwork, trajectory: Trajectory, *, stopped: bool) -> Tensor:
    """Return the Jacobian of z = (s_1, ..., s_T, a_0, ..., a_{T−1}) ↦ the gradient that the update follows."""
    n, T = len(trajectory.goal), len(trajectory.actions)
    objective = Objective(10) if stopped else Objective(4)

    def unpack(z: Tensor) -> tuple[Tensor, Tensor]:
        states = torch.cat([trajectory.states[:1], z[: T * n].reshape(T, n)])
        return states, z[T * n :].reshape(trajectory.actions.shape)

    def field(z: Tensor) -> Tensor:
        frozen = unpack(z)[0]

        def loss(free: Tensor) -> Tensor:
            states, actions = unpack(free)
            return objective.surrogate(
                network, states, actions, trajectory.goal, frozen if stopped else states
            )

        gradient: Tensor = torch.func.grad(loss)(z)
        return gradient

    z = torch.cat([trajectory.states[1:].flatten(), trajectory.actions.flatten()])
    jacobian: Tensor = torch.func.jacrev(field)(z)
    return jacobian


def _field_networks(run: Run, name: str) -> Iterator[tuple[SmoothNetwork, Trajectory]]:
    rng = run.rng(name)
    for _ in range(run.size(12, 5)):
        n, m, T = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(2, 5))
        yield random_network(rng, n, m), random_trajectory(rng, n, m, T)


def _inspect_field(run: Run, variant: str) -> Evidence:
    symmetric, wrong_block, count, smallest, code = 0, 0, 0, np.inf, ""
    for network, trajectory in _field_networks(run, "field"):
        if variant == "stateless":
            network = SmoothNetwork(
                0.0, network.readout, 0.0 * network.state_weights, network.action_weights, network.bias
            )
        n, count = len(trajectory.goal), count + 1
        K = _field_jacobian(network, trajectory, stopped=variant != "kept")
        asymmetry = float((K - K.T).abs().max())
        noise = rounding_allowance(float(K.abs().max()) + 10.0, K.shape[0])
        symmetric += asymmetry <= noise
        # ∂(∇_{s_2})/∂s_1 = −2 G_1, and the transposed block is 0.
        of_state, _ = network.jacobians(trajectory.states[1], trajectory.actions[1])
        asymmetric_block = K[n : 2 * n, :n] - K[:n, n : 2 * n].T
        wrong_block += float((asymmetric_block + 2.0 * of_state).abs().max()) > noise
        if asymmetry < smallest:
            smallest, code = asymmetry, network.as_code()
    return Evidence(
        Grade.NUMERICAL,
        symmetric == 0 and wrong_block == 0,
        f"Jacobian K of the update field on {count} random networks: symmetric in {symmetric}, the "
        f"block differs from −2G_t in {wrong_block}; smallest max|K − Kᵀ| {smallest:.3g}",
        {"symmetric": symmetric, "smallest asymmetry": float(smallest)},
        code,
    )


def _inspect_action_block(run: Run, block: str) -> Evidence:
    worst, count = 0.0, 0
    for network, trajectory in _field_networks(run, "action block"):
        K = _field_jacobian(network, trajectory, stopped=True)
        start = trajectory.states[1:].numel() if block == "actions" else 0
        part = K[start:, start:]
        excess = float((part - part.T).abs().max()) / rounding_allowance(
            float(K.abs().max()) + 10.0, K.shape[0]
        )
        worst, count = max(worst, excess), count + 1
    return Evidence(
        Grade.NUMERICAL,
        worst <= 1.0,
        f"max|K − Kᵀ| over the rounding allowance in the block of the {block}, {count} random networks: "
        f"{worst:.3g}",
        {"asymmetry over allowance": worst},
    )


def _inspect_diagonalisable(state_gain: int) -> Evidence:
    """Decide in integers whether the field z ↦ K z of (10) on s' = A s + a, T = 2, γ = 1, is not diagonalisable."""
    s1, s2, a0, a1, c0, c1 = sp.symbols("s_1 s_2 a_0 a_1 c_0 c_1")
    y0, y1 = state_gain * c0 + a0, state_gain * c1 + a1
    loss = (y0 - s1) ** 2 + (y1 - s2) ** 2 + y0**2 + y1**2
    variables = (s1, a0, s2, a1)
    field = sp.Matrix([loss.diff(v).subs({c0: 0, c1: s1}) for v in variables])
    K, x = field.jacobian(variables), sp.symbols("x")
    # Diagonalisable if and only if the square-free part of the characteristic polynomial annihilates K.
    radical = sp.Poly(sp.sqf_part(K.charpoly(x).as_expr()), x)
    powers = [coefficient * K**degree for (degree,), coefficient in radical.terms()]
    remainder = sum(powers, sp.zeros(4))
    return Evidence(
        Grade.CERTIFIED,
        remainder != sp.zeros(4),
        "a field that is a gradient in some inner product ⟨·,·⟩_M has a K similar to a symmetric "
        f"matrix; here the square-free part {radical.as_expr()} of its characteristic polynomial does "
        "not annihilate K",
        {"p(K)": str(remainder.tolist())},
        f"K = {K.tolist()}",
    )


CLAIMS = (
    Claim(
        id="stop-gradient-losses",
        title="The grad-cut dynamics and goal losses",
        source="Section 3.3, Eq. (8)–(10)",
        statement=(
            "With the state inputs detached, the losses are differentiable in the actions and the next "
            "states, and no gradient passes through F's state input."
        ),
        latex=r"\mathcal{L} = \sum_t \|F_\theta(\bar s_t,a_t)-s_{t+1}\|_2^2 + \gamma\sum_t\|F_\theta(\bar s_t,a_t)-g\|_2^2",
        equations=(8, 9, 10),
        check=check_losses,
    ),
    Claim(
        id="noisy-dynamics",
        title="The noisy dynamics of states and actions, which are not Langevin",
        source="Section 3.3, Eq. (11)–(12)",
        statement=(
            "The update is s_t ← s_t − 2η_s(s_t − F(s_{t−1}, a_{t−1})) + σξ_t with a gradient step on "
            "the actions; the actions follow a gradient flow, the states no gradient vector field."
        ),
        latex=r"s_t^{k+1} \leftarrow s_t^k - 2\eta_s\,(s_t^k - F_\theta(s_{t-1}^k, a_{t-1}^k)) + \sigma_{\rm state}\,\xi_t^k",
        equations=(11, 12),
        check=check_dynamics,
    ),
)
