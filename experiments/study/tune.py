"""Tuning: the same budget of trials for every planner, on tuning problems only, in each environment and horizon."""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import polars as pl
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from experiments.pieces import locked
from experiments.study.execute import Runner, execute, runner
from experiments.study.targets import AUTO, Target, damaged
from experiments.study.trials.own import world_of
from experiments.study.trials.settings import UNLIMITED, Scaled, Settings, make_planner, settings_of, untuned
from experiments.study.trials.store import Store, StoreError
from experiments.study.trials.trial import judge_of
from experiments.study.trials.unit import BUDGET, Unit, hashes_of, model_hash, unit_key
from grasp_theory import GRASP
from grasp_theory.trust.automatic import ASKED
from grasp_theory.workers import worker_pool
from linear_systems.errors import ParameterError

STARTUP = 4
"""Trials drawn at random before the estimator has a say; the same however long the study, so that it can be prolonged."""
HANDED = "handed over"
"""The attribute of a trial of a neighbour's settings."""
PATIENCE = 60.0
"""Seconds to wait for another process's write to the studies: on a busy machine one takes a while."""
LONGEST = 512 - len("-journal")
"""Bytes of a path that SQLite opens, at most."""
OWN = 0.01
"""How much more a plan counts in tuning that the model believes itself: it breaks ties."""


def tune(
    target: Target,
    store: Store,
    compute_units: Runner,
    *,
    trials: int,
    problems: int,
    budget: int = BUDGET,
    handed: Sequence[Settings] = (),
    progress: bool = True,
) -> Mapping[str, Any]:
    """Tune one planner for one set, going on with what the stored study already has; return the entry for `Tuned`.

    The study, which ends early where all plans are believed, is Optuna's tree-structured Parzen estimator, kept in
    `tuning.db` (SQLite) beside the rows.  Its first
    trial is the untuned default, and the sampler of trial k is seeded by (target, k), so that a study that was killed
    goes on as if it had not been.  A trial plans the first `problems` tuning problems with the first model; its value is
    the share of the returned plans that another training of the model believes (see `score`): the nearest to the truth that can be
    had without the world.

    After its own trials a target tries the best settings of its neighbours: a search of few trials often misses good
    settings that the search at another horizon has found.

    Arguments
        target: planner, task, kind and horizon.
        store: where rows and study lie.
        compute_units: computes the trial's unit.
        trials: of the study altogether, without those of `handed` settings.
        problems: of the tuning set.
        budget: model steps that a trial may evaluate for each step of the horizon.
        handed: best settings of its neighbours, of all rounds so far; those that have not been tried yet are tried.

    Raises
        ParameterError: if the model that the study was begun with has changed, or `tuning.db` is damaged.
        StoreError: while another process tunes the same.
    """
    if target.planner == AUTO:
        return set_by_itself(target)
    store.folder.mkdir(parents=True, exist_ok=True)
    with _alone(target, store.folder), _readable(store.folder), tuning_storage(store.folder) as storage:
        return _tune_alone(target, store, storage, compute_units, trials, problems, budget, handed, progress)


def set_by_itself(target: Target) -> Mapping[str, Any]:
    """Return the entry of `GRASP.auto` for a set: its settings come from the model alone, asked about 64 of its problems."""
    one = Unit(target.task, target.kind, target.horizon, "tuning", 0, 1, target.model, "GRASP", ())
    asked = min(ASKED, len(hashes_of(one)))
    unit = replace(one, count=asked)
    planner = replace(GRASP.auto(judge_of(unit, unit.model).problem(0)), iterations=UNLIMITED)
    return {
        "settings": dict(settings_of(planner)), "value": None, "trials": 0, "handed": 0, "problems": asked,
        "model_hash": model_hash(target.model),
    }  # fmt: skip


def _tune_alone(
    target: Target,
    store: Store,
    storage: optuna.storages.RDBStorage,
    compute_units: Runner,
    trials: int,
    problems: int,
    budget: int,
    handed: Sequence[Settings],
    progress: bool,
) -> Mapping[str, Any]:
    study = _study(target, storage, store.folder)
    fixed = {"model_hash": model_hash(target.model), "problems": problems, "budget": budget}
    known = {name: study.user_attrs.get(name, value) for name, value in fixed.items()}
    if known != fixed:
        raise ParameterError(
            "tuning.db", f"a study {target.name!r} begun with {fixed}", f"{known}",
            "the same model, problems and budget, or another folder of results",
        )  # fmt: skip
    for name, value in fixed.items():
        study.set_user_attr(name, value)
    for begun in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
        study.tell(begun.number, state=TrialState.FAIL)  # in flight when an earlier run was killed
    task = world_of(target.task)

    def attempt(trial: optuna.Trial, settings: Settings) -> None:
        trial.set_user_attr("settings", dict(settings))
        unit = Unit(
            target.task, target.kind, target.horizon, "tuning", 0, problems, target.model, target.planner, settings,
            budget=budget,
        )  # fmt: skip
        rows = compute(unit, store, compute_units, progress=progress)
        trial.set_user_attr("code", rows["code"][0])
        trial.set_user_attr("believed", rows["final_model"].mean())
        study.tell(trial, score(rows))

    for number in range(len(_own(study)), trials):
        if any((done.value or 0.0) > 1 + OWN - 1e-9 for done in _own(study)):
            break  # none can be better
        study.sampler = optuna.samplers.TPESampler(seed=_seed(target.name, number), n_startup_trials=STARTUP)
        trial = study.ask()
        attempt(
            trial,
            untuned(target.planner, task) if number == 0 else suggest(trial, target.planner, task),
        )
    for settings in handed:
        if dict(settings) not in [one.user_attrs["settings"] for one in _complete(study)]:
            trial = study.ask()
            trial.set_user_attr(HANDED, True)
            attempt(trial, settings)
    # What an earlier run tried for its neighbours counts when this one comes to it: else a run that was killed there would
    # hand on other settings than one that was not.
    given, own = [dict(settings) for settings in handed], _own(study)
    complete = [
        one for one in _complete(study) if HANDED not in one.user_attrs or one.user_attrs["settings"] in given
    ]
    best = max(complete, key=lambda finished: (finished.value or 0.0, -finished.number))
    own_best = max(complete, key=lambda finished: (finished.user_attrs["believed"], -finished.number))
    return {
        "settings": best.user_attrs["settings"], "own_settings": own_best.user_attrs["settings"],
        "value": best.value, "default_value": own[0].value,
        "believed_by_another": _believed_by_another(best), "default_believed_by_another": _believed_by_another(own[0]),
        "trials": len(own), "handed": len(complete) - len(own),
        "codes": sorted({trial.user_attrs.get("code") or "?" for trial in complete}), **fixed,
    }  # fmt: skip


def _study(target: Target, storage: optuna.storages.RDBStorage, folder: Path) -> optuna.Study:
    """Return a target's study, all that is stored of it read once.

    Raises
        ParameterError: `tuning.db` holds what no tuning has written.
    """
    try:
        study = optuna.create_study(
            study_name=target.name, storage=storage, direction="maximize", load_if_exists=True
        )
        for trial in study.get_trials(deepcopy=False):
            if trial.state == TrialState.COMPLETE:
                make_planner(target.planner, tuple(trial.user_attrs["settings"].items()))
                float(trial.user_attrs["believed"])
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError):
        raise
    except (
        Exception
    ) as error:  # what Optuna raises where it relies on its own records differs from place to place
        raise damaged(
            folder / "tuning.db", "Optuna's database", f"{type(error).__name__}: {error}"[:200]
        ) from error
    return study


def _complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _own(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the study's own trials, without those of its neighbours' settings."""
    return [trial for trial in _complete(study) if HANDED not in trial.user_attrs]


def tune_all(
    targets: Sequence[Target],
    folder: Path,
    *,
    trials: int,
    problems: int,
    budget: int = BUDGET,
    workers: int = 1,
    device: str = "cpu",
) -> Iterator[tuple[Target, Mapping[str, Any]]]:
    """Tune targets, in several processes if `workers` says so, and yield each with its entry once it is done.

    All targets are tuned first. Then, in rounds, each tries the best settings of its neighbours, until a round changes no
    entry. An entry that has changed is yielded again.
    """
    job = partial(_tune, folder=folder, trials=trials, problems=problems, budget=budget, device=device)
    entries: dict[Target, Mapping[str, Any]] = {}
    handed: dict[Target, list[Settings]] = {target: [] for target in targets}
    while True:
        changed = False
        for target, entry in _in_processes(list(handed.items()), job, folder, workers):
            if entry != entries.get(target):
                changed, entries[target] = True, entry
                yield target, entry
        if not changed:
            return
        for target in targets:
            best = [tuple(sorted(entries[one]["settings"].items())) for one in target.neighbours(targets)]
            handed[target] = list(dict.fromkeys([*handed[target], *best]))


def _in_processes(
    jobs: Sequence[tuple[Target, Sequence[Settings]]],
    job: Callable[[Target, Sequence[Settings]], Mapping[str, Any]],
    folder: Path,
    workers: int,
) -> Iterator[tuple[Target, Mapping[str, Any]]]:
    if workers == 1:
        for target, handed in jobs:
            yield target, job(target, handed)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _readable(folder), tuning_storage(folder):
        pass  # what is wrong with it is told once, not by each process
    with worker_pool(workers) as pool:
        futures = {pool.submit(job, target, handed): target for target, handed in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


@contextmanager
def tuning_storage(folder: Path) -> Iterator[optuna.storages.RDBStorage]:
    """Open the studies of a folder of results, and close its connections at the end.

    Raises
        ParameterError: another version of Optuna wrote them.
    """
    # The file is opened by its path: in a URL, a path with ? or % would be another.
    open_it = partial(sqlite3.connect, folder / "tuning.db", timeout=PATIENCE)
    # Without a pool a connection is closed after use, where the file turns out to be no database too.
    engine = {"creator": open_it, "poolclass": NullPool}
    try:
        with locked(folder / ".tuned.lock"):  # Optuna's tables are made by one process
            storage = optuna.storages.RDBStorage("sqlite:///tuning.db", engine_kwargs=engine)
    except RuntimeError as error:
        raise damaged(
            folder / "tuning.db", f"studies of Optuna {optuna.__version__}", " ".join(str(error).split())
        ) from error
    try:
        yield storage
    finally:
        storage.remove_session()


@contextmanager
def _alone(target: Target, folder: Path) -> Iterator[None]:
    """Lock a target's study against other processes; each target has one byte of a common lock file."""
    with (folder / ".tuning.lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, zlib.crc32(target.name.encode()))
        except (BlockingIOError, PermissionError) as error:
            found, hint = "another process tuning it", "wait until that is done, or use another folder"
            raise StoreError("results", f"{target.name} to be free in {folder}", found, hint) from error
        yield


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Raise an error that names `tuning.db` where it is damaged, or where the disk, the path or its use is the cause."""
    path = folder / "tuning.db"
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # Optuna's error, SQLAlchemy's, SQLite's
            cause = cause.__cause__
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        for kind, number in ((sqlite3.SQLITE_FULL, errno.ENOSPC), (sqlite3.SQLITE_READONLY, errno.EROFS)):
            if code == kind:
                raise OSError(number, os.strerror(number), str(path)) from error
        if code == sqlite3.SQLITE_BUSY:
            raise StoreError(
                "results", f"{path} to be free", "another process writing to it", "wait until that is done"
            ) from error
        # Whatever leads there, SQLite takes the whole path from the root, links replaced.
        if code == sqlite3.SQLITE_CANTOPEN and len(os.fsencode(os.path.realpath(path))) > LONGEST:
            raise ParameterError(
                "results", "a path that SQLite can open, of 512 bytes at most", f"{path}", "a shorter path"
            ) from error
        if code == sqlite3.SQLITE_CANTOPEN:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # raises what SQLite does not tell
        raise damaged(path, "Optuna's database", str(cause).splitlines()[0]) from error


def _tune(
    target: Target,
    handed: Sequence[Settings],
    folder: Path,
    trials: int,
    problems: int,
    budget: int,
    device: str,
) -> Mapping[str, Any]:
    optuna.logging.set_verbosity(logging.WARNING)
    return tune(
        target, Store(folder), runner(device=device), trials=trials, problems=problems, budget=budget,
        handed=handed, progress=False,
    )  # fmt: skip


def compute(unit: Unit, store: Store, compute_units: Runner, *, progress: bool = False) -> pl.DataFrame:
    """Return the rows of a unit, computing them first if the store lacks them."""
    execute([unit], store, compute_units, progress=progress)
    return store.unit_rows(unit_key(unit))


def score(rows: pl.DataFrame) -> float:
    """Return the share of returned plans that the witness believes, and `OWN` times the share that the model does itself.

    A model without a witness is its own.
    """
    believed = rows["final_model"].cast(pl.Float64)
    mean = (rows["agreed"].cast(pl.Float64).fill_null(believed) + OWN * believed).mean()
    assert isinstance(mean, float)
    return mean


def _believed_by_another(trial: optuna.trial.FrozenTrial) -> float:
    """Return the share of a trial's plans that the witness believes: its value without what breaks ties."""
    assert trial.value is not None  # of a complete one
    return round(trial.value - OWN * float(trial.user_attrs["believed"]), 9)


SAMPLES = (30, 60, 100, 200, 300)
"""Of the sampling planners, from which tuning chooses: the budget pays for 50 to 5 iterations."""


def suggest(trial: optuna.Trial, planner: str, task: Scaled) -> Settings:
    """Return settings drawn from a planner's space; lengths of actions are in units of the task's bounds."""
    scale = task.action_high

    def log(name: str, low: float, high: float, unit: float = 1.0) -> float:
        return _rounded(unit * trial.suggest_float(name, low, high, log=True))

    def choose(name: str, *choices: Any) -> Any:
        return trial.suggest_categorical(name, choices)

    chosen: dict[str, Any] = {}
    if planner == "GRASP":
        chosen |= {
            "state_lr": log("state_lr", 0.005, 0.3), "action_lr": log("action_lr", 0.003, 0.3, scale),
            "sync_lr": log("sync_lr", 0.02, 1.0, scale), "goal_weight": log("goal_weight", 0.01, 3.0),
            "state_noise": log("state_noise", 0.01, 1.0), "sync_every": choose("sync_every", 10, 25, 50),
            "sync_steps": choose("sync_steps", 5, 10, 20), "cycle_decay": choose("cycle_decay", 0.9, 1.0),
            "initial_action_noise": scale * choose("initial_action_noise", 0.0, 0.3),
        }  # fmt: skip
    elif planner == "GradientDescent":
        chosen |= {
            "lr": log("lr", 0.01, 1.0, scale), "action_noise": log("action_noise", 0.001, 0.5, scale),
            "objective": choose("objective", "last", "all"),
            "initial_action_noise": scale * choose("initial_action_noise", 0.0, 0.3, 1.0),
        }  # fmt: skip
    elif planner == "LatCo":
        chosen |= {
            "constraint": choose("constraint", "penalty", "multipliers"), "state_lr": log("state_lr", 0.005, 0.3),
            "action_lr": log("action_lr", 0.01, 0.5, scale), "goal_weight": log("goal_weight", 0.1, 10.0),
            "multiplier_rate": log("multiplier_rate", 0.01, 1.0),
            "initial_state_noise": choose("initial_state_noise", 0.0, 0.2),
            "initial_action_noise": scale * choose("initial_action_noise", 0.0, 0.3),
        }  # fmt: skip
    elif planner in ("CEM", "ICEM"):
        samples = choose("samples", *SAMPLES)
        chosen |= {
            "samples": samples, "elites": max(2, round(samples * choose("elite_share", 0.05, 0.1, 0.2))),
            "initial_std": log("initial_std", 0.1, 1.5, scale), "momentum": choose("momentum", 0.0, 0.1, 0.3),
        }  # fmt: skip
    elif planner == "CEMGD":
        samples = choose("samples", *SAMPLES)
        elites = max(2, round(samples * choose("elite_share", 0.05, 0.1, 0.2)))
        chosen |= {
            "samples": samples, "elites": elites,
            "initial_std": log("initial_std", 0.1, 1.5, scale), "refined": min(elites, choose("refined", 1, 2, 5)),
            "gradient_steps": choose("gradient_steps", 2, 5, 10), "gradient_lr": log("gradient_lr", 0.01, 0.5, scale),
        }  # fmt: skip
    elif planner == "MPPI":
        chosen |= {
            "samples": choose("samples", *SAMPLES),
            "temperature": log("temperature", 0.005, 0.5), "noise": log("noise", 0.1, 1.5, scale),
            "noise_decay": choose("noise_decay", 0.7, 0.8, 0.9), "noise_exponent": choose("noise_exponent", 0.0, 1.0, 2.0),
        }  # fmt: skip
    else:
        raise ParameterError("planner", "one with a search space", repr(planner), "add one to `suggest`")
    return settings_of(make_planner(planner, tuple(chosen.items())))


def _rounded(number: float) -> float:
    """Return a number to three significant digits: settings that a person can copy."""
    return float(f"{number:.3g}") if math.isfinite(number) else number


def _seed(name: str, number: int) -> int:
    return zlib.crc32(f"{name} {number}".encode())
