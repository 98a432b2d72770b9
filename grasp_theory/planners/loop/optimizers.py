"""Gradient steps and Adam's, on all rows at once and row by row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from grasp_theory.planners.loop.rows import Rowwise

OptimizerName = Literal["sgd", "adam"]


class SGD(Rowwise):
    """x ← x − lr · gradient."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, x: Tensor, gradient: Tensor, scale: float = 1.0) -> None:
        """Step x in place along −scale · gradient."""
        x.sub_(gradient, alpha=self.lr * scale)

    def reset(self) -> None:
        """Do nothing: gradient steps keep no state."""


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
