"""Behaviour data: episodes of true states and actions, stored compactly; their pictures are drawn again on use.

A picture is a function of the state (see `Task.render`), so an episode file holds states and actions only, about
a hundredth of its pictures' bytes.  Training sees the pictures alone; states are for probes and evaluation.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from rich.progress import track

from experiments.pieces import piece
from grasp_theory.tasks.task import FRAMESKIP, Task, stacked_frames

SHARD = 250
"""Episodes in one file: what a killed collection loses at most."""
FORMAT = 1
Arrays = tuple[Float[np.ndarray, "N L1 S"], Float[np.ndarray, "N L A"]]
"""The states and actions of episodes."""


@dataclass(frozen=True, eq=False)
class Episodes:
    """N episodes of L environment steps of one task.

    Arguments
        task: the task.
        states: (N, L+1, S) true states.
        actions: (N, L, A) environment actions.
    """

    task: Task
    states: Float[np.ndarray, "N L1 S"]
    actions: Float[np.ndarray, "N L A"]

    @property
    def first(self) -> int:
        """The first environment step at which every stacked frame lies within the episode."""
        return -(-max(self.task.frame_offsets) // FRAMESKIP) * FRAMESKIP

    @property
    def model_states(self) -> Float[np.ndarray, "N M S"]:
        """The true states at model steps 0..M-1, from `first` on."""
        return self.states[:, self.first :: FRAMESKIP]

    @property
    def model_actions(self) -> Float[np.ndarray, "N M1 m"]:
        """The M-1 model actions between them: FRAMESKIP environment actions in a row, (N, M-1, FRAMESKIP·A)."""
        count = self.model_states.shape[1] - 1
        actions = self.actions[:, self.first : self.first + count * FRAMESKIP]
        stacked: Float[np.ndarray, "N M1 m"] = actions.reshape(len(actions), count, -1)
        return stacked

    def observations(
        self, episodes: Int[np.ndarray, "*batch"], steps: Int[np.ndarray, "*batch"], size: int
    ) -> UInt8[np.ndarray, "*batch K size size 3"]:
        """Draw the stacked frames, newest first, at model steps of episodes."""
        return stacked_frames(self.task, frame_states(self, episodes, steps), size)


def frame_states(
    episodes: Episodes, which: Int[np.ndarray, "*batch"], steps: Int[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch K S"]:
    """Return the true states behind the stacked frames at model steps of episodes."""
    times = episodes.first + FRAMESKIP * steps[..., None] - np.array(episodes.task.frame_offsets)
    states: Float[np.ndarray, "*batch K S"] = episodes.states[which[..., None], times]
    return states


def collect(
    task: Task,
    *,
    episodes: int,
    length: int,
    seed: int,
    folder: Path,
    mixture: Mapping[str, float],
) -> Episodes:
    """Return episodes of the task's behaviour policies, made now or read from `folder`.

    Episodes come in shards of `SHARD`, each seeded by (task, seed, mixture, shard) and written atomically: a killed
    collection goes on where it stopped, and more episodes with the same seed begin with the same ones.

    Arguments
        task: the task.
        episodes: N >= 1.
        length: L, environment steps of an episode.
        seed: of the random numbers.
        folder: where the shards lie; made if it is missing.
        mixture: share of each behaviour policy, such as `task.mixtures["offline"]`.

    Raises
        ParameterError: if a stored shard is damaged or was made with other settings.
    """
    shards = []
    for shard in track(range(-(-episodes // SHARD)), description=f"{task.name}: episodes", transient=True):
        settings = {
            "format": FORMAT, "task": task.name, "length": length, "seed": seed, "shard": shard,
            "mixture": dict(sorted(mixture.items())),
        }  # fmt: skip
        rng = np.random.default_rng([seed, shard, _digest(settings)])

        def make(rng: np.random.Generator = rng) -> Arrays:
            return task.behaviour(rng, task.sample_states(rng, SHARD), length, mixture=mixture)

        shards.append(stored(folder, settings, shard, make))
    states = np.concatenate([shard[0] for shard in shards])[:episodes]
    actions = np.concatenate([shard[1] for shard in shards])[:episodes]
    return Episodes(task, states, actions)


def stored(folder: Path, settings: Mapping[str, object], number: int, make: Callable[[], Arrays]) -> Arrays:
    """Return states and actions made by `make`, now or in an earlier run: they are stored in one piece.

    Arguments
        folder: where the file lies; made if it is missing.
        settings: everything that the arrays depend on, with "task", as JSON holds it.
        number: of the file among those that belong together.

    Raises
        ParameterError: if a stored file is damaged or was made with other settings.
    """
    path = folder / f"{settings['task']}_{_digest(settings):08x}_{number:04d}.npz"

    def named() -> dict[str, np.ndarray]:
        return dict(zip(("states", "actions"), make(), strict=True))

    arrays = piece(path, settings, named)
    return arrays["states"], arrays["actions"]


def _digest(settings: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(settings, sort_keys=True).encode())
