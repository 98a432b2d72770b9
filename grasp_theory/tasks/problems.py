"""Problem sets: starts and goals in a file, the same for everyone, with how long each must take at least.

Tuning, reporting and training sets draw from separate random streams, so that no set contains another's problems;
a larger set begins with the problems of a smaller one of the same seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from grasp_theory.files import atomic_file, told
from grasp_theory.tasks import by_name
from grasp_theory.tasks.environment import depth, sample_goals, sample_histories
from grasp_theory.tasks.task import FRAMESKIP, Task
from linear_systems.checked import checked
from linear_systems.errors import InvalidInputError, ParameterError
from linear_systems.validation import positive_horizon, positive_integer

Kind = Literal["random", "trajectory", "long"]
Purpose = Literal["tuning", "reporting", "training"]

VERSION = 1
_BATCH = 64
"""Proposals drawn together; part of what a seed means."""
_PATIENCE = 200
"""Batches in a row without a single fit, after which a task is said not to supply such problems."""


class ProblemFileError(InvalidInputError):
    """A file does not hold a problem set, or not a valid one."""


@checked
@dataclass(frozen=True, eq=False)
class Problems:
    """N planning problems of one task; K frames a state, newest first, at the task's `frame_offsets`.

    No start is a success, and no problem's `shortest_steps` exceeds its horizon.

    Arguments
        task: name of the task.
        kind: `random`: random start, random goal at rest, in another room where walls divide the world.
            `trajectory`: the goal is where an episode of the offline mixture is `horizon` model steps after the start.
            `long`: as random, and shortest_steps >= horizon / 2.
        purpose: what the set may be used for.
        seed: of the set.
        start_history: (N, K, S) true states behind the frames of the start, newest first.
        goal_history: (N, K, S) the same of the goal.
        horizon: (N,) model steps.
        shortest_steps: (N,) lower bounds on the model steps to success, `Task.shortest_steps`.

    Raises
        ProblemFileError: if the parts do not fit together or an invariant above does not hold.
    """

    task: str
    kind: Kind
    purpose: Purpose
    seed: int
    start_history: Float[np.ndarray, "N K S"]
    goal_history: Float[np.ndarray, "N K S"]
    horizon: Int[np.ndarray, " N"]
    shortest_steps: Float[np.ndarray, " N"]

    def __post_init__(self) -> None:
        _check_words(self.kind, self.purpose)
        positive_integer("seed", self.seed, minimum=0)
        task = by_name(self.task, "task")
        count = len(self.horizon)
        stacked = (count, len(task.frame_offsets), task.state_dim)
        for name, shape, scalar in (
            ("start_history", stacked, np.float64),
            ("goal_history", stacked, np.float64),
            ("horizon", (count,), np.int64),
            ("shortest_steps", (count,), np.float64),
        ):
            value = getattr(self, name)
            if value.shape != shape or value.dtype != scalar:
                _refuse(name, f"{shape} of {scalar.__name__}", f"{value.shape} of {value.dtype}")
            if not np.isfinite(value).all():
                _refuse(name, "finite numbers", "NaN or infinity")
        if not count or (self.horizon < 1).any():
            _refuse("horizon", "at least one problem, each of at least one step", f"{self.horizon}")
        if task.success(self.starts, self.goals).any():
            _refuse("start_history", "starts that are no success", "one that is")
        steps = task.shortest_steps(self.starts, self.goals)
        if not np.allclose(self.shortest_steps, steps, rtol=1e-6, atol=1e-6):
            _refuse("shortest_steps", "the task's own lower bounds", "others")
        if not _fits(self.kind, self.shortest_steps, self.horizon).all():
            _refuse("shortest_steps", f"steps that fit the horizon and the kind {self.kind}", "others")

    def __len__(self) -> int:
        return len(self.horizon)

    @property
    def starts(self) -> Float[np.ndarray, "N S"]:
        """The states at the start."""
        return self.start_history[:, 0]

    @property
    def goals(self) -> Float[np.ndarray, "N S"]:
        """The states at the goal."""
        return self.goal_history[:, 0]

    def save(self, path: str | Path) -> None:
        """Write the set to a new compressed .npz file, whole or not at all; equal sets give equal bytes.

        Arguments
            path: of the file.

        Raises
            ParameterError: if the file exists or has another ending.
            PathError: if it cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz" or path.exists():
            hint = "choose another name"
            raise ParameterError("path", "a new file ending in .npz", f"{path.name}", hint)
        about = {name: getattr(self, name) for name in _WORDS}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        header = json.dumps({"version": VERSION, "sha256": _digest(about, arrays), **about})
        with told("path", path, "a file that can be written"), atomic_file(path) as file:
            np.savez_compressed(file, header=np.array(header), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Problems:
        """Read a set from a file and check all of it; runs no code from the file.

        Arguments
            path: of the file.

        Raises
            ProblemFileError: if the file is missing, damaged, of another version or not a valid set.
        """
        path = Path(path)
        try:
            # Opened here: numpy does not close a damaged archive that it opened itself.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            about = json.loads(str(arrays.pop("header")))
            version, digest = about.pop("version"), about.pop("sha256")
        except Exception as error:  # zipfile, zlib, json and numpy each have their own
            found = f"{type(error).__name__}: {error}"
            raise _file_error(path, "a readable problem set", found) from error
        if version != VERSION:
            raise _file_error(path, f"version {VERSION}", f"version {version}")
        if tuple(about) != _WORDS or tuple(arrays) != _ARRAYS:
            raise _file_error(path, f"the parts {_WORDS + _ARRAYS}", f"{(*about, *arrays)}")
        if _digest(about, arrays) != digest:
            raise _file_error(path, f"contents with SHA-256 {digest}", _digest(about, arrays))
        return cls(**about, **arrays)


_WORDS = ("task", "kind", "purpose", "seed")
_ARRAYS = ("start_history", "goal_history", "horizon", "shortest_steps")

Proposals = tuple[Float[np.ndarray, "N K S"], Float[np.ndarray, "N K S"]]


@runtime_checkable
class Rooms(Protocol):
    """A task whose walls divide the world into rooms."""

    def room(self, states: Float[np.ndarray, "N S"]) -> Int[np.ndarray, " N"]:
        """Return the room that each state lies in."""


@checked
def make_problems(
    task: str, kind: Kind, *, horizon: int, count: int, purpose: Purpose, seed: int = 0
) -> Problems:
    """Return a new problem set; see `Problems` for the kinds.

    Arguments
        task: name of the task.
        kind: `random`, `trajectory` or `long`.
        horizon: T >= 1, model steps of every problem.
        count: N >= 1, problems.
        purpose: `tuning`, `reporting` or `training`.
        seed: of the set.

    Raises
        ParameterError: for an unknown name, a count or seed out of range, or if the task hardly has such problems.
        HorizonError: if the horizon is no positive number of model steps.
    """
    chosen = by_name(task, "task")
    _check_words(kind, purpose)
    positive_horizon("horizon", horizon)
    positive_integer("count", count), positive_integer("seed", seed, minimum=0)
    rng = np.random.default_rng(_stream(task, kind, horizon, purpose, seed))
    propose = _PROPOSALS[kind]
    accepted: list[tuple[np.ndarray, ...]] = []
    supplied, misses, longest = 0, 0, 0.0
    while supplied < count:
        start, goal = propose(chosen, rng, horizon)
        open_ = ~chosen.success(start[:, 0], goal[:, 0])
        steps = chosen.shortest_steps(start[:, 0], goal[:, 0])
        fit = np.flatnonzero(open_ & _fits(kind, steps, horizon))
        accepted.append((start[fit], goal[fit], steps[fit]))
        longest = max(longest, float(steps[np.isfinite(steps)].max(initial=0)))
        supplied, misses = supplied + len(fit), 0 if len(fit) else misses + 1
        if misses == _PATIENCE:
            seen = f"none in {_PATIENCE * _BATCH} draws; the longest seen needs {longest:.1f} steps"
            hint = "choose another horizon, or the long variant of the task"
            raise ParameterError("horizon", f"one for which {task} has {kind} problems", seen, hint)
    start, goal, steps = (np.concatenate(part)[:count] for part in zip(*accepted, strict=True))
    return Problems(task, kind, purpose, seed, start, goal, np.full(count, horizon, dtype=np.int64), steps)


def _at_offsets(task: Task, histories: Float[np.ndarray, "N depth S"]) -> Float[np.ndarray, "N K S"]:
    return np.ascontiguousarray(histories[:, list(task.frame_offsets)])


def _random(task: Task, rng: np.random.Generator, horizon: int) -> Proposals:
    starts, goals = sample_histories(task, rng, _BATCH), sample_goals(task, rng, _BATCH)
    return _at_offsets(task, starts), _at_offsets(task, goals)


def _across(task: Task, rng: np.random.Generator, horizon: int) -> Proposals:
    """Propose random problems from one room to another, in a task that has rooms."""
    start, goal = _random(task, rng, horizon)
    if isinstance(task, Rooms):
        crossing = task.room(start[:, 0]) != task.room(goal[:, 0])
        return start[crossing], goal[crossing]
    return start, goal


def _trajectory(task: Task, rng: np.random.Generator, horizon: int) -> Proposals:
    past, ahead = depth(task) - 1, FRAMESKIP * horizon
    path, _ = task.behaviour(
        rng, task.sample_states(rng, _BATCH), past + ahead, mixture=task.mixtures["offline"]
    )
    backwards = path[:, ::-1]
    return _at_offsets(task, backwards[:, ahead:]), _at_offsets(task, backwards)


_PROPOSALS: dict[str, Callable[[Task, np.random.Generator, int], Proposals]] = {
    "random": _across,
    "trajectory": _trajectory,
    "long": _random,
}


def _fits(
    kind: Kind, steps: Float[np.ndarray, " N"], horizon: int | Int[np.ndarray, " N"]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return whether the lower bounds allow the horizon, and for `long` problems ask for half of it at least."""
    fits: np.ndarray[tuple[int], np.dtype[np.bool_]] = steps <= horizon
    return fits & (2 * steps >= horizon) if kind == "long" else fits


def _stream(task: str, kind: str, horizon: int, purpose: str, seed: int) -> np.random.SeedSequence:
    """Return the random stream of a set: its whole description, hashed, beside the seed."""
    words = np.frombuffer(sha256(f"{task}/{kind}/{horizon}/{purpose}".encode()).digest(), dtype="<u4")
    return np.random.SeedSequence([seed, *words.tolist()])


def _digest(about: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of everything in a set, the arrays' shapes and types included."""
    digest = sha256(json.dumps(about).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_words(kind: str, purpose: str) -> None:
    for name, word, words in (("kind", kind, get_args(Kind)), ("purpose", purpose, get_args(Purpose))):
        if word not in words:
            raise ParameterError(name, f"one of {', '.join(words)}", repr(word), "check the spelling")


def _refuse(argument: str, expected: str, found: str) -> None:
    raise ProblemFileError(argument, expected, found, "make the set with make_problems")


def _file_error(path: Path, expected: str, found: str) -> ProblemFileError:
    return ProblemFileError(
        "path", f"{path.name} to be {expected}", found, "make the set again or restore the file"
    )
