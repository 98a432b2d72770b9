"""A study of one's own: models, problems and a world in one Python file, for `table`, `tune` and `status --study FILE`."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.study.trials.judge import noise_seeds
from grasp_theory import PlanningProblem
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import Task
from linear_systems.annotations import shown, takes
from linear_systems.errors import InvalidInputError, ParameterError

ENDING = ".py"


@dataclass(frozen=True, eq=False)
class Case:
    """The problems of one set, as one model sees them, and the world.

    Arguments
        problem: B problems, with `reached`.
        replay: (actions (N, T, m), rows (N,)) -> (N,), whether the actions reach the goal in the world from the start of
            problems number `rows`.
    """

    problem: PlanningProblem
    replay: Callable[[Tensor, Tensor], Tensor | Bool[np.ndarray, " N"]]


@dataclass(frozen=True)
class Study:
    """What `STUDY` in the file is.

    Arguments
        name: of the world, as tables print it.
        models: the names of several trainings of the model: planners are tuned on the first, and the second judges its plans.
        sets: (kind, T) of each problem set: a word and a number of steps.
        case: (model, kind, T, purpose) -> `Case`; the purpose is "tuning" or "reporting", and the problems of the two must
            differ.  The same problems for every model, in the same order.
        action_scale: how large actions are, in their own unit: step sizes and noise are drawn in units of it.

    Raises
        ParameterError: names or sets that are none, double, or not words and counts.
    """

    name: str
    models: tuple[str, ...]
    sets: tuple[tuple[str, int], ...]
    case: Callable[[str, str, int, str], Case]
    action_scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.models, tuple | list) or not all(
            isinstance(each, tuple | list) and len(each) == 2 for each in self.sets
        ):
            raise ParameterError(
                "models, sets", "a tuple of names and one of pairs (kind, T)", f"{self.models!r}, {self.sets!r}",
                'a comma after a single one: ("net0",) and (("near", 8),)',
            )  # fmt: skip
        for field, values in (("models", self.models), ("sets", [kind for kind, _ in self.sets])):
            if not values or not all(isinstance(each, str) and re.fullmatch(r"\w+", each) for each in values):
                raise ParameterError(
                    field, "one or more, named by a word each", repr(values), "letters, digits and _"
                )
        if len(set(self.models)) < len(self.models) or len(set(self.sets)) < len(self.sets):
            raise ParameterError(
                "models, sets", "each once", f"{self.models}, {self.sets}", "remove the second"
            )
        if not all(isinstance(steps, int) and steps > 0 for _, steps in self.sets):
            raise ParameterError("sets", "positive horizons", repr(self.sets), '("near", 8), for example')

    @property
    def action_high(self) -> float:
        """The scale of actions, by the name that tasks have for it."""
        return self.action_scale


def world_of(task: str) -> Task | Study:
    """Return a task by its name, or one's own study by its file.

    Raises
        ParameterError: there is none.
    """
    return study_of(task) if is_own(task) else by_name(task)


def is_own(task: str) -> bool:
    """Return whether a task is the file of one's own study."""
    return task.endswith(ENDING)


@cache
def study_of(path: str) -> Study:
    """Return `STUDY` of a file, which is run once in each process.

    Raises
        ParameterError: there is no such file, it raises an error, or has no `STUDY`.
    """
    hint = "STUDY = experiments.study.Study(...); docs/own_study.md has an example"
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise ParameterError("study", "the path of a Python file", path, hint)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        raise _of_the_file(path, "study", f"{path} to run", hint, error) from error
    found = getattr(module, "STUDY", None)
    if not isinstance(found, Study):
        raise ParameterError("study", f"STUDY in {path}, a Study", type(found).__name__, hint)
    return found


def _of_the_file(path: str, argument: str, expected: str, hint: str, error: Exception) -> ParameterError:
    """Return what a user's code raised as an error that says where: the line of the file, where it passed one.

    A typed error gives its own parts, so that there is one "expected", one "found" and one "Try".
    """
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    where = f", line {lines[-1]}" if lines else ""
    said, advice = str(error), hint
    if isinstance(error, InvalidInputError):
        said, advice = f"{error.argument} is to be {error.expected}, and is {error.found}", error.hint
    return ParameterError(argument, expected, f"{type(error).__name__}{where}: {said}", advice)


@cache
def case_of(task: str, model: str, kind: str, horizon: int, purpose: str) -> Case:
    """Return the problems of a set for a model, "FILE:NAME".

    Raises
        ParameterError: what the study's `case` returns is none, or has no goal region or another horizon; or it raises.
    """
    try:
        found = study_of(task).case(model.rpartition(":")[2], kind, horizon, purpose)
    except Exception as error:  # whatever the user's function raises
        raise _of_the_file(
            task, "case", f"a Case of {kind!r}, T = {horizon}, for {purpose}", "call it with these", error
        ) from error
    if not isinstance(found, Case):
        raise ParameterError("case", "a Case", type(found).__name__, "see experiments.study.Case")
    if found.problem.horizon != horizon:
        raise ParameterError(
            "case", f"problems of T = {horizon}", f"T = {found.problem.horizon}", "see experiments.study.Case"
        )
    if found.problem.reached is None:
        raise ParameterError("case", "problems with `reached`", "none", "see experiments.study.Case")
    if not takes(found.replay, 2):
        raise ParameterError(
            "case", "a `replay` of (actions, rows)", shown(found.replay), "lambda actions, rows: ..."
        )
    if purpose == "reporting" and set(digests(found)) & set(
        digests(case_of(task, model, kind, horizon, "tuning"))
    ):
        raise ParameterError(
            "case", "other problems for reporting than for tuning", "some of the same",
            "draw them with another seed for each purpose",
        )  # fmt: skip
    return found


@cache
def model_digest(model: str) -> str:
    """Return the SHA-256 of the study's file and, where the model is a torch module, of its parameters and buffers."""
    path = model.rpartition(":")[0]
    study = study_of(path)
    digest = hashlib.sha256(Path(path).read_bytes() + model.encode())
    network = case_of(path, model, *study.sets[0], "tuning").problem.model
    if isinstance(network, torch.nn.Module):
        for name, value in sorted(network.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def digests(case: Case) -> tuple[str, ...]:
    """Return the SHA-256 of each problem: start and goal as the model sees them, and the horizon."""
    problem = case.problem
    return tuple(
        hashlib.sha256(
            start.numpy().tobytes() + goal.numpy().tobytes() + str(problem.horizon).encode()
        ).hexdigest()
        for start, goal in zip(problem.initial_state.detach().cpu(), problem.goal.detach().cpu(), strict=True)
    )


@dataclass(frozen=True, eq=False)
class OwnJudge:
    """What a study's own world and model say of plans for some problems of a set; as `Judge` does for our tasks.

    Arguments
        case: the problems.
        indices: which of them.
    """

    case: Case
    indices: range

    def problem(self, seed: int) -> PlanningProblem:
        """Return the planning problem; problem i draws its noise from (seed, i) alone."""
        part = self.case.problem.part(slice(self.indices.start, self.indices.stop))
        return replace(part, seeds=noise_seeds(seed, self.indices))

    def reached(self, states: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"]) -> Bool[Tensor, " N"]:
        """Return who is at the goal in the model."""
        assert self.case.problem.reached is not None  # `case_of` sees to it
        return self.case.problem.reached(states, goals).bool()

    def model_distance(
        self, states: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"]
    ) -> Float[np.ndarray, " N"]:
        """Return the distance of states to goals, as the model measures it."""
        distance: Float[np.ndarray, " N"] = (states - goals).flatten(1).norm(dim=1).double().cpu().numpy()
        return distance

    def replay(
        self, actions: Float[Tensor, "N T m"]
    ) -> tuple[Bool[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Return success in the world at the end of plans, and no distance, which the study does not give.

        Raises
            ParameterError: `replay` returns something else than a truth value a problem, or raises.
        """
        try:
            true = np.asarray(self.case.replay(actions.detach(), torch.tensor(list(self.indices))))
        except Exception as error:  # whatever the user's function raises
            raise _of_the_file(
                "",
                "replay",
                f"to try actions {tuple(actions.shape)} of problems {self.indices}",
                "call it with such",
                error,
            ) from error
        if true.shape != (len(self.indices),) or true.dtype != bool:
            raise ParameterError(
                "replay",
                f"{len(self.indices)} truth values",
                f"{true.dtype} of shape {true.shape}",
                "return one for each problem",
            )
        return true, np.full(len(true), np.nan)
