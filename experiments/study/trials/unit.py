"""Units of work, and the key of everything that determines their rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

from experiments.study.code.closure import Choice, Closure, Code
from experiments.study.code.modules import Definition, Sources
from experiments.study.trials.own import case_of, digests, is_own, model_digest, study_of
from experiments.study.trials.settings import PLANNERS, Settings, make_planner
from grasp_theory import Planner, tasks, world_models
from grasp_theory.tasks.problems import Kind, Problems, Purpose
from grasp_theory.world_models import WorldModel, available, load_file, read_card
from linear_systems.errors import ParameterError

Mode = Literal["batch", "single", "mpc"]
"""How the problems of a unit are planned.

batch: side by side, each for the whole budget; the plan of least loss is returned.
single: one after the other, each until its first success in the model: what times are reported from.
mpc: in closed loop with the environment, replanning after every model step.
"""

BUDGET = 1500
"""Model steps that every planner may evaluate for a problem, for each step of its horizon; a gradient counts three."""

PROBLEM_SETS = Path(tasks.__file__).parent / "problem_sets"

_PACKAGES = ("linear_systems", "grasp_theory", "experiments")
_TRIAL = Definition("experiments.study.trials.trial", "planned_and_judged")


@dataclass(frozen=True)
class Unit:
    """Problems `first` to `first + count − 1` of a set, planned with one model, planner and seed.

    Arguments
        task, kind, horizon, purpose: name the problem set; T in model steps.  A task may be the file of one's own study.
        first, count: which of its problems.
        model: a shipped model, "task-kind-latent-seed", the path of your own without its ending, or "FILE:NAME" of a study.
        planner: a name in `PLANNERS`.
        settings: the planner's fields that differ from `make_planner`'s defaults, sorted.
        seed: of the planner's noise; problem i has its own stream, the same for every planner.
        mode: see `Mode`.
        budget: model steps that may be evaluated for a problem, for each step of the horizon.

    Raises
        ParameterError: for a word or a number out of range, or a setting that the planner refuses.
    """

    task: str
    kind: Kind | str
    horizon: int
    purpose: Purpose
    first: int
    count: int
    model: str
    planner: str
    settings: Settings
    seed: int = 0
    mode: Mode = "batch"
    budget: int = BUDGET

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ParameterError(
                "mode", f"one of {', '.join(get_args(Mode))}", repr(self.mode), "check the spelling"
            )
        if self.first < 0 or self.count < 1 or self.seed < 0 or self.budget < 1:
            found = f"first {self.first}, count {self.count}, seed {self.seed}, budget {self.budget}"
            raise ParameterError(
                "first, count, seed, budget",
                "first, seed >= 0 and count, budget >= 1",
                found,
                "whole numbers",
            )
        object.__setattr__(self, "settings", tuple(sorted(self.settings)))
        make_planner(self.planner, self.settings)  # refuses what the planner does not take

    @property
    def set_name(self) -> str:
        """The name of the problem set's file."""
        return f"{self.task}-{self.kind}-{self.horizon}-{self.purpose}"

    @property
    def settings_json(self) -> str:
        """The settings as canonical JSON."""
        return json.dumps(dict(self.settings), sort_keys=True)

    @property
    def indices(self) -> range:
        """The problems of the unit."""
        return range(self.first, self.first + self.count)

    def __str__(self) -> str:
        """Say what the unit is, for a person."""
        last = self.first + self.count - 1
        return f"{self.planner} on {self.set_name} {self.first}–{last}, {self.model}, {self.mode}"


def planner_of(unit: Unit) -> Planner:
    """Return the planner of a unit, within its budget."""
    return replace(make_planner(unit.planner, unit.settings), max_evaluations=unit.budget * unit.horizon)


def unit_key(unit: Unit) -> str:
    """Return the SHA-256 of the keys of the unit's trials, in order, and of how many are planned side by side."""
    return _sha256([*trial_keys(unit), str(unit.count)])


def trial_keys(unit: Unit) -> list[str]:
    """Return the SHA-256 of everything that determines each trial.

    That is the problem itself, the weights of the model and of its witness, the planner and its settings, the budget, the
    seed, the mode, and the code.
    Not the number of problems planned side by side, for rows do not depend on each other (up to rounding).
    """
    problems = hashes_of(unit)
    if unit.indices[-1] >= len(problems):
        raise ParameterError(
            "problems",
            f"at most {len(problems)}, as many as the set {unit.set_name} has",
            f"{unit.indices[-1] + 1}",
            f"--problems {len(problems)} or fewer, or make the set larger",
        )
    shared = [
        unit.planner,
        unit.settings_json,
        model_hash(unit.model),
        str(unit.seed),
        unit.mode,
        str(unit.budget),
        "" if (other := witness(unit.model)) is None else model_hash(other),
        code_digest(unit.planner, unit.task, unit.mode),
    ]
    return [_sha256([*shared, unit.set_name, str(i), problems[i]]) for i in unit.indices]


def hashes_of(unit: Unit) -> tuple[str, ...]:
    """Return the SHA-256 of each problem of a unit's whole set."""
    if is_own(unit.task):
        return digests(case_of(unit.task, unit.model, unit.kind, unit.horizon, unit.purpose))
    return problem_hashes(unit.set_name)


@cache
def problem_set(name: str) -> Problems:
    """Return a stored problem set.

    Raises
        ParameterError: if there is none of that name.
    """
    path = PROBLEM_SETS / f"{name}.npz"
    if not path.exists():
        raise ParameterError(
            "problem set", "one of grasp_theory/tasks/problem_sets", repr(name),
            "make it: python -m experiments problems TASK --out grasp_theory/tasks/problem_sets/NAME.npz",
        )  # fmt: skip
    return Problems.load(path)


@cache
def model_hash(name: str) -> str:
    """Return the SHA-256 of a model's weights."""
    if is_own(name.rpartition(":")[0]):
        return model_digest(name)
    digest = read_card(model_path(name)).sha256
    assert digest is not None  # of every stored card
    return digest


@cache
def stored_model(name: str) -> WorldModel:
    """Return a shipped model, or one of your own by its path."""
    return load_file(model_path(name))


@cache
def witness(name: str) -> str | None:
    """Return another training of the same recipe as a model, which is asked what it believes of its plans; or None."""
    path, _, own = name.rpartition(":")
    if is_own(path):
        names = study_of(path).models
        return f"{path}:{names[(names.index(own) + 1) % len(names)]}" if len(names) > 1 else None
    recipe = name.rpartition("-")[0]
    trainings = [card.name for card in available() if card.name.rpartition("-")[0] == recipe]
    if len(trainings) < 2 or name not in trainings:
        return None
    return trainings[(trainings.index(name) + 1) % len(trainings)]


def model_path(name: str) -> Path:
    """Return the path, without its ending, of a shipped model or of your own."""
    shipped = Path(world_models.__file__).parent / "shipped" / name
    return shipped if Path(f"{shipped}.json").exists() else Path(name)


@cache
def code_digest(planner: str, task: str, mode: str) -> str:
    """Return a digest of the code that a trial of a planner on a task can execute; see `experiments.study.code.closure`.

    It does not depend on the machine, on where definitions stand, on names of variables, comments, docstrings,
    annotations, what is refused or what errors say.
    """
    return trial_code(repository(), planner, task, mode).digest()


def trial_code(code: Code, planner: str, task: str, mode: str) -> Closure:
    """Return what a trial of a planner on a task can execute of the given sources, once it is asked for as a `Unit`."""
    alternatives = {planner: PLANNERS, mode: get_args(Mode)}
    if not is_own(task):  # the file of one's own study is part of its models' digests
        alternatives[task] = tasks.TASKS
    choices = [Choice(taken, frozenset(among)) for taken, among in alternatives.items()]
    return code.closure(_TRIAL, choices)


@cache
def repository() -> Code:
    """Return the sources of these packages as they are imported here."""
    return Code(Sources({name: Path(next(iter(import_module(name).__path__))) for name in _PACKAGES}))


@cache
def problem_hashes(name: str) -> tuple[str, ...]:
    """Return the SHA-256 of each problem of a stored set: of what is behind its pictures, and the horizon."""
    problems = problem_set(name)
    return tuple(
        hashlib.sha256(start.tobytes() + goal.tobytes() + str(horizon).encode()).hexdigest()
        for start, goal, horizon in zip(
            problems.start_history, problems.goal_history, problems.horizon, strict=True
        )
    )


def _sha256(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
