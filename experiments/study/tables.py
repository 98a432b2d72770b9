"""What each table is made of: its cells, and the units that fill them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import sqrt
from typing import Any

from experiments.study.targets import AUTO, Target, Tuned, offline_model
from experiments.study.trials.own import is_own, study_of, world_of
from experiments.study.trials.settings import UNLIMITED, Settings, make_planner, settings_of
from experiments.study.trials.unit import BUDGET, Mode, Unit
from grasp_theory import GRASP
from linear_systems.errors import ParameterError

TABLES = ("1", "2", "3", "4", "5", "mpc", "tuning")
"""The paper's five, planning in closed loop, as users of world models run it, and what tuning by a model's own belief costs."""
OWN_TABLES = ("1", "2", "5", "tuning")
"""Those that a study of one's own has: planners, ablations of GRASP, GD with noise, ways of tuning."""
ROWS = {
    "CEM": "CEM", "LatCo": "LatCo", "GradientDescent": "GD", "GRASP": "GRASP",
    "MPPI": "MPPI", "ICEM": "iCEM", "CEMGD": "CEM-GD", AUTO: AUTO,
}  # fmt: skip
"""Planner -> its row: the paper's four, and after them those that it does not try."""
PRESETS = {"GRASP.paper": GRASP.paper, "GRASP.released": GRASP.released}
"""Rows with settings that are nobody's to tune."""
TUNING_SETS = (
    ("push_t", "trajectory", 4), ("push_t", "trajectory", 10),
    ("wall_single", "random", 4), ("wall_single", "random", 8), ("wall_single", "random", 16),
    ("point_maze", "trajectory", 4), ("point_maze", "random", 16),
)  # fmt: skip
"""Where planners are tuned; other sets take the settings of the nearest horizon in the same world."""
SETS: Mapping[str, Sequence[tuple[str, str, int]]] = {
    "1": [
        *(("push_t", "trajectory", steps) for steps in (8, 10, 12, 14, 16)),
        *(("wall_single", "random", steps) for steps in (8, 16)),
        ("point_maze", "random", 16),
        ("wall_single_long", "long", 24),
        ("point_maze_long", "long", 40),
    ],
    "3": [
        *(("push_t", "trajectory", steps) for steps in (2, 4, 6)),
        *(("point_maze", "trajectory", steps) for steps in (2, 4, 6)),
        *(("wall_single", "random", steps) for steps in (2, 4, 6)),
    ],
    "mpc": [("push_t", "trajectory", 8), ("point_maze", "random", 16), ("wall_single", "random", 8)],
}
"""Problem sets of the tables of planners; Table 4 is the times of Table 3.  H is 5 T environment steps.

A goal of `trajectory` problems is where an episode was T steps later, so T steps suffice.  PointMaze's ball is slow to
accelerate: in a few steps it is out of reach of random goals, whatever their lower bound says, and within reach of most
goals of trajectories without doing anything, which the reports count.
"""
ABLATED = [("push_t", "trajectory", 8), ("wall_single", "random", 8)]
"""Where Tables 2 and 5 vary one thing at a time: the paper's Push-T at H = 40, and a task that our models know well."""
SYNCS = (10, 25, 50, 100)
TIMED_CHUNK = 5


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Arguments
        row, column: as printed.
        problem_set: task, kind and T.
        planner, settings: what plans.
    """

    row: str
    column: str
    problem_set: tuple[str, str, int]
    planner: str
    settings: Settings


@dataclass(frozen=True)
class Profile:
    """How much is computed.

    Arguments
        problems: of each reporting set, planned side by side; of the long ones half.
        timed: of these, planned one at a time as well, with the first model.
        seeds: of the models' trainings; a model that there is not is left out.
        looped: of the problems, planned in closed loop.
        chunk: problems of a unit: what a killed run loses at most.
        budget: model steps that may be evaluated for a problem, for each step of the horizon.
        study: the file of one's own study, instead of our tasks.
        thin: whether to keep only the first and the last horizon of each task, no long sets, and one set to ablate on.
    """

    problems: int
    timed: int
    seeds: tuple[int, ...]
    looped: int = 50
    chunk: int = 50
    budget: int = BUDGET
    thin: bool = False
    study: str | None = None


FULL = Profile(problems=200, timed=20, seeds=(0, 1, 2))
QUICK = Profile(problems=6, timed=2, seeds=(0,), budget=120, thin=True)


def targets(number: str, profile: Profile) -> list[Target]:
    """Return what must be tuned for a table."""
    # Table 5 is compared with Table 2's full method.
    planners = {"2": ("GRASP",), "5": ("GRASP", "GradientDescent"), "tuning": SEARCHED}.get(
        number, tuple(ROWS)
    )
    return list(
        dict.fromkeys(
            Target(*(where if planner == AUTO else tuned_at(where)), planner)
            for where in sets(number, profile)
            for planner in planners
        )
    )


def tuned_at(where: tuple[str, str, int]) -> tuple[str, str, int]:
    """Return the set whose settings a set takes: the nearest in horizon in the same world, of its own kind if there are two."""
    task, kind, horizon = where
    if is_own(task):
        return where
    world = task.removesuffix("_long")
    near = [other for other in TUNING_SETS if other[0] == world]
    return min(near, key=lambda other: (abs(other[2] - horizon), other[1] != kind, other[2]))


def sets(number: str, profile: Profile) -> list[tuple[str, str, int]]:
    """Return the problem sets of a table of planners.

    Raises
        ParameterError: if there is no such table.
    """
    if profile.study is not None:
        if number not in OWN_TABLES:
            raise ParameterError(
                "table",
                f"one of {', '.join(OWN_TABLES)} with a study of one's own",
                repr(number),
                "1 compares planners",
            )
        own = [(profile.study, kind, steps) for kind, steps in study_of(profile.study).sets]
        return own if number == "1" else own[:1]
    if number not in TABLES:
        raise ParameterError(
            "table", f"one of {', '.join(TABLES)}", repr(number), "the paper's number, or mpc"
        )
    if number in ("2", "5", "tuning"):
        return ABLATED[:1] if profile.thin else list(ABLATED)
    every = SETS["3" if number == "4" else number]
    if not profile.thin:
        return list(every)
    ends: dict[str, list[tuple[str, str, int]]] = {}
    for where in (where for where in every if where[1] != "long"):
        ends.setdefault(where[0], []).append(where)
    return [where for group in ends.values() for where in dict.fromkeys((group[0], group[-1]))]


def cells(number: str, tuned: Tuned, profile: Profile) -> list[Cell]:
    """Return the cells of a table, on the problem sets for which all its planners are tuned (see `not_tuned`).

    Raises
        ParameterError: if there is no such table, or nothing of it is tuned.
    """
    lacking = not_tuned(number, tuned, profile)
    missing = {(target.task, target.kind, target.horizon) for target in lacking}
    there = [where for where in sets(number, profile) if not missing & {where, tuned_at(where)}]
    if not there:
        what = (
            f"--study {profile.study}"
            if profile.study
            else " ".join(dict.fromkeys(each.task for each in lacking))
        )
        raise ParameterError(
            "tuned.json", f"settings of all planners on a set of table {number}", f"none for {lacking[0].name}",
            f"python -m experiments tune {what}",
        )  # fmt: skip
    if number == "2":
        return [cell for where in there for cell in _grasp_variants(where, tuned)]
    if number == "5":
        return [cell for where in there for cell in _descent_variants(where, tuned)]
    if number == "tuning":
        return [cell for where in there for cell in _ways_of_tuning(where, tuned)]
    return [
        *(
            Cell(
                ROWS[planner],
                heading(where),
                where,
                planner.split(".")[0],
                best(Target(*where, planner), tuned),
            )
            for where in there
            for planner in ROWS
        ),
        *(Cell(row, heading(where), where, "GRASP", preset(row)) for where in there for row in PRESETS),
    ]


def not_tuned(number: str, tuned: Tuned, profile: Profile) -> list[Target]:
    """Return what a table needs and is not tuned."""
    return [target for target in targets(number, profile) if target.name not in tuned.entries]


def best(target: Target, tuned: Tuned) -> Settings:
    """Return the tuned settings of a target.

    Raises
        ParameterError: if it has not been tuned.
    """
    settings = tuned.settings(target)
    if settings is None:
        raise ParameterError(
            "tuned.json", f"settings of {target.name}", "none", f"python -m experiments tune {target.task}"
        )
    return settings


def preset(row: str) -> Settings:
    """Return the settings of a preset, whose iterations are no limit."""
    return settings_of(replace(PRESETS[row](), iterations=UNLIMITED))


def heading(where: tuple[str, str, int]) -> str:
    """Return a column's heading, in the paper's H environment steps."""
    task, kind, steps = where
    if is_own(task):
        return f"{title(task)} {kind} T={steps}"
    return f"{TITLES[task]}{' (long)' if kind == 'long' else ''} H={5 * steps}"


TITLES = {
    "push_t": "Push-T", "point_maze": "PointMaze", "wall_single": "WallSingle",
    "point_maze_long": "PointMaze", "wall_single_long": "WallSingle",
}  # fmt: skip


def title(task: str) -> str:
    """Return what a world is called in print."""
    return study_of(task).name if is_own(task) else TITLES[task]


def units(
    cells: Sequence[Cell], modes: Sequence[Mode], profile: Profile, models: Sequence[str]
) -> list[Unit]:
    """Return the units that fill cells, those of the first problems first; `models` are the names there are."""
    made: dict[Unit, None] = {}
    for first in range(0, profile.problems, profile.chunk):
        for mode in modes:
            for seed in profile.seeds:
                parts = [_units(cell, mode, profile, models, first, seed) for cell in cells]
                for turn in zip_longest(*parts):
                    made.update(dict.fromkeys(unit for unit in turn if unit is not None))
    return list(made)


def _units(
    cell: Cell, mode: Mode, profile: Profile, models: Sequence[str], first: int, seed: int
) -> list[Unit]:
    task, kind, horizon = cell.problem_set
    if is_own(task):
        names = study_of(task).models
        models = [f"{task}:{name}" for name in names]
        model = models[seed] if seed < len(names) else ""
    else:
        model = offline_model(task, seed)
    problems = {"single": profile.timed, "mpc": min(profile.looped, profile.problems)}.get(
        mode, profile.problems
    )
    if kind == "long" and not profile.thin and not is_own(task):
        problems = max(1, problems // 2)
    if model not in models or (mode == "single" and seed != profile.seeds[0]):
        return []
    kinds: Any = kind
    # Planners take turns every few problems, so that a busy minute of the machine does not fall on one of them.
    size = TIMED_CHUNK if mode == "single" else profile.chunk
    return [
        Unit(
            task,
            kinds,
            horizon,
            "reporting",
            at,
            min(size, problems - at),
            model,
            cell.planner,
            cell.settings,
            mode=mode,
            budget=profile.budget,
        )
        for at in range(first, min(first + profile.chunk, problems), size)
    ]


def modes(number: str) -> tuple[Mode, ...]:
    """Return how the trials of a table are planned."""
    if number == "mpc":
        return ("mpc",)
    if number == "tuning":
        return ("batch",)
    return ("single",) if number == "4" else ("batch", "single")


def _grasp_variants(where: tuple[str, str, int], tuned: Tuned) -> list[Cell]:
    """Return Table 2's rows: the tuned GRASP with one thing changed, and itself three times, as in the paper.

    The paper's best noise is its σ = 0.5; the labels say ours in that unit, twice the tuned σ.
    """
    ours = dict(best(Target(*where, "GRASP"), tuned))
    full = make_planner("GRASP", tuple(ours.items()))
    assert isinstance(full, GRASP)
    sigma, sync = full.state_noise, full.sync_every
    variants: dict[str, dict[str, Any]] = {"No Sync": {"sync_every": None}}
    variants |= {f"{k} (ours)" if k == sync else f"{k}": {"sync_every": k} for k in SYNCS}
    variants |= {
        "σ = 0.0": {"state_noise": 0.0}, "σ = 0.5 (ours)": {}, "σ = 1.0": {"state_noise": 2 * sigma},
        "Stop (ours)": {}, "Flow": {"stop_state_gradient": False},
    }  # fmt: skip
    return [_variant(row, where, "GRASP", ours | changed) for row, changed in variants.items()]


def _descent_variants(where: tuple[str, str, int], tuned: Tuned) -> list[Cell]:
    """Return Table 5's rows: the tuned GD with the noise and the loss of each, not tuned anew, and the tuned GD itself.

    The paper's σ are variances (Eq. (107)): of the actions in units of the task's bounds, of the latent's entries in units
    of their standard deviation over the data.
    """
    ours = dict(best(Target(*where, "GradientDescent"), tuned))
    scale = world_of(where[0]).action_high
    found = [_variant("tuned", where, "GradientDescent", ours)]
    for mode, objective in (("default", "last"), ("all", "all")):
        for label, state, action in _NOISES:
            changed = {
                "objective": objective, "state_noise": round(sqrt(state), 3),
                "action_noise": round(scale * sqrt(action), 3),
            }  # fmt: skip
            # Noised rollouts are not the model's own: plans are judged apart, as often as the others are.
            if state:
                changed["check_every"] = 1
            found.append(_variant(f"{mode}: {label}", where, "GradientDescent", ours | changed))
    return found


SEARCHED = tuple(planner for planner in ROWS if planner != AUTO)
"""Planners that are tuned by trials."""


def _ways_of_tuning(where: tuple[str, str, int], tuned: Tuned) -> list[Cell]:
    """Return each planner as the model's witness tunes it, and as the model's own belief would."""
    target = {planner: Target(*where, planner) for planner in SEARCHED}
    return [
        Cell(f"{ROWS[planner]}{words}", heading(where), where, planner, settings)
        for planner in SEARCHED
        for words, by in (("", "settings"), (", own belief", "own_settings"))
        if (settings := tuned.settings(target[planner], by=by)) is not None
    ]


_NOISES = (
    ("σ_s = 0.0", 0.0, 0.0), ("σ_s = 0.5", 0.5, 0.0), ("σ_s = 1.0", 1.0, 0.0),
    ("σ_a = 0.0", 0.0, 0.0), ("σ_a = 0.5", 0.0, 0.5), ("σ_a = 1.0", 0.0, 1.0), ("σ_s = 0.5, σ_a = 0.5", 0.5, 0.5),
)  # fmt: skip
"""Table 5's rows.  Its σ_s = 0 and σ_a = 0 are one setting, for which it prints two different rates."""


def _variant(row: str, where: tuple[str, str, int], planner: str, settings: Mapping[str, Any]) -> Cell:
    return Cell(
        row, heading(where), where, planner, settings_of(make_planner(planner, tuple(settings.items())))
    )
