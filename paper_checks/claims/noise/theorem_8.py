"""Theorem 8: the goal loss moves the tube centre, Eq. (97)–(100), and what the theorem leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from grasp_theory.objectives import lifted_loss
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_8 import (
    goal_drift,
)
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.noise.theorem_8_omissions import (
    HELD,
    inspect_order,
    record_omissions,
    step_vectors,
    symbols,
)
from paper_checks.engine.inspection import identity, judge
from paper_checks.engine.records import Claim, Evidence, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network


def check_theorem_8(run: Run) -> None:
    """Examine the gradient, the exactness for affine dynamics, the error order and the contraction."""
    _examine_identities(run)
    _examine_networks(run)
    run.examine(
        "0 < αγ λ_max(P) < 1 makes I − αγP a contraction on Range(P)",
        lambda variant: _inspect_contraction(run, *variant),
        (1.0, "range"),
        false_variants={
            "on the whole space, P singular": (1.0, "whole space"),
            "0 < αγ λ_max(P) < 2.2": (2.2, "range"),
        },
        true_variants={"0 < αγ λ_max(P) < 2": (2.0, "range")},
    )
    record_omissions(run)
    run.sharpness(
        Sharpness(
            "0 < αγ λ_max(P) < 1 as a condition for contraction on Range(P)",
            0.5,
            "in closed form: |1 − αγλ| ≤ 1 exactly for 0 ≤ αγλ ≤ 2",
            "P, alpha, gamma = [[1.0]], 1.999, 1.0",
            "0 < αγ λ_max(P) < 2 is necessary and sufficient; in (1, 2) the step overshoots g",
        )
    )


def _examine_identities(run: Run) -> None:
    run.examine(
        "∇_{a_t} L = 2Jᵀ(μ − s_{t+1}) + 2γJᵀ(μ − g): automatic differentiation of Eq. (92) on random "
        "networks",
        lambda factor: _inspect_action_gradient(run, factor),
        2.0,
        false_variants={"with 1.98 in place of 2": 1.98},
        equations=(100,),
    )
    run.examine(
        "for dynamics affine in a, (97) and the action step give exactly (98), in symbols",
        _inspect_affine,
        (1, 1),
        false_variants={"the forcing with a minus sign": (-1, 1), "α = η_a": (1, sp.Rational(1, 2))},
        equations=(97, 98),
    )
    run.examine(
        "(98) is affine in ε, so its mean over any centred law of ε is (99)",
        _inspect_mean,
        "centred",
        false_variants={"ε of mean δ ≠ 0": "shifted"},
        equations=(99,),
    )


def _examine_networks(run: Run) -> None:
    run.examine(
        "the centre after an action step is within ½ M ‖Δa‖² of (98); exactly it where F is affine in a",
        lambda curved: _inspect_taylor_bound(run, curved),
        True,
        false_variants={"M = 0 for dynamics that are not affine in a": False},
        equations=(97, 98),
    )
    run.examine(
        "with s̄_t held, the error of (98) is of order 2 in η_a on random networks",
        lambda variant: inspect_order(run, variant),
        HELD,
        false_variants={"α = η_a in place of 2η_a": replace(HELD, alpha_factor=0.5)},
        equations=(97, 98),
    )


def _inspect_action_gradient(run: Run, factor: float) -> Evidence:
    rng = run.rng("gradient")

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for _ in range(run.size(40, 12)):
            n, m, T = (int(rng.integers(1, top)) for top in (6, 5, 7))
            network = random_network(rng, n, m)
            states, goal = torch.tensor(rng.standard_normal((T + 1, n))), torch.tensor(rng.standard_normal(n))
            actions = torch.tensor(rng.standard_normal((T, m))).requires_grad_()
            gamma = float(rng.uniform(0.0, 2.0))
            loss = lifted_loss(network, states, actions, goal, gamma, stop_state_gradient=True)
            found = torch.autograd.grad(loss, actions)[0]
            for t in range(T):
                state, action = states[t], actions[t].detach()
                center = network.step(state, action)
                _, jacobian = network.jacobians(state, action)
                stated = factor * jacobian.T @ ((center - states[t + 1]) + gamma * (center - goal))
                scale = float(center.norm() + states[t + 1].norm() + gamma * (center.norm() + goal.norm()))
                allowance = rounding_allowance(2.0 * scale * float(jacobian.norm()), n + m)
                check = TheoremCheck(float((found[t] - stated).norm()), 0.0, "<=", allowance, {})
                yield check, lambda network=network, t=t: f"{network.as_code()}\nt = {t}"  # type: ignore[misc]

    return judge(evaluations(), "reverse mode through Eq. (92) against (100) with Jacobians derived by hand")


def _inspect_affine(variant: tuple[int, sp.Rational | int]) -> Evidence:
    sign, alpha_factor = variant
    J, drift, a, s, g = symbols()
    eta, gamma = sp.symbols("eta_a gamma", positive=True)
    mu = drift + J * a
    loss = (mu - s).dot(mu - s) + gamma * (mu - g).dot(mu - g)
    following = a - eta * sp.Matrix([loss.diff(entry) for entry in a])
    alpha, P = 2 * eta * alpha_factor, J * J.T
    stated = mu - alpha * gamma * P * (mu - g) + sign * alpha * P * (s - mu)
    return identity(
        [drift + J * following - stated],
        "μ⁺ = (I − αγP)μ + αγPg + αPε with μ = f(s̄) + B(s̄) a, the action step differentiated from (92)",
        "n = m = 2; the entries of a matrix product, so for every n, m",
    )


def _inspect_mean(kind: str) -> Evidence:
    """Show that (98) has no second derivative in ε, so that its mean over any law is its value at the mean of ε."""
    J, drift, a, _, g = symbols()
    alpha, gamma, shift = sp.symbols("alpha gamma delta", positive=True)
    epsilon = sp.Matrix(sp.symbols("e:2"))
    expected = shift * sp.ones(2, 1) if kind == "shifted" else sp.zeros(2, 1)
    mu, P = drift + J * a, J * J.T

    def center(residual: sp.Matrix) -> sp.Matrix:
        return (sp.eye(2) - alpha * gamma * P) * mu + alpha * gamma * P * g + alpha * P * residual

    curvatures = [sp.hessian(entry, list(epsilon)) for entry in center(epsilon)]
    stated = (sp.eye(2) - alpha * gamma * P) * mu + alpha * gamma * P * g
    return identity(
        [*curvatures, center(expected) - stated],
        "no second derivative of (98) in ε, and (98) at E[ε] = (I − αγP)μ + αγPg",
        "n = m = 2; every law of ε with a mean, as the mean of an affine function is its value at the mean",
    )


@dataclass(frozen=True)
class _AffineInAction:
    """F(s, a) = tanh(W s) + (B + diag(s) C) a: affine in a, not in s."""

    W: Tensor
    B: Tensor
    C: Tensor

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return torch.tanh(state @ self.W.T) + action @ self.B.T + state * (action @ self.C.T)

    def as_code(self) -> str:
        fields = (
            f"torch.tensor({matrix.tolist()}, dtype=torch.float64)" for matrix in (self.W, self.B, self.C)
        )
        return "W, B, C = {}, {}, {}  # F(s, a) = tanh(W s) + (B + diag(s) C) a".format(*fields)


def _inspect_taylor_bound(run: Run, curved: bool) -> Evidence:
    rng = run.rng("Taylor")

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for index in range(run.size(80, 24)):
            n, m = int(rng.integers(1, 6)), int(rng.integers(1, 5))
            network = random_network(rng, n, m)
            affine = _AffineInAction(
                *(torch.tensor(rng.standard_normal(shape)) for shape in ((n, n), (n, m), (n, m)))
            )
            dynamics: _AffineInAction | SmoothNetwork = affine if index % 2 else network
            curvature = 0.0 if index % 2 or not curved else network.action_curvature
            vectors = step_vectors(rng, n, m)
            eta, gamma = 10.0 ** rng.uniform(-3.0, 0.0), float(rng.uniform(0.0, 2.0))
            check = goal_drift(dynamics, *vectors, eta, gamma, curvature)
            # The inequality needs no condition on the step size; that one is for the contraction.
            yield replace(check, assumptions={}), lambda dynamics=dynamics: dynamics.as_code()  # type: ignore[misc]

    return judge(
        evaluations(), "‖μ⁺ − (98)‖ ≤ ½ M ‖Δa‖², half of the models affine in a (M = 0), half tanh networks"
    )


def _inspect_contraction(run: Run, limit: float, where: str) -> Evidence:
    rng = run.rng("contraction")

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for index in range(run.size(60, 20)):
            n = int(rng.integers(2, 7))
            m = int(rng.integers(1, n))
            J = rng.standard_normal((n, m)) if index else np.diag(np.linspace(1.0, 0.5, n))[:, :m]
            P = J @ J.T
            # Close to the limit on the first instance, inside it on the others.
            strength = limit * (1.0 - 1e-6 if index == 0 else rng.uniform(0.05, 0.999)) / np.linalg.norm(P, 2)
            basis = np.linalg.svd(J)[0][:, :m] if where == "range" else np.eye(n)
            norm = float(np.linalg.norm((np.eye(n) - strength * P) @ basis, 2))
            check = TheoremCheck(norm, 1.0, "<=", -rounding_allowance(1.0, n), {})
            yield check, lambda J=J, strength=strength: f"J = {J.tolist()}; strength = {strength}"  # type: ignore[misc]

    return judge(
        evaluations(), "‖(I − αγP)Q‖₂ < 1 strictly, Q an orthonormal basis of the subspace, rank(P) < n"
    )


CLAIMS = (
    Claim(
        id="thm8",
        title="Goal shaping moves the tube centre towards the goal",
        source="Appendix A.4, Theorem 8",
        statement=(
            "With μ_t = F(s̄_t, a_t), J = ∇_a F, P = JJᵀ, α = 2η_a and the linearisation (97), one "
            "action step gives μ⁺ ≈ (I − αγP)μ + αγPg + αPε, in the mean (I − αγP)μ + αγPg; if 0 < αγ "
            "λ_max(P) < 1 this contracts towards g on Range(P)."
        ),
        latex=r"\mu_t^{k+1} \approx (I-\alpha\gamma P_t^k)\mu_t^k + \alpha\gamma P_t^k g + \alpha P_t^k \varepsilon_{t+1}^k",
        assumptions=("first-order change of μ_t in the action step (97), s̄_t held", "E[ε | μ] = 0 for (99)"),
        equations=(97, 98, 99, 100),
        others=("Theorem 8",),
        check=check_theorem_8,
    ),
)
