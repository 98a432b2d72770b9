"""Planners compared on the same trials: discordant pairs, exact tests, Holm's correction, detectable differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float

from experiments.study.reporting.summary import OUTCOMES, TRIAL, trials_of
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.paired_trials import PairedTrials, holm
from linear_systems.errors import ParameterError

if TYPE_CHECKING:
    from experiments.study.tables import Cell

SOONER = "sooner"
"""The outcome of being the first to have a plan that the model believes.

Ties are trials that neither planner solves, and trials that both solve before any planning: times are there of the check for
success alone.
"""


@dataclass(frozen=True)
class Pairing:
    """Two cells compared on the trials that both have.

    Arguments
        first, second: the cells.
        outcome: one of `OUTCOMES`, or `SOONER`.
        record: the paired trials.
        by_model: the same for each model alone.
    """

    first: Cell
    second: Cell
    outcome: str
    record: PairedTrials
    by_model: Mapping[str, PairedTrials]


@dataclass(frozen=True)
class Tested:
    """A pairing judged within a family of k.

    Arguments
        pairing: what was compared.
        p_value: exact and two-sided, after Holm's correction over the family.
        low, high: interval of the difference of rates, of confidence 1 − LEVEL / k: simultaneous over the family.
        detectable: the smallest difference found with 80% power at level LEVEL / k.
    """

    pairing: Pairing
    p_value: float
    low: float
    high: float
    detectable: float

    @property
    def significant(self) -> bool:
        """Whether the rates differ beyond chance."""
        return self.p_value <= LEVEL


def pair(rows: pl.DataFrame, first: Cell, second: Cell, outcome: str, mode: str = "batch") -> Pairing | None:
    """Return two cells compared on the trials (same model, problem and seed) that both have; None if there are none.

    Arguments
        rows: `summary.current` ones.
        first, second: the cells.
        outcome: one of `OUTCOMES`, or `SOONER`.
        mode: of the trials; for `SOONER` they are those planned one at a time.

    Raises
        ParameterError: cells of different problem sets, or an unknown outcome.
    """
    if first.problem_set != second.problem_set:
        found = f"{first.problem_set} and {second.problem_set}"
        raise ParameterError("second", "the first cell's problem set", found, "pair cells of one column")
    if outcome not in (*OUTCOMES, SOONER):
        raise ParameterError("outcome", f"one of {(*OUTCOMES, SOONER)}", repr(outcome), "check the spelling")
    mode = "single" if outcome == SOONER else mode
    score = _SECONDS if outcome == SOONER else pl.col(outcome)
    both = (
        trials_of(rows, first, mode)
        .select(*TRIAL, score.alias("one"))
        .join(trials_of(rows, second, mode).select(*TRIAL, score.alias("other")), on=TRIAL)
        .sort(TRIAL)
    )
    if outcome != SOONER:
        both = both.drop_nulls(["one", "other"])
    if both.is_empty():
        return None
    one, other = (_score(both[name], outcome) for name in ("one", "other"))
    # Not the sign of the difference: infinite seconds on both sides are a tie.
    difference = (one > other).astype(int) - (one < other).astype(int)
    problem = both["problem"].to_numpy()
    models = both["model"].to_numpy()
    return Pairing(
        first,
        second,
        outcome,
        PairedTrials.of(difference, problem),
        {
            str(model): PairedTrials.of(difference[models == model], problem[models == model])
            for model in np.unique(models)
        },
    )


def family(pairings: Sequence[Pairing]) -> tuple[Tested, ...]:
    """Return the pairings of one family, judged together."""
    if not pairings:
        return ()
    level = LEVEL / len(pairings)
    adjusted = holm([pairing.record.p_value for pairing in pairings])
    return tuple(
        Tested(pairing, p, *pairing.record.interval(level), pairing.record.detectable(level))
        for pairing, p in zip(pairings, adjusted, strict=True)
    )


_SECONDS = pl.when(pl.col("first_step") == 0).then(0.0).otherwise(pl.col("first_seconds"))
"""Seconds of planning until success in the model; none for a start that is a success already."""


def _score(values: pl.Series, outcome: str) -> Float[np.ndarray, " N"]:
    """Return what is better when larger."""
    if outcome == SOONER:
        return -values.cast(pl.Float64).fill_null(np.inf).to_numpy()
    return values.cast(pl.Float64).to_numpy()
