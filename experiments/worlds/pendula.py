"""Swinging up: a pendulum, a pole on a cart, and an acrobot, all from near rest at the bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.worlds.world import Draw, Within, uniform

SPEED = 3.0
"""Angular speeds are stored in units of this."""


def _pumped(
    world: Pendulum | CartPole | Acrobot, start: Tensor, control: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the actions (N, T, 1) of a feedback law and the states at their end."""
    state, actions = start, []
    for _ in range(world.horizon):
        actions.append(control(state).clamp(-1, 1).unsqueeze(-1))
        state = world.step(state, actions[-1])
    return torch.stack(actions, 1), state


def _turned(cosine: Tensor, sine: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    return cosine * angle.cos() - sine * angle.sin(), sine * angle.cos() + cosine * angle.sin()


@dataclass(frozen=True, kw_only=True)
class Pendulum(Within):
    """(cos θ, sin θ, ω/3): ω' = ω + δ (0.4 a − sin θ), θ' = θ + δ ω', with δ = 9/T; the goal is rest on top.

    A torque of 0.4 holds the pendulum no further than 24° from the bottom: it must swing away from the goal first.  The
    witness pumps energy and then holds.

    Arguments
        horizon: T.
    """

    horizon: int = 40
    reach: float = 0.3
    states, actions = 3, 1

    def step(self, state: Float[Tensor, "*batch 3"], action: Float[Tensor, "*batch 1"]) -> Tensor:
        """Return F(s, a)."""
        cosine, sine, speed = state.unbind(-1)
        time = 9.0 / self.horizon
        speed = SPEED * speed + time * (0.4 * action[..., 0] - sine)
        return torch.stack([*_turned(cosine, sine, time * speed), speed / SPEED], -1)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return swing-ups from near the bottom."""
        angle, speed = uniform(generator, count, -0.5, 0.5), uniform(generator, count, -0.1, 0.1)
        start = torch.stack([angle.cos(), angle.sin(), speed], 1)

        def control(state: Tensor) -> Tensor:
            cosine, sine, speed = state.unbind(-1)
            speed = SPEED * speed
            pump = 10 * speed * (1.0 - (speed.square() / 2 - cosine))
            return torch.where(cosine < -0.9, (2.5 * sine - 2 * speed) / 0.4, pump)

        witness, _ = _pumped(self, start, control)
        return Draw(start, torch.tensor([-1.0, 0.0, 0.0]).expand(count, 3), witness, torch.ones(count))


@dataclass(frozen=True, kw_only=True)
class CartPole(Within):
    """(x, ẋ, cos θ, sin θ, ω/3): the cart's acceleration is u = 0.5 a, and ω' = ω − δ (sin θ + u cos θ), with δ = 9/T.

    Goals are the states to which a pump brings the pole above the horizontal.

    Arguments
        horizon: T.
    """

    horizon: int = 40
    reach: float = 0.3
    states, actions = 5, 1

    def step(self, state: Float[Tensor, "*batch 5"], action: Float[Tensor, "*batch 1"]) -> Tensor:
        """Return F(s, a)."""
        place, velocity, cosine, sine, speed = state.unbind(-1)
        time, push = 9.0 / self.horizon, 0.5 * action[..., 0]
        velocity = velocity + time * push
        speed = SPEED * speed - time * (sine + push * cosine)
        turned = _turned(cosine, sine, time * speed)
        return torch.stack([place + time * velocity, velocity, *turned, speed / SPEED], -1)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return swing-ups from near the bottom to where the pump ends, if that is above the horizontal."""
        angle, gain = uniform(generator, count, -0.4, 0.4), uniform(generator, count, 1.0, 10.0)
        zero = torch.zeros(count)
        start = torch.stack([zero, zero, angle.cos(), angle.sin(), uniform(generator, count, -0.1, 0.1)], 1)

        def control(state: Tensor) -> Tensor:
            place, velocity, cosine, _, speed = state.unbind(-1)
            return -gain * SPEED * speed * cosine - 0.2 * place - 0.2 * velocity

        witness, end = _pumped(self, start, control)
        goal = torch.where((end[:, 2] < 0).unsqueeze(1), end, torch.inf)  # infinity: no problem
        return Draw(start, goal, witness, torch.ones(count))


@dataclass(frozen=True, kw_only=True)
class Acrobot(Within):
    """(cos θ₁, sin θ₁, cos θ₂, sin θ₂, ω₁/3, ω₂/3): two links of length 1 and a point mass 1 at each end, g = 1.

    θ₁ is from the bottom, θ₂ relative to the first link, and the torque a acts at the joint between them.  With
    M = [[3 + 2c₂, 1 + c₂], [1 + c₂, 1]] the accelerations are M⁻¹ (τ − C − G), by half-implicit steps of δ = 9/T.  Goals are
    the states to which a pump brings the tip above the hinge.

    Arguments
        horizon: T.
    """

    horizon: int = 60
    reach: float = 0.3
    states, actions = 6, 1

    def step(self, state: Float[Tensor, "*batch 6"], action: Float[Tensor, "*batch 1"]) -> Tensor:
        """Return F(s, a)."""
        cos_1, sin_1, cos_2, sin_2, speed_1, speed_2 = state.unbind(-1)
        speed_1, speed_2 = SPEED * speed_1, SPEED * speed_2
        time, cross, both = 9.0 / self.horizon, 1 + cos_2, sin_1 * cos_2 + cos_1 * sin_2
        first = sin_2 * speed_2 * (2 * speed_1 + speed_2) - 2 * sin_1 - both
        second = action[..., 0] - sin_2 * speed_1.square() - both
        determinant = 3 + 2 * cos_2 - cross.square()  # 2 − cos² θ₂
        speed_1 = speed_1 + time * (first - cross * second) / determinant
        speed_2 = speed_2 + time * ((3 + 2 * cos_2) * second - cross * first) / determinant
        first_turned = _turned(cos_1, sin_1, time * speed_1)
        second_turned = _turned(cos_2, sin_2, time * speed_2)
        return torch.stack([*first_turned, *second_turned, speed_1 / SPEED, speed_2 / SPEED], -1)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return swing-ups from near the bottom to where the pump ends, if the tip is above the hinge there."""
        angle, gain = uniform(generator, count, -0.3, 0.3), uniform(generator, count, 1.0, 6.0)
        other, zero = uniform(generator, count, -0.3, 0.3), torch.zeros(count)
        start = torch.stack([angle.cos(), angle.sin(), other.cos(), other.sin(), zero, zero], 1)

        def control(state: Tensor) -> Tensor:
            return gain * SPEED * state[..., 5]

        witness, end = _pumped(self, start, control)
        height = -end[:, 0] - (end[:, 0] * end[:, 2] - end[:, 1] * end[:, 3])
        goal = torch.where((height > 0).unsqueeze(1), end, torch.inf)  # infinity: no problem
        return Draw(start, goal, witness, torch.ones(count))
