"""Linear systems and random networks, whose goals are the ends of random slow plans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from experiments.worlds.world import Draw, Within, World, smooth_plans
from grasp_theory.dynamics import LinearDynamics, rollout
from linear_systems.examples import benchmarks


def _reachable(world: World, start: Tensor, generator: torch.Generator) -> Draw:
    """Return goals at the ends of random plans: the least loss is 0."""
    witness = smooth_plans(generator, len(start), world.horizon, world.actions)
    return Draw(start, rollout(world, start, witness)[:, -1], witness, torch.ones(len(start)))


@dataclass(frozen=True, kw_only=True)
class Linear(Within):
    """s' = A s + B a with A = r D Q D⁻¹, Q a random rotation, D diagonal from 1 to k, and B of orthonormal columns times 0.3.

    Arguments
        states, actions: n and m <= n.
        horizon: T.
        radius: r, the spectral radius: below 1 stable, above 1 unstable.
        stiffness: k, the condition number of D: how far A is from normal.
    """

    states: int = 16
    actions: int = 4
    horizon: int = 30
    radius: float = 1.0
    stiffness: float = 1.0
    reach: float = 0.3

    @cached_property
    def dynamics(self) -> LinearDynamics:
        """The matrices, in float32."""
        rng = np.random.default_rng(self.states)
        rotation = np.linalg.qr(rng.standard_normal((self.states, self.states)))[0]
        scale = np.geomspace(1.0, self.stiffness, self.states)
        A = self.radius * rotation * scale[:, None] / scale
        B = 0.3 * np.linalg.qr(rng.standard_normal((self.states, self.actions)))[0]
        return LinearDynamics(torch.tensor(A, dtype=torch.float32), torch.tensor(B, dtype=torch.float32))

    def step(self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch m"]) -> Tensor:
        """Return F(s, a)."""
        return self.dynamics.step(state, action)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return starts of length about 1."""
        start = torch.randn(count, self.states, generator=generator) / self.states**0.5
        return _reachable(self, start, generator)


@dataclass(frozen=True, kw_only=True)
class Benchmark(Within):
    """A named system of `linear_systems.examples`, its states in the units in which goals of random plans have variance 1.

    Arguments
        name: of the system.
        horizon: T.
    """

    name: str = "double_integrator"
    horizon: int = 30
    reach: float = 0.2

    @cached_property
    def dynamics(self) -> LinearDynamics:
        """The scaled matrices, in float32."""
        system = benchmarks.load(self.name).system
        A, B = torch.tensor(system.A), torch.tensor(system.B)
        plans = smooth_plans(torch.Generator().manual_seed(0), 500, self.horizon, B.shape[1]).double()
        ends = rollout(LinearDynamics(A, B), torch.zeros(500, len(A), dtype=A.dtype), plans)[:, -1]
        unit = ends.square().mean(0).sqrt()
        return LinearDynamics((A * unit / unit.unsqueeze(1)).float(), (B / unit.unsqueeze(1)).float())

    @property
    def states(self) -> int:
        """n."""
        return int(self.dynamics.A.shape[-1])

    @property
    def actions(self) -> int:
        """m."""
        return int(self.dynamics.B.shape[-1])

    def step(self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch m"]) -> Tensor:
        """Return F(s, a)."""
        return self.dynamics.step(state, action)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return goals reached from rest."""
        return _reachable(self, torch.zeros(count, self.states), generator)


@dataclass(frozen=True, kw_only=True)
class Network(Within):
    """s' = s + 0.2 (−s + g W tanh(s) + tanh(B a)), W and B random of entries N(0, 1/n) and N(0, 1/m).

    For g < 1/2 it contracts, as ‖W‖ ≈ 2; for g well above 1 large ones expand, with chaos in the limit (Sompolinsky,
    Crisanti and Sommers, 1988).

    Arguments
        states, actions: n and m.
        horizon: T.
        gain: g.
    """

    states: int = 32
    actions: int = 8
    horizon: int = 30
    gain: float = 0.4
    reach: float = 0.5

    @cached_property
    def weights(self) -> tuple[Tensor, Tensor]:
        """W and B."""
        generator = torch.Generator().manual_seed(self.states)
        inner = torch.randn(self.states, self.states, generator=generator) / self.states**0.5
        return inner, torch.randn(self.states, self.actions, generator=generator) / self.actions**0.5

    def step(self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch m"]) -> Tensor:
        """Return F(s, a)."""
        inner, outer = self.weights
        return state + 0.2 * (self.gain * state.tanh() @ inner.T + (action @ outer.T).tanh() - state)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return starts with entries of variance 1/4."""
        return _reachable(self, 0.5 * torch.randn(count, self.states, generator=generator), generator)
