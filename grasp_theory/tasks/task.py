"""What data collection, training, evaluation and problem sets need of a task, batched and with settable states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8

from grasp_theory.action_sets import ActionSet

FRAMESKIP = 5
"""Environment steps in one model step: a model action stacks this many environment actions."""


@runtime_checkable
class Task(Protocol):
    """One visual task: its true physics, its pictures and its success, on batches of N states.

    A state determines the future; a picture may not: where one frame does not show the state, a model sees
    the frames of `frame_offsets` environment steps ago, stacked.
    """

    name: str
    """`wall_single`, `point_maze` or `push_t`; sets and models are stored under it."""
    state_dim: int
    """S: length of a state."""
    action_dim: int
    """Length of one environment action (2 in all three tasks)."""
    action_low: float
    """Smallest value that every component of an environment action may take."""
    action_high: float
    """Largest value that every component of an environment action may take."""
    action_set: ActionSet
    """What the world does as told, of model actions: stacked environment actions in the same units.  Planners plan in it."""
    frame_offsets: tuple[int, ...]
    """How many environment steps ago each stacked frame was taken, newest first: (0,) for one frame."""
    state_names: tuple[str, ...]
    """What each component of a state is, with its unit."""
    probe_names: tuple[str, ...]
    """What each component of `probe_targets` is, with its unit."""
    action_unit: str
    """What an action component of 1 does."""
    mixtures: Mapping[str, Mapping[str, float]]
    """Shares of the behaviour policies by name: "offline" for behaviour data, "robust" for contacts and saturation; Push-T
    also has "diverse", with actions as jerky as planners'."""

    def simulate(
        self, states: Float[np.ndarray, "N S"], actions: Float[np.ndarray, "N L A"]
    ) -> Float[np.ndarray, "N L+1 S"]:
        """Return the true states before, between and after L environment steps of each row."""

    def sample_states(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "N S"]:
        """Return valid random states (never inside a wall or another body)."""

    def behaviour(
        self,
        rng: np.random.Generator,
        states: Float[np.ndarray, "N S"],
        length: int,
        *,
        mixture: Mapping[str, float],
    ) -> tuple[Float[np.ndarray, "N L+1 S"], Float[np.ndarray, "N L A"]]:
        """Return the states and actions of N episodes, each by one policy drawn with the shares of the mixture."""

    def render(self, states: Float[np.ndarray, "N S"], size: int = 64) -> UInt8[np.ndarray, "N size size 3"]:
        """Return one picture a state."""

    def distance(
        self, states: Float[np.ndarray, "N S"], goals: Float[np.ndarray, "N S"]
    ) -> Float[np.ndarray, " N"]:
        """Return the task's own distance to the goal, in the task's units (straight, ignoring walls)."""

    def success(
        self, states: Float[np.ndarray, "N S"], goals: Float[np.ndarray, "N S"]
    ) -> Bool[np.ndarray, " N"]:
        """Return whether each state is a success for its goal."""

    def shortest_steps(
        self, states: Float[np.ndarray, "N S"], goals: Float[np.ndarray, "N S"]
    ) -> Float[np.ndarray, " N"]:
        """Return a lower bound on the number of model steps to success, from the geodesic distance; not always whole."""

    def probe_targets(self, states: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N P"]:
        """Return what a state probe is trained to tell, wrap-free: an angle as its cosine and sine."""

    def state_errors(
        self, targets: Float[np.ndarray, "N P"], states: Float[np.ndarray, "N S"]
    ) -> dict[str, Float[np.ndarray, " N"]]:
        """Return named errors of decoded probe targets against true states, in the task's units."""


def stacked_frames(
    task: Task, states: Float[np.ndarray, "*batch K S"], size: int
) -> UInt8[np.ndarray, "*batch K size size 3"]:
    """Draw one picture for each state of a stack of states."""
    pictures = task.render(states.reshape(-1, states.shape[-1]), size)
    return pictures.reshape(*states.shape[:-1], size, size, 3)
