"""Between a task's true states and a model's latents: pictures in, decoded states out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.tasks.environment import sample_goals, sample_histories
from grasp_theory.tasks.task import FRAMESKIP, Task, stacked_frames
from grasp_theory.world_models import WorldModel
from linear_systems.errors import NonFiniteError, ParameterError

CHUNK = 256
"""Observations drawn and encoded at once."""


@runtime_checkable
class HasGeodesic(Protocol):
    """A task that knows the length of the shortest path to a goal."""

    def geodesic(
        self, states: Float[np.ndarray, "N S"], goals: Float[np.ndarray, "N S"]
    ) -> Float[np.ndarray, " N"]:
        """Return the length of the shortest path around the walls."""


@runtime_checkable
class HasBlock(Protocol):
    """A task with a body that moves only when it is pushed."""

    def block_moved(self, states: Float[np.ndarray, "N L+1 S"]) -> Bool[np.ndarray, " N"]:
        """Return whether the body moves in each window."""


@torch.no_grad()
def encode(model: WorldModel, task: Task, frames: Float[np.ndarray, "N K S"]) -> Float[Tensor, " N *S"]:
    """Return the latents of pictures of the true states behind stacked frames, newest first."""
    size, device = model.architecture.image_size, model.background.device
    chunks = [frames[at : at + CHUNK] for at in range(0, len(frames), CHUNK)]
    return torch.cat(
        [model.encode(torch.from_numpy(stacked_frames(task, chunk, size)).to(device)) for chunk in chunks]
    )


@torch.no_grad()
def probe(model: WorldModel, latents: Float[Tensor, " N *S"]) -> Float[np.ndarray, "N P"]:
    """Return the probed quantities of latents in float64.

    Raises
        NonFiniteError: if one is not finite.
    """
    targets: Float[np.ndarray, "N P"] = model.probe(latents).double().cpu().numpy()
    if not np.isfinite(targets).all():
        raise NonFiniteError(
            "model", "finite decoded states", "NaN or infinity", "see where its rollout diverges"
        )
    return targets


def decoded_states(task: Task, targets: Float[np.ndarray, "N P"]) -> Float[np.ndarray, "N S"]:
    """Return the states that probe targets tell: the inverse of `Task.probe_targets`.

    Probe targets are the components of the state in their order, an angle (a component in rad) as its cosine and
    sine; the angle returned is in (−π, π].

    Raises
        ParameterError: if the task's targets are not made that way.
    """
    angles = ["rad]" in name or "rad)" in name for name in task.state_names]
    if len(angles) + sum(angles) != targets.shape[1]:
        raise ParameterError(
            "targets", f"{len(angles) + sum(angles)} quantities for {task.state_names}", f"{targets.shape[1]}",
            "make probe_targets the state's components, angles as cosine and sine",
        )  # fmt: skip
    columns, at = [], 0
    for angle in angles:
        columns.append(np.arctan2(targets[:, at + 1], targets[:, at]) if angle else targets[:, at])
        at += 1 + angle
    return np.stack(columns, axis=1)


@torch.no_grad()
def pictures(task: Task, model: WorldModel, latents: Float[Tensor, " N *S"]) -> Float[np.ndarray, "N H W 3"]:
    """Return what latents look like, in [0, 1]: decoded, or, of centroids of colours, what the probe reads, drawn by the task.

    A decoder makes a blur of a few centroids, in which no angle shows.
    """
    if model.architecture.encoder == "colours":
        return task.render(decoded_states(task, probe(model, latents)), model.architecture.image_size) / 255
    decoded: Float[np.ndarray, "N H W 3"] = model.decode(latents).cpu().numpy()
    return decoded


def random_pairs(
    task: Task, rng: np.random.Generator, count: int
) -> tuple[Float[np.ndarray, "N K S"], Float[np.ndarray, "N K S"]]:
    """Return the frames' states of independent random states and of random goals at rest, newest first."""
    offsets = list(task.frame_offsets)
    return sample_histories(task, rng, count)[:, offsets], sample_goals(task, rng, count)[:, offsets]


def after_model_step(task: Task, path: Float[np.ndarray, "N L+1 S"]) -> Float[np.ndarray, "N K S"]:
    """Return the frames' states at the end of true paths of one model step.

    Raises
        ParameterError: if the frames reach back farther than that.
    """
    if max(task.frame_offsets) > FRAMESKIP:
        raise ParameterError(
            "task", f"frames within {FRAMESKIP} environment steps", f"{task.frame_offsets}",
            "keep the states before the step",
        )  # fmt: skip
    return path[:, [path.shape[1] - 1 - offset for offset in task.frame_offsets]]


def environment_actions(task: Task, actions: Float[Tensor, "N T m"]) -> Float[np.ndarray, "N L A"]:
    """Return the environment actions of model actions, first action first."""
    taken: Float[np.ndarray, "N L A"] = actions.double().cpu().numpy()
    return taken.reshape(len(taken), actions.shape[1] * FRAMESKIP, task.action_dim)
