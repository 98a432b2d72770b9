"""Whether stored rows of former code are what the present code gives: some of their units are computed again.

    python -m experiments.scripts.confirm_rows --units 2

A change that moves no result (a check at the door, a function put elsewhere) makes rows ones of former code all the same, for
no digest can tell.  For each planner, task and way of planning whose rows are of former code, and for the analytic worlds, this draws
units (of a processor as this one, if there are any: others round otherwise), computes them again, and compares every outcome to
the last bit.  If none differs, the rows take the present code's digest and keys, their commits stay, and `confirmed.json` beside
them says what was compared; if one does, nothing of that code is touched.  What else beside the rows names a confirmed digest
(`held_plans.json` and others) takes the present one too.
Rows of weights that are not shipped any more stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer

from experiments.paths import RESULTS
from experiments.study.trials.store import Store
from experiments.study.trials.trial import run_unit
from experiments.study.trials.unit import Unit, code_digest, model_hash, model_path, trial_keys, unit_key
from experiments.threads import one_thread
from experiments.training.run import machine
from experiments.worlds import trial as worlds
from grasp_theory.command_line import add, expect_folder, new_app
from grasp_theory.files import write_atomically

CONFIRMED = "confirmed.json"
OUTCOMES = (
    "first_step", "first_model", "first_true", "final_model", "final_true", "agreed", "believed_curve", "true_curve",
    "evaluations", "model_distance", "true_distance", "loss", "iterations", "diverged", "replans",
)  # fmt: skip
OUTCOMES_OF_WORLDS = ("least", "solved", "evaluations", "iterations", "looks", "diverged", "loss", "calls")
"""What a row says but for its times and where it was made."""

Renamed = Callable[[pl.DataFrame], pl.DataFrame]


def confirm(
    units: Annotated[
        int, typer.Option(min=1, help="Units computed again for each planner, task and mode.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Which ones.")] = 0,
    results: Annotated[Path, typer.Option(help="Folder of the rows.")] = RESULTS,
    task: Annotated[str, typer.Option(help="Only this task, or `worlds`.")] = "",
) -> None:
    """Compute some units of former code again, and take over the rows of code whose units are all equal."""
    expect_folder(results)
    rng = np.random.default_rng(seed)
    if task in ("", "worlds"):
        _confirm(Store(results / "worlds", worlds.LAYOUT), _of_worlds, units, rng)
    if task != "worlds":
        _confirm(Store(results), lambda rows: _of_trials(rows, task), units, rng)


Group = tuple[str, pl.DataFrame, tuple[str, ...], Callable[[pl.DataFrame], pl.DataFrame], Renamed]
"""A name, the rows of one former code, the outcomes, what computes a unit's rows again, and what renames a unit's rows."""


def _confirm(
    store: Store, groups: Callable[[pl.DataFrame], Iterator[Group]], units: int, rng: np.random.Generator
) -> None:
    rows, record = store.rows(), store.folder / CONFIRMED
    found = json.loads(record.read_text(encoding="utf-8")) if record.exists() else []
    for name, former, outcomes, again, renamed in groups(rows):
        # Another processor may round otherwise: units of one of this kind, if there are any.
        here = former.filter(pl.col("machine") == machine(torch.device("cpu")))
        names = (here if len(here) else former)["unit"].unique().sort().to_list()
        drawn = sorted(rng.choice(len(names), min(units, len(names)), replace=False).tolist())
        compared = differing = 0
        with one_thread():
            for unit in (names[place] for place in drawn):
                stored = former.filter(pl.col("unit") == unit).sort("problem").select(outcomes)
                new = again(former.filter(pl.col("unit") == unit)).sort("problem").select(outcomes)
                compared += len(new)
                differing += sum(a != b for a, b in zip(stored.rows(), new.rows(), strict=True))
        typer.echo(
            f"{name}: {differing} of {compared} rows differ; {'kept' if differing else 'taken'}: {len(former)} rows"
        )
        if differing:
            continue
        parts = [renamed(part) for _, part in former.group_by("unit", maintain_order=True)]
        taken = pl.concat(parts).select(rows.columns)
        store.replace(former, taken)
        found.append(
            {
                "what": name, "former": former["code"][0], "present": taken["code"][0], "rows": len(taken),
                "computed_again": compared, "on": datetime.now(UTC).date().isoformat(),
            }
        )  # fmt: skip
        write_atomically(record, json.dumps(found, indent=1) + "\n")
        _rename(store.folder, found[-1]["former"], found[-1]["present"])


def _rename(folder: Path, former: str, present: str) -> None:
    """Put the present digest for a former one in the files of results that name it."""
    for path in sorted(folder.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        if path.name != CONFIRMED and f'"{former}"' in text:
            write_atomically(path, text.replace(f'"{former}"', f'"{present}"'))


def _of_trials(rows: pl.DataFrame, task: str) -> Iterator[Group]:
    shipped = {name for name in rows["model"].unique() if Path(f"{model_path(name)}.json").exists()}
    usable = rows.filter(pl.col("model").is_in(shipped)).filter(
        pl.struct("model", "model_hash").map_elements(
            lambda row: model_hash(row["model"]) == row["model_hash"], return_dtype=pl.Boolean
        )
    )
    keys = ("planner", "task", "mode", "code")
    for (planner, world, mode, code), former in usable.group_by(keys, maintain_order=True):
        present = code_digest(str(planner), str(world), str(mode))
        if code != present and task in ("", world):
            yield (
                f"{planner} on {world}, {mode}",
                former,
                OUTCOMES,
                lambda part: run_unit(_unit(part)),
                _renamed,
            )


def _renamed(part: pl.DataFrame) -> pl.DataFrame:
    unit, part = _unit(part), part.sort("problem")
    code = code_digest(unit.planner, unit.task, unit.mode)
    return part.with_columns(
        pl.Series("key", trial_keys(unit)), pl.lit(unit_key(unit)).alias("unit"), pl.lit(code).alias("code")
    )


def _unit(part: pl.DataFrame) -> Unit:
    """Return the unit whose rows these are."""
    row: dict[str, Any] = part.sort("problem").row(0, named=True)
    return Unit(
        row["task"], row["kind"], row["horizon"], row["purpose"], row["problem"], len(part), row["model"], row["planner"],
        tuple(json.loads(row["settings"]).items()), row["seed"], row["mode"], row["budget"],
    )  # fmt: skip


def _of_worlds(rows: pl.DataFrame) -> Iterator[Group]:
    for (code,), former in rows.group_by(["code"], maintain_order=True):
        if code != worlds.code_digest():
            yield (
                "analytic worlds", former, OUTCOMES_OF_WORLDS,
                lambda part: worlds.run_unit(_world_unit(part)), _world_renamed,
            )  # fmt: skip


def _world_renamed(part: pl.DataFrame) -> pl.DataFrame:
    key = worlds.unit_key(_world_unit(part))
    return part.with_columns(pl.lit(key).alias("unit"), pl.lit(worlds.code_digest()).alias("code"))


def _world_unit(part: pl.DataFrame) -> worlds.WorldUnit:
    row: dict[str, Any] = part.row(0, named=True)
    return worlds.WorldUnit(row["world"], row["planner"], len(part), row["budget"], row["seed"])


app = new_app()
add(app, confirm, "what was confirmed stays; the same command goes on with the rest.")

if __name__ == "__main__":
    app()
