"""Theorem 5: no loss has exactly the feasible plans as minimisers and a Jacobian-free state gradient.

Theorem 1 is its informal form.  The proof's models are built here explicitly, from C^∞ bumps, and can be used
on a reader's own loss Φ.  Besides the paper's qualitative statement there is a quantitative one, which needs
no minimisers: `separation`.

The theorem is for horizon T = 2.  For T > 2 the same argument, with property 2 for every ∇_{s_t}, removes
each y_t, t ≥ 1.  For T = 1 there is no free state, and ‖F(s_0, a_0) − g‖² has both properties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.dynamics import Dynamics
from grasp_theory.theorems.record import TheoremCheck
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float

Loss = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Φ(s_1, a_0, a_1, y_0, y_1) of Eq. (58): vectors in, a scalar out, in operations that torch.func can map."""

Decision = tuple[Tensor, Tensor, Tensor]
"""The free variables (s_1, a_0, a_1) of horizon 2."""

UNDERFLOW = 1.0 / 745.0
"""exp(−1/x) is 0 in float64 below this x; constant there, the step has derivatives that are exactly 0."""
PLATEAU = 0.5
"""A bump equals 1 on the ball of this fraction of its support radius."""
HALF = 0.5 * (1.0 - 1e-6)
"""Of the least distance between centres: a little less than half, so that no rounding makes two balls touch."""
LINE_NODES = 64
"""Gauss–Legendre nodes of the line integral in `separation`; its error is estimated from half as many."""


def smooth_step(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return e(x)/(e(x) + e(1−x)), e(x) = exp(−1/x) or 0: C^∞, 0 for x <= 0 and 1 for x >= 1."""
    inside = (x > UNDERFLOW) & (x < 1.0 - UNDERFLOW)
    between = torch.where(inside, x, torch.full_like(x, 0.5))
    return torch.where(inside, torch.sigmoid(1.0 / (1.0 - between) - 1.0 / between), (x > 0.5).to(x.dtype))


def bump(
    point: Float[Tensor, "*batch d"], center: Float[Tensor, " d"], radius: float
) -> Float[Tensor, "*batch"]:
    """Return ψ, C^∞: 1 within PLATEAU · radius of `center`, 0 beyond `radius`.  Source: before Eq. (64)."""
    # The squared distance is smooth at the centre; the distance itself is not.
    squared = (point - center).square().sum(-1) / radius**2
    return smooth_step((1.0 - squared) / (1.0 - PLATEAU**2))


@dataclass(frozen=True, eq=False)
class Surgery:
    """A local change of a model at one point: its value there and, if given, its state Jacobian.

    Arguments
        state: (n,) and action: (m,), the point (s, a).
        value: (n,), what the model must return there.
        radius: the radius > 0 of the ball in S × A outside which the model is not changed.
        jacobian: (n, n), the state Jacobian there; None keeps that of the base map.
    """

    state: Tensor
    action: Tensor
    value: Tensor
    radius: float
    jacobian: Tensor | None = None

    def __post_init__(self) -> None:
        positive_float("radius", self.radius)
        n = self.state.shape[-1]
        if self.value.shape != (n,) or (self.jacobian is not None and self.jacobian.shape != (n, n)):
            raise ShapeError(
                "value and jacobian",
                f"shapes ({n},) and ({n}, {n})",
                str([tuple(given.shape) for given in (self.value, self.jacobian) if given is not None]),
                "shape them like the state",
            )  # fmt: skip

    @property
    def center(self) -> Float[Tensor, " d"]:
        """The point (s, a) as one vector of length n + m."""
        return torch.cat([self.state, self.action])

    def excursion(self) -> float:
        """Return radius · ‖J‖₂, how far the linear term of Eq. (64) can carry the model for a constant base.

        The model then stays within this distance of the segment from the base's value to `value`: choose
        the radius below (distance of that segment to the boundary of S)/‖J‖₂, and the model maps into S.
        """
        if self.jacobian is None:
            return 0.0
        return self.radius * float(torch.linalg.matrix_norm(self.jacobian, 2))


class SurgeredModel:
    """A base map H with local changes; F = H + Σ_i ψ_i · ((y_i − H_i) + (J_i − ∇_s H_i)(s − s_i)).

    H_i and ∇_s H_i are taken at (s_i, a_i), ψ_i is the bump there.  Source: Eq. (64).

    Arguments
        base: H, a differentiable map from (..., n), (..., m) to (..., n).
        surgeries: the changes, whose balls must be disjoint.

    Raises
        ParameterError: if two balls overlap, for then neither value would be attained.
    """

    def __init__(self, base: Callable[[Tensor, Tensor], Tensor], surgeries: tuple[Surgery, ...]) -> None:
        for i, first in enumerate(surgeries):
            for second in surgeries[:i]:
                distance = float(torch.linalg.vector_norm(first.center - second.center))
                if distance < first.radius + second.radius:
                    raise ParameterError(
                        "surgeries", "disjoint balls",
                        f"centres {distance:.3g} apart with radii {first.radius:.3g} and {second.radius:.3g}",
                        "move the points apart or shrink the radii",
                    )  # fmt: skip
        self._base = base
        self._surgeries = surgeries
        self._corrections = tuple(_correction(base, surgery) for surgery in surgeries)

    def step(
        self, state: Float[Tensor, "*#batch n"], action: Float[Tensor, "*#batch m"]
    ) -> Float[Tensor, "*batch n"]:
        """Return F(s, a) for states (..., n) and actions (..., m)."""
        following = self._base(state, action)
        batch = np.broadcast_shapes(state.shape[:-1], action.shape[:-1])
        point = torch.cat([state.expand(*batch, -1), action.expand(*batch, -1)], dim=-1)
        for surgery, (offset, slope) in zip(self._surgeries, self._corrections, strict=True):
            change = offset + torch.einsum("ij,...j->...i", slope, state - surgery.state)
            following = following + bump(point, surgery.center, surgery.radius).unsqueeze(-1) * change
        return following


def constant(value: Float[Tensor, " n"]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the base map H(s, a) = value, with which `Surgery.excursion` bounds where a model maps to."""
    return lambda state, action: value.expand(
        *np.broadcast_shapes(state.shape[:-1], action.shape[:-1]), *value.shape
    )


def jacobian_pair(
    first: tuple[Tensor, Tensor, Tensor],
    second: tuple[Tensor, Tensor, Tensor],
    jacobians: tuple[Tensor, Tensor],
    radius: float,
) -> tuple[SurgeredModel, SurgeredModel]:
    """Return models F, G with equal values at two points and prescribed state Jacobians at the second one.

    Source: Eq. (63)–(64).

    Arguments
        first: (s_0, a_0, y_0): both models map (s_0, a_0) to y_0.
        second: (s_1, a_1, y_1): both map (s_1, a_1) to y_1.
        jacobians: (J_F, J_G), each (n, n), the state Jacobians at (s_1, a_1).
        radius: radius of the two balls; at most half the distance of the points.

    Raises
        ParameterError: if the points coincide or the balls overlap.
    """
    base = constant(second[2])
    at_first = Surgery(*first, radius)
    forward, backward = (
        SurgeredModel(base, (at_first, Surgery(*second, radius, jacobian))) for jacobian in jacobians
    )
    return forward, backward


@dataclass(frozen=True, eq=False)
class SwappedPair:
    """Models F, G that agree on every first step and exchange which second step reaches the goal.

    Source: Eq. (69)–(73): F(s_0, ·) = G(s_0, ·), F(s_0, u) = s_A, F(s_0, v) = s_B; from (s_A, a*) F reaches g
    and G does not, from (s_B, a*) G reaches g and F does not.

    Arguments
        initial_state: (n,), s_0; goal: (n,), g.
        actions: (u, v, a*), each (m,), u ≠ v.
        states: (s_A, s_B), each (n,); distinct and both different from s_0: the paper asks only for distinct
            states, but s_A = s_0 makes (69), (72) and (73) contradict each other.
        miss: (n,), where the other step leads instead; different from g.
    """

    initial_state: Tensor
    goal: Tensor
    actions: tuple[Tensor, Tensor, Tensor]
    states: tuple[Tensor, Tensor]
    miss: Tensor

    def __post_init__(self) -> None:
        u, v, _ = self.actions
        named = {
            "u and v": (u, v),
            "s_A and s_B": self.states,
            "s_A and s_0": (self.states[0], self.initial_state),
            "s_B and s_0": (self.states[1], self.initial_state),
            "miss and goal": (self.miss, self.goal),
        }
        for pair, (left, right) in named.items():
            if torch.equal(left, right):
                raise ParameterError(pair, "two different vectors", "equal ones", "move one of them")

    def radius(self) -> float:
        """Return a radius that keeps all balls disjoint, and the second steps' off every first step."""
        u, v, _ = self.actions
        s_a, s_b = self.states
        differences = (u - v, s_a - s_b, s_a - self.initial_state, s_b - self.initial_state)
        return HALF * min(float(torch.linalg.vector_norm(difference)) for difference in differences)

    def models(self) -> tuple[SurgeredModel, SurgeredModel]:
        """Return (F, G)."""
        u, v, then = self.actions
        s_a, s_b = self.states
        radius, base = self.radius(), constant(self.miss)
        shared = (Surgery(self.initial_state, u, s_a, radius), Surgery(self.initial_state, v, s_b, radius))
        return (
            SurgeredModel(base, (*shared, Surgery(s_a, then, self.goal, radius))),
            SurgeredModel(base, (*shared, Surgery(s_b, then, self.goal, radius))),
        )

    def decisions(self) -> tuple[Decision, Decision]:
        """Return z_A = (s_A, u, a*), feasible for F only, and z_B = (s_B, v, a*), feasible for G only."""
        u, v, then = self.actions
        return (self.states[0], u, then), (self.states[1], v, then)


def lifted_value(loss: Loss, model: Dynamics, initial_state: Tensor, decision: Decision) -> Float[Tensor, ""]:
    """Return L_F(s_1, a_0, a_1) = Φ(s_1, a_0, a_1, F(s_0, a_0), F(s_1, a_1)).  Source: Eq. (58)–(60)."""
    state, first, second = decision
    return loss(state, first, second, model.step(initial_state, first), model.step(state, second))


def state_gradient(
    loss: Loss, model: Dynamics, initial_state: Tensor, decision: Decision
) -> Float[Tensor, " n"]:
    """Return ∇_{s_1} L_F by differentiation; the chain rule (62) is what property 2 is about."""
    state, first, second = decision

    def value(free: Tensor) -> Tensor:
        return lifted_value(loss, model, initial_state, (free, first, second))

    gradient: Tensor = torch.func.grad(value)(state)
    return gradient


def separation(loss: Loss, pair: SwappedPair) -> TheoremCheck:
    """Compare how far Φ separates feasible from infeasible plans with how strongly it depends on y_1.

    Setting
        Horizon 2, s_0 and s_2 = g fixed, L_F(s_1, a_0, a_1) = Φ(s_1, a_0, a_1, y_0, y_1), y_0 = F(s_0, a_0),
        y_1 = F(s_1, a_1), Φ continuously differentiable.  F, G, z_A, z_B are those of `pair`.
    Statement
        Property 1 (for every model the minimisers are the feasible plans) implies L_F(z_A) < L_F(z_B) and
        L_G(z_B) < L_G(z_A), so D = L_F(z_B) − L_F(z_A) + L_G(z_A) − L_G(z_B) > 0.  But D is the integral
        of ∂Φ/∂y_1 along the segment from g to `miss`, at z_A and at z_B, so property 2, which forces
        ∂Φ/∂y_1 = 0, gives D = 0.  In numbers: somewhere on these segments ‖∂Φ/∂y_1‖ ≥ D/Δ, with Δ the sum of
        their lengths, and there the state gradient changes by ‖(J_F − J_G)ᵀ ∂Φ/∂y_1‖, which is D/Δ or more
        for a change of the state Jacobian by the identity.
    Source
        Theorem 5 (and Theorem 1), Eq. (58)–(74); the quantitative form is ours.
    Assumptions
        Φ is C¹; the segments lie in S (S convex, or R^n).
    Arguments
        loss: Φ, of vectors (n,), (m,), (m,), (n,), (n,).
        pair: the models and plans.
    Returns
        A record with computed = D and bound = the line integral, relation "=", and in `quantities`
        "first gap" = L_F(z_B) − L_F(z_A), "second gap" = L_G(z_A) − L_G(z_B) (property 1 needs both > 0),
        "sensitivity" = the largest ‖∂Φ/∂y_1‖ at the nodes, "least sensitivity" = D/Δ, "swap distance" = Δ.
    Raises
        ParameterError, ShapeError.
    """
    values = [
        [float(lifted_value(loss, model, pair.initial_state, decision)) for decision in pair.decisions()]
        for model in pair.models()
    ]
    first_gap, second_gap = values[0][1] - values[0][0], values[1][0] - values[1][1]
    fine, sensitivity = _swap_integral(loss, pair, LINE_NODES)
    coarse, _ = _swap_integral(loss, pair, LINE_NODES // 2)
    distance = 2.0 * float(torch.linalg.vector_norm(pair.miss - pair.goal))
    scale = float(np.abs(values).max()) + sensitivity * distance
    return TheoremCheck(
        computed=first_gap + second_gap,
        bound=fine,
        relation="=",
        allowance=abs(fine - coarse) + rounding_allowance(scale, LINE_NODES),
        assumptions={"Φ and ∂Φ/∂y_1 are finite": bool(np.isfinite([scale, fine]).all())},
        quantities={
            "first gap": first_gap,
            "second gap": second_gap,
            "sensitivity": sensitivity,
            "least sensitivity": (first_gap + second_gap) / distance,
            "swap distance": distance,
        },
    )


def _correction(base: Callable[[Tensor, Tensor], Tensor], surgery: Surgery) -> tuple[Tensor, Tensor]:
    """Return y − H(s, a) and J − ∇_s H(s, a) at the surgery's point."""
    offset = surgery.value - base(surgery.state, surgery.action)
    if surgery.jacobian is None:
        return offset, surgery.state.new_zeros(surgery.state.shape * 2)
    slope = torch.func.jacrev(base)(surgery.state, surgery.action)
    return offset, surgery.jacobian - slope


def _swap_integral(loss: Loss, pair: SwappedPair, nodes: int) -> tuple[float, float]:
    """Return ∫ ∂Φ/∂y_1 from g to `miss` at z_A plus that at z_B, and the largest ‖∂Φ/∂y_1‖ at the nodes."""
    abscissae, weights = np.polynomial.legendre.leggauss(nodes)
    direction = pair.miss - pair.goal
    fractions = torch.tensor(0.5 * (1.0 + abscissae), dtype=direction.dtype).unsqueeze(-1)
    slopes_at = torch.func.vmap(torch.func.grad(loss, argnums=4), in_dims=(None, None, None, None, 0))
    total, largest = 0.0, 0.0
    for (state, first, second), predicted in zip(pair.decisions(), pair.states, strict=True):
        slopes = slopes_at(state, first, second, predicted, pair.goal + fractions * direction)
        total += 0.5 * float(torch.tensor(weights, dtype=direction.dtype) @ (slopes @ direction))
        largest = max(largest, float(torch.linalg.vector_norm(slopes, dim=-1).max()))
    return total, largest
