"""Each stored plan as one row: what three models, a fourth, and cached transitions make of it, and whether it was true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
import torch
from rich.progress import track
from torch import Tensor

from experiments.episodes import Episodes, frame_states
from experiments.evaluation.observe import encode
from experiments.scripts.acceptance_plans import (
    MEASURED,
    SEEDS,
    Plans,
    Unit,
    given,
    judged,
    model_of,
    plans_of,
    problem_set,
)
from grasp_theory import PlanningProblem
from grasp_theory.files import atomic_file
from grasp_theory.tasks import by_name
from grasp_theory.trust.agreement import agreement
from grasp_theory.trust.density import Transitions
from grasp_theory.trust.evidence import evidence
from grasp_theory.world_models import WorldModel, load
from linear_systems.errors import ParameterError

NAMES = ("first", "second", "third")
"""The three models: first the one that planned, then the others by seed."""
KEYS = ("trial", "split", "planner", "model", "restart", "problem", "true")
CACHED = 4000
"""Transitions a model."""
EPISODES, LENGTH = 200, 200
"""Behaviour that transitions are drawn from; no training has seen it."""


@lru_cache(maxsize=16)
def transitions(task_name: str, seed: int) -> Transitions:
    """Return transitions of behaviour in a model's latents."""
    task, model = by_name(task_name), model_of(task_name, seed)
    rng = np.random.default_rng([seed, crc32(f"transitions/{task_name}".encode())])
    states = task.sample_states(rng, EPISODES)
    assert model.card is not None  # shipped
    mixture = task.mixtures[model.card.recipe.get("mixture", "offline")]  # that it was trained on
    episodes = Episodes(task, *task.behaviour(rng, states, LENGTH, mixture=mixture))
    which = rng.integers(EPISODES, size=CACHED)
    step = rng.integers(episodes.model_actions.shape[1], size=CACHED)
    return Transitions(
        model, encode(model, task, frame_states(episodes, which, step)),
        torch.from_numpy(episodes.model_actions[which, step]).float(),
        encode(model, task, frame_states(episodes, which, step + 1)),
    )  # fmt: skip


def rows_of(unit: Unit, folder: Path) -> pl.DataFrame:
    """Return the rows of a unit: its keys, `true`, and, of the plans that acceptance is measured on, the features.

    Those of the fourth model, the robust one, end in "robust".
    """
    plans = plans_of(unit, folder)
    count = len(plans.true)
    keys = {
        "trial": [unit.trial] * count, "split": [unit.split] * count, "planner": [unit.planner] * count,
        "model": [unit.model] * count, "restart": [unit.restart] * count,
        "problem": range(unit.rows.start, unit.rows.stop), "true": plans.true,
    }  # fmt: skip
    columns: dict[str, pl.Series] = {}
    if unit.model == 0 and unit.planner == MEASURED[unit.trial]:
        features = {**_features(unit, plans), "loss": torch.from_numpy(plans.loss)}
        columns = {name: pl.Series(values.float().numpy()) for name, values in features.items()}
    return pl.DataFrame({**keys, **columns}).with_columns(
        pl.col("model", "restart").cast(pl.Int8), pl.col("problem").cast(pl.Int32)
    )


def _features(unit: Unit, plans: Plans) -> dict[str, Tensor]:
    """Return the evidence for plans; what cached transitions say only of the first restart."""
    problems = problem_set(unit.trial, unit.split, unit.rows.stop)
    task = by_name(problems.task)
    idle = torch.zeros(len(plans.true), dtype=torch.int64)

    def view(model: WorldModel) -> PlanningProblem:
        return judged(task, model, given(task, model, problems, unit.rows, idle))

    seeds = (unit.model, *(seed for seed in SEEDS if seed != unit.model))
    views = [view(model_of(task.name, seed)) for seed in seeds]
    robust = view(load(task.name, kind="robust"))
    return facts(task.name, seeds, views, robust, torch.from_numpy(plans.actions), known=unit.restart == 0)


def facts(
    task: str,
    seeds: Sequence[int],
    views: Sequence[PlanningProblem],
    robust: PlanningProblem,
    actions: Tensor,
    *,
    known: bool = True,
) -> dict[str, Tensor]:
    """Return the evidence for N plans.

    Arguments
        task: its name.
        seeds: of the three models, that of the one that planned first.
        views: N problems as each of these judges them.
        robust: the same for the robust model.
        actions: (N, T, m).
        known: whether cached transitions are asked.
    """
    named = dict(zip(NAMES, views, strict=True))
    cached = dict(zip(NAMES, (transitions(task, seed) for seed in seeds), strict=True)) if known else {}
    found = evidence(actions, named, transitions=cached)
    return {**found, "distance robust": agreement({"robust": robust}, actions)["distance robust"]}


def table_of(units: Iterable[Unit], folder: Path, *, make: bool = True) -> pl.DataFrame:
    """Return the rows of all units; pieces are kept beside the plans.

    Arguments
        units: which.
        folder: of plans and pieces.
        make: whether plans that are missing are made, or left out.

    Raises
        ParameterError: nothing is there, and nothing is to be made.
    """
    frames = []
    for unit in track(list(units), description="acceptance: plans and evidence"):
        path = folder / unit.name.replace(".npz", ".parquet")
        if not make and not (folder / unit.name).exists():
            continue
        if not path.exists():
            rows = rows_of(unit, folder)
            with atomic_file(path) as file:
                rows.write_parquet(file)
        frames.append(pl.read_parquet(path))
    if not frames:
        raise ParameterError("plans", "a folder with finished plans", f"{folder}", "make them first")
    return pl.concat(frames, how="diagonal")
