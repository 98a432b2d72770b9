"""Tasks whose pictures spell the state out, and world models that are right or wrong in one known way.

With these every measure has a known answer: the latent is the true state itself, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.evaluation.sizes import Sizes
from grasp_theory.tasks.push_t.push_t import PushT
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.tasks.wall_single.wall_single import ACTION_LIMIT, WallSingle
from grasp_theory.world_models import Architecture, WorldModel

SIZE = 16
SMALL = Sizes(
    episodes=6, length=150, pairs=200, greedy=8, plans=12, evaluations=220,
    attacked=12, attack=200, resamples=100,
)  # fmt: skip


def _spelled_out(states: np.ndarray, size: int) -> np.ndarray:
    pictures = np.zeros((len(states), size * size * 3), dtype=np.uint8)
    data = np.ascontiguousarray(states, dtype="<f8").view(np.uint8).reshape(len(states), -1)
    pictures[:, : data.shape[1]] = data
    return pictures.reshape(len(states), size, size, 3)


class TellingWall(WallSingle):
    """WallSingle with the bytes of the state as pixels."""

    def render(self, states: np.ndarray, size: int = SIZE) -> np.ndarray:
        return _spelled_out(states, size)


class TellingPushT(PushT):
    """PushT with the bytes of the state as pixels."""

    def render(self, states: np.ndarray, size: int = SIZE) -> np.ndarray:
        return _spelled_out(states, size)


class StateModel(WorldModel):
    """The latent is the newest frame's state, the probe is exact, and nothing ever moves."""

    def __init__(self, task: Task, extra: int = 0) -> None:
        states = task.sample_states(np.random.default_rng(0), 1)
        super().__init__(
            Architecture(
                "flat", FRAMESKIP * task.action_dim, task.probe_targets(states).shape[1],
                frames=len(task.frame_offsets), image_size=SIZE, latent_dim=task.state_dim + extra,
                encoder_width=2, predictor_width=4, predictor_depth=1,
            )
        )  # fmt: skip
        self.task, self.extra = task, extra
        self.double().eval().requires_grad_(False)

    def encode(self, frames: Tensor) -> Tensor:
        count, entries = len(frames), self.task.state_dim
        data = np.ascontiguousarray(frames[:, 0].reshape(count, -1).numpy()[:, : 8 * entries])
        states = torch.from_numpy(data.view("<f8").copy())
        return torch.cat([states, states.new_zeros(count, self.extra)], dim=1)

    def probe(self, state: Tensor) -> Tensor:
        return torch.from_numpy(self.task.probe_targets(state[..., : self.task.state_dim].numpy()))

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + 0 * action.sum(-1, keepdim=True)


class GhostModel(StateModel):
    """WallSingle without its walls, with the actuator's limit."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        steps = action.unflatten(-1, (FRAMESKIP, 2))
        length = (steps.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        moved: Tensor = state + self.task.gain * (steps * (ACTION_LIMIT / length).clamp(max=1)).sum(-2)
        return moved


class PerfectModel(GhostModel):
    """The true physics of WallSingle, with the free motion's gradient; inside a wall it moves freely."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        free = super().step(state, action)
        return _Replace.apply(free, self._true(state, action, free.detach()))

    def _true(self, state: Tensor, action: Tensor, free: Tensor) -> Tensor:
        moved = free.flatten(0, -2).clone()
        states = state.detach().expand(free.shape).flatten(0, -2).numpy()
        actions = action.detach().flatten(0, -2).numpy().reshape(len(states), FRAMESKIP, 2)
        inside = np.flatnonzero(self.task.walls.free(states))
        moved[inside] = torch.from_numpy(self.task.simulate(states[inside], actions[inside])[:, -1])
        return moved.reshape(free.shape)


class BrittleModel(GhostModel):
    """A ghost with two more latent entries, 0 in every observation, that a step adds to the position `gain` times."""

    gain = 20.0

    def __init__(self, task: Task) -> None:
        super().__init__(task, extra=2)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        position = super().step(state[..., :2], action) + self.gain * state[..., 2:]
        return torch.cat([position, torch.zeros_like(position)], dim=-1)


class _Replace(torch.autograd.Function):
    """The value of the second argument with the gradient of the first."""

    @staticmethod
    def forward(context: Any, differentiable: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
