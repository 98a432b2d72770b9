"""Whether accepted plans are true: `Acceptance` on the three tasks, on problems that nothing was calibrated on.

    python -m experiments.scripts.acceptance --plans my_plans --trial push_t

makes plans (hours of one core; resumable), measures, and writes `experiments/results/acceptance.parquet`, one row a plan with
its features and outcome, and `acceptance.json`, what follows from these rows.  Without --plans it measures on the stored rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from jaxtyping import Bool, Float

from experiments.paths import RESULTS
from experiments.scripts.acceptance_evidence import table_of
from experiments.scripts.acceptance_plans import ALL, HELD, MEASURED, PIECE, SEEDS, TRIALS, Unit
from experiments.threads import one_thread
from grasp_theory.command_line import add, expect_folder, expect_writable, new_app
from grasp_theory.files import atomic_file, write_atomically
from grasp_theory.statistics.bootstrap import Bootstrap
from grasp_theory.statistics.intervals import Json, plain, wilson
from grasp_theory.statistics.paired_trials import PairedTrials
from grasp_theory.trust.acceptance import Acceptance, NotCertifiedError
from grasp_theory.world_models import available
from grasp_theory.world_models.checkpoint import best_latent
from linear_systems.errors import ParameterError

ROWS, SUMMARY = RESULTS / "acceptance.parquet", RESULTS / "acceptance.json"
ALPHA, CONFIDENCE = 0.1, 0.9
RESTARTS = 3
RESAMPLES = 2000
JUDGES = {"three": False, "three and robust": True}
"""Judges -> whether the robust model, which learned from replayed plans too, is one of them."""


CALIBRATION = {"wall_single": 1200, "point_maze": 600, "push_t": 1200, "push_t_2": 600, "push_t_held": 1200}
FRESH = 300


def design(trials: Collection[str]) -> Iterator[Unit]:
    """Yield every unit of some trials that is measured.

    Plans of one model to calibrate and to try on, three restarts of them, the other models', and those of the three as one; of
    `HELD` only the first two.
    """
    for trial in trials:
        count = CALIBRATION[trial]
        planner = MEASURED[trial]
        yield from (Unit(trial, "calibration", piece, planner, 0) for piece in range(count // PIECE))
        if planner == HELD:
            yield from (Unit(trial, "fresh", piece, planner, 0) for piece in range(FRESH // PIECE))
            continue
        for piece in range(FRESH // PIECE):
            yield from (Unit(trial, "fresh", piece, "GRASP", 0, restart) for restart in range(RESTARTS))
            yield from (Unit(trial, "fresh", piece, "GRASP", model) for model in (*SEEDS[1:], ALL))
            yield from (Unit(trial, "fresh", piece, "GD", model) for model in (0, ALL))


def features(rows: pl.DataFrame, robust: bool) -> dict[str, Float[np.ndarray, " N"]]:
    """Return the features that acceptance is calibrated on, chosen by cross-validation on WallSingle: few and unlike."""
    names = ["mean", "corrected", *(["distance robust"] if robust else [])]
    return {name: rows[name].to_numpy() for name in names}


def summarise(table: pl.DataFrame) -> dict[str, Json]:
    """Return everything that is reported, from the rows alone."""
    return {trial: _trial(table.filter(pl.col("trial") == trial), MEASURED[trial]) for trial in TRIALS}


def _trial(rows: pl.DataFrame, measured: str) -> dict[str, Json]:
    def chosen(split: str, planner: str, model: int, restart: int = 0) -> pl.DataFrame:
        return rows.filter(
            (pl.col("split") == split) & (pl.col("planner") == planner) & (pl.col("model") == model)
            & (pl.col("restart") == restart)
        ).sort("problem")  # fmt: skip

    calibration = chosen("calibration", measured, 0)
    if not len(calibration):
        return {}
    restarts = [chosen("fresh", measured, 0, restart) for restart in range(RESTARTS)]
    result: dict[str, Json] = {
        "believers": _believers(restarts[0]),
        "product": {
            planner: _product(
                [chosen("fresh", planner, seed) for seed in SEEDS], chosen("fresh", planner, ALL)
            )
            for planner in ("GRASP", "GD")
        },
    }
    result["restarts"] = {judges: _restarts(restarts, robust) for judges, robust in JUDGES.items()}
    for judges, robust in JUDGES.items():
        try:
            rule = Acceptance.calibrate(
                features(calibration, robust), calibration["true"].to_numpy(), ALPHA, confidence=CONFIDENCE
            )
        except NotCertifiedError as error:
            result[judges] = {"certified": False, "why": str(error)}
            continue
        fresh, true = features(restarts[0], robust), restarts[0]["true"].to_numpy()
        result[judges] = {
            "certified": True,
            **_accepted(rule, fresh, true),
            "reliability": [
                {"predicted": plain(each.predicted), "true": each.true.to_json(), "plans": each.plans}
                for each in rule.reliability(fresh, true, bins=8)
            ],
            "curve": _curve(rule.probability(fresh).numpy(), true),
        }
    return result


def _accepted(
    rule: Acceptance, plans: dict[str, np.ndarray], true: Bool[np.ndarray, " N"]
) -> dict[str, Json]:
    trial = rule.trial(plans, true)
    return {
        "plans": trial.plans,
        "true": trial.true,
        "accepted": trial.accepted,
        "accepted_true": trial.accepted_true,
        "precision": None if trial.precision is None else trial.precision.to_json(),
        "recall": None if trial.recall is None else trial.recall.to_json(),
        "threshold": plain(rule.threshold),
        "weights": {name: plain(weight) for name, weight in zip(rule.names, rule.weights, strict=True)},
        "calibrated": [rule.calibration.accepted_true, rule.calibration.accepted, rule.calibration.plans],
    }


def _believers(rows: pl.DataFrame) -> Json:
    """Return the share of true plans for each number of models that believe."""
    true, believers = rows["true"].to_numpy(), np.rint(3 * rows["believers"].to_numpy()).astype(int)
    return {
        str(count): {**_share(true[believers == count]), "plans": int((believers == count).sum())}
        for count in range(4)
        if (believers == count).any()
    }


def _product(alone: list[pl.DataFrame], together: pl.DataFrame) -> Json:
    """Return how many returned plans are true where one model plans and where three do as one."""
    alone = [each for each in alone if len(each)]
    if not alone or not len(together):
        return None
    three = together["true"].to_numpy()
    differences = np.concatenate([three.astype(int) - each["true"].to_numpy() for each in alone])
    paired = PairedTrials.of(differences, np.tile(np.arange(len(three)), len(alone)))
    low, high = paired.interval()
    return {
        "one": [_share(each["true"].to_numpy()) for each in alone],
        "three": _share(three),
        "difference": {"value": plain(paired.difference), "low": plain(low), "high": plain(high)},
        "p_value": plain(paired.p_value),
    }


def _restarts(rows: list[pl.DataFrame], robust: bool) -> Json:
    """Return how many plans are true if one of three restarts is taken at random, by agreement, and by an oracle.

    By agreement: the plan whose end is nearest to the goal in the mean over the judges.
    """
    if len({len(each) for each in rows}) > 1:
        return None
    true = np.stack([each["true"].to_numpy() for each in rows])
    doubt = np.stack(
        [3 * each["mean"].to_numpy() + robust * each["distance robust"].to_numpy() for each in rows]
    )
    picked = true[doubt.argmin(0), np.arange(true.shape[1])]
    bootstrap = Bootstrap(np.arange(true.shape[1]), np.random.default_rng(0), RESAMPLES)
    best = np.asarray(true.any(axis=0))
    gained, possible = picked - true.mean(0), best - true.mean(0)
    return {
        "one": plain(float(true.mean())),
        "chosen": _share(picked),
        "oracle": _share(best),
        "gained": bootstrap.mean(gained).to_json(),
        "share_of_possible": plain(float(gained.sum() / possible.sum())) if possible.any() else None,
    }


def _curve(probability: Float[np.ndarray, " N"], true: Bool[np.ndarray, " N"]) -> Json:
    """Return for the shares 0.05, 0.1, ..., 1 of plans with the highest scores how many are true."""
    order = np.argsort(-probability, kind="stable")
    counts = np.unique(np.ceil(len(order) * np.arange(1, 21) / 20).astype(int))
    return [[int(count), int(true[order][:count].sum())] for count in counts]


def _share(values: Bool[np.ndarray, " N"]) -> dict[str, Json]:
    json = wilson(float(values.mean()), len(values)).to_json()
    assert isinstance(json, dict)
    return json


def weights() -> dict[str, Json]:
    """Return the digests of the models that plan and judge."""
    return {
        f"{card.task} {card.kind} {card.seed}": card.sha256
        for card in available()
        if card.task in TRIALS and card.architecture.label == best_latent(card.task)
    }


def main(
    plans: Annotated[
        Path | None, typer.Option(help="Folder of plans; those that are missing are made.")
    ] = None,
    finished: Annotated[bool, typer.Option(help="Make none: measure on those that are there.")] = False,
    trial: Annotated[
        list[str] | None, typer.Option(help="Make plans of this trial only; the stored rows of others stay.")
    ] = None,
) -> None:
    """Measure acceptance on fresh problems, and write rows and summary."""
    wanted = list(CALIBRATION) if trial is None else trial
    if unknown := set(wanted) - set(CALIBRATION):
        raise ParameterError("trial", f"one of {', '.join(CALIBRATION)}", f"{unknown}", "check the spelling")
    expect_folder(plans)
    expect_writable(SUMMARY)
    with one_thread():
        if plans is not None:
            table = table_of(design(wanted), plans, make=not finished)
            if ROWS.exists():
                others = pl.read_parquet(ROWS).filter(~pl.col("trial").is_in(wanted))
                table = pl.concat([others, table], how="diagonal")
            with atomic_file(ROWS) as file:
                table.write_parquet(file)
        summary = {"weights": weights(), **summarise(pl.read_parquet(ROWS))}
    write_atomically(SUMMARY, json.dumps(summary, indent=1) + "\n")
    typer.echo(SUMMARY)


app = new_app()
add(app, main, "plans and evidence that are finished stay in --plans; the same command goes on from there.")

if __name__ == "__main__":
    app()
