"""Batched per-row state of a planner: compaction, evaluations and noise.  A row is one restart of one problem.

Rows advance in lockstep and independently of each other, so that a row's result depends neither on which
other rows are in the batch nor on when they leave it.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from grasp_theory.problem import PlanningProblem

NOISE_BLOCK_NUMBERS = 2**14
"""Normal numbers that a row draws at a time, at most, unless one draw needs more: it bounds both the calls
of the generators and the memory.  It depends on the size of one row alone, hence so does a row's noise."""
NOISE_BLOCK_DRAWS = 64
GRADIENT = 3
"""What a gradient counts in evaluations: one forward pass, and a backward pass of about two."""


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
        self.problem = problem
        self.initial_state = problem.initial_state.detach().repeat_interleave(restarts, 0)
        self.goal = problem.goal.detach().repeat_interleave(restarts, 0)
        self.actions = problem.start().repeat_interleave(restarts, 0)
        self.index = torch.arange(problem.batch * restarts, device=self.goal.device)
        self.generators = [
            torch.Generator(device=self.goal.device).manual_seed(int(seed))
            for first in seeds.tolist()
            for seed in torch.randint(
                2**62, (restarts,), generator=torch.Generator().manual_seed(int(first))
            ).tolist()
        ]
        self.evaluations = 0
        """Model steps evaluated for each row still planning; a gradient counts `GRADIENT` of them."""

    def count(self, steps: int, *, gradient: bool = False) -> None:
        """Count model steps that were evaluated for every row."""
        self.evaluations += GRADIENT * steps if gradient else steps

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
