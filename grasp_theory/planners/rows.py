"""Batched per-row state of a planner: compaction, noise streams and optimisers.  A row is one restart of one problem.

Rows advance in lockstep and independently of each other, so that a row's result depends neither on which
other rows are in the batch nor on when they leave it.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grasp_theory.planners.problem import PlanningProblem

NOISE_BLOCK_NUMBERS = 2**14
"""Normal numbers that a row draws at a time, at most, unless one draw needs more: it bounds both the calls
of the generators and the memory.  It depends on the size of one row alone, hence so does a row's noise."""
NOISE_BLOCK_DRAWS = 64

OptimizerName = Literal["sgd", "adam"]


class Rowwise:
    """Holds rows: every tensor attribute has the row axis first, and every `Rowwise` attribute holds rows too."""

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drop all rows but those of `index`."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[index])
            elif isinstance(value, Rowwise):
                value.keep(index)


class Rows(Rowwise):
    """The rows still being planned: their problems, and a generator for each.

    Arguments
        problem: B problems.
        restarts: R rows for each.
        seeds: (B,) integers.
    """

    def __init__(self, problem: PlanningProblem, restarts: int, seeds: Int[Tensor, " B"]) -> None:
        assert problem.initial_actions is not None  # set by PlanningProblem
        self.problem = problem
        self.initial_state = problem.initial_state.detach().repeat_interleave(restarts, 0)
        self.goal = problem.goal.detach().repeat_interleave(restarts, 0)
        self.actions = problem.clip(problem.initial_actions.repeat_interleave(restarts, 0))
        self.index = torch.arange(problem.batch * restarts, device=self.goal.device)
        self.generators = [
            torch.Generator(device=self.goal.device).manual_seed(int(seed))
            for first in seeds.tolist()
            for seed in torch.randint(
                2**62, (restarts,), generator=torch.Generator().manual_seed(int(first))
            ).tolist()
        ]

    def __len__(self) -> int:
        return len(self.generators)

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drop all rows but those of `index`."""
        super().keep(index)
        self.generators = [self.generators[i] for i in index.tolist()]

    def noise(self, *shape: int) -> NormalStream:
        """Return a stream of standard normal tensors (rows, *shape)."""
        return NormalStream(self, shape)


class NormalStream(Rowwise):
    """Standard normal tensors (rows, *shape), drawn in blocks from each row's own generator."""

    def __init__(self, rows: Rows, shape: tuple[int, ...]) -> None:
        self._source = rows
        self._shape = shape
        numbers = max(1, torch.Size(shape).numel())
        self._block = max(1, min(NOISE_BLOCK_DRAWS, NOISE_BLOCK_NUMBERS // numbers))
        self._used = self._block
        self._buffer: Tensor | None = None

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drop all rows but those of `index`; the generators are compacted by their `Rows`."""
        if self._buffer is not None:
            self._buffer = self._buffer[index]

    def draw(self) -> Tensor:
        """Return the next (rows, *shape)."""
        if self._buffer is None or self._used == self._block:
            self._buffer = self._source.goal.new_empty(len(self._source), self._block, *self._shape)
            for row, generator in zip(self._buffer, self._source.generators, strict=True):
                row.normal_(generator=generator)
            self._used = 0
        self._used += 1
        return self._buffer[:, self._used - 1]


class SGD(Rowwise):
    """x ← x − lr · gradient."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, x: Tensor, gradient: Tensor, scale: float = 1.0) -> None:
        """Step x in place along −scale · gradient."""
        x.sub_(gradient, alpha=self.lr * scale)

    def reset(self) -> None:
        """Forget the past: there is none."""


class Adam(Rowwise):
    """Adam with the usual constants, elementwise and therefore row by row."""

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, lr: float) -> None:
        self.lr = lr
        self.reset()

    def reset(self) -> None:
        """Forget the moments."""
        self.steps = 0
        self.first: Tensor | None = None
        self.second: Tensor | None = None

    def step(self, x: Tensor, gradient: Tensor, scale: float = 1.0) -> None:
        """Step x in place for the gradient scale · gradient."""
        if self.first is None or self.second is None:
            self.first, self.second = torch.zeros_like(x), torch.zeros_like(x)
        if scale != 1.0:
            gradient = gradient * scale
        self.steps += 1
        self.first.lerp_(gradient, 1 - self.BETA_1)
        self.second.mul_(self.BETA_2).addcmul_(gradient, gradient, value=1 - self.BETA_2)
        correction = 1 - self.BETA_2**self.steps
        size = self.second.sqrt().mul_(correction**-0.5).add_(self.EPSILON)
        x.addcdiv_(self.first, size, value=-self.lr / (1 - self.BETA_1**self.steps))


def make_optimizer(name: OptimizerName, lr: float) -> SGD | Adam:
    """Return a fresh optimiser."""
    return Adam(lr) if name == "adam" else SGD(lr)


def squared_norm(differences: Float[Tensor, " rows *S"]) -> Float[Tensor, " rows"]:
    """Return the sum of squares over all axes but the first."""
    return differences.square().flatten(1).sum(1)
