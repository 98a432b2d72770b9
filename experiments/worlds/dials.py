"""Dials that turn on any world: copies of it side by side, more state dimensions, gradients that mislead, ripples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.worlds.world import Draw, World
from grasp_theory.dynamics import rollout


@dataclass(frozen=True)
class _Turned:
    """What a world keeps whatever dial is turned.

    Arguments
        world: the world.
    """

    world: World

    @property
    def actions(self) -> int:
        """m."""
        return self.world.actions

    @property
    def horizon(self) -> int:
        """T."""
        return self.world.horizon


@dataclass(frozen=True)
class Copies(_Turned):
    """c independent copies of a world, all of which must reach their goals by one plan: c times the dimensions.

    Arguments
        world: the world.
        copies: c.
    """

    copies: int

    @property
    def states(self) -> int:
        """c n."""
        return self.copies * self.world.states

    @property
    def actions(self) -> int:
        """c m."""
        return self.copies * self.world.actions

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return F of each copy."""
        return self.world.step(self._apart(state), self._apart(action)).flatten(-2)

    def reached(self, state: Float[Tensor, "N cn"], goal: Float[Tensor, "N cn"]) -> Bool[Tensor, " N"]:
        """Return whether all copies are within reach."""
        each = self.world.reached(self._apart(state).flatten(0, 1), self._apart(goal).flatten(0, 1))
        return each.view(-1, self.copies).all(1)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return c problems of the world as one; the slowest needs the most steps."""
        one = self.world.draw(count * self.copies, generator)
        witness = one.witness.view(count, self.copies, self.horizon, -1).transpose(1, 2).flatten(2)
        least = one.least.view(count, self.copies).amax(1)
        return Draw(one.start.reshape(count, -1), one.goal.reshape(count, -1), witness, least)

    def _apart(self, joined: Tensor) -> Tensor:
        return joined.reshape(*joined.shape[:-1], self.copies, -1)


@dataclass(frozen=True)
class Lifted(_Turned):
    """A world seen in more dimensions, with state gradients that mislead beside the states that it can be in.

    z = Q s + N y with [Q N] orthonormal columns and y of n entries (n' >= 2n); the step is

        F(z, a) = Q [f(Qᵀz, a) + (κ/10) sin(10 Nᵀz)].

    States that are reached have y = 0, where the step is that of the world, exactly, and so are the gradients of rollouts.
    Off them by y the prediction moves by κ y: the step is right to κ ‖y‖, its state-Jacobian wrong by κ.  Whoever follows
    state gradients finds that a small defect buys a large jump.  Distances are those of the world.

    Arguments
        world: the world.
        states: n', at least 2n.
        adversary: κ; 0 is no more than an embedding.
    """

    states: int
    adversary: float = 0.0

    @cached_property
    def frame(self) -> Float[Tensor, "m 2n"]:
        """[Q N]."""
        generator = torch.Generator().manual_seed(self.states)
        frame: Tensor = torch.linalg.qr(torch.randn(self.states, 2 * self.world.states, generator=generator))[
            0
        ]
        return frame

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return F(z, a)."""
        seen, beside = (state @ self.frame).chunk(2, -1)
        following = self.world.step(seen, action)
        if self.adversary:
            following = following + 0.1 * self.adversary * (10 * beside).sin()
        return self._up(following)

    def reached(self, state: Tensor, goal: Tensor) -> Tensor:
        """Return whether the world's own states are within reach."""
        return self.world.reached(self._down(state), self._down(goal))

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return the world's problems, embedded."""
        one = self.world.draw(count, generator)
        return Draw(self._up(one.start), self._up(one.goal), one.witness, one.least)

    def _up(self, states: Tensor) -> Tensor:
        return states @ self.frame[:, : self.world.states].T

    def _down(self, states: Tensor) -> Tensor:
        return states @ self.frame[:, : self.world.states]


@dataclass(frozen=True)
class Rippled(_Turned):
    """A world whose step has ripples: F(s, a) + (κ/50) sin(50 s): right to κ/50, its state-Jacobian off by up to κ.

    The ripples are the world's own.  They make its rollouts, and the loss over actions, jagged: over T steps a gradient
    may grow by (1 + κ)^T.  Goals are the ends of the rippled rollouts of the world's witnesses.

    Arguments
        world: the world.
        ripple: κ.
    """

    ripple: float

    @property
    def states(self) -> int:
        """n."""
        return self.world.states

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return F(s, a) with its ripple."""
        return self.world.step(state, action) + self.ripple / 50 * (50 * state).sin()

    def reached(self, state: Tensor, goal: Tensor) -> Tensor:
        """Return whether each state is within reach of its goal."""
        return self.world.reached(state, goal)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return the world's starts, and where its witnesses end here."""
        one = self.world.draw(count, generator)
        end = rollout(self, one.start, one.witness)[:, -1]
        return Draw(one.start, end, one.witness, torch.ones(count))
