"""Which plans to accept, so that those accepted are true as often as was asked: `Acceptance`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor

from grasp_theory.boundary import as_booleans
from grasp_theory.files import read_whole, told, write_atomically
from grasp_theory.statistics.intervals import LEVEL, Estimate, wilson
from grasp_theory.statistics.learn_then_test import (
    clopper_pearson,
    fewest_trials,
    loosest_threshold,
    most_errors,
    threshold_sequence,
)
from linear_systems.annotations import shown
from linear_systems.checked import checked
from linear_systems.errors import InvalidInputError, NonFiniteError, ParameterError, ShapeError
from linear_systems.validation import fraction

Plans = Mapping[str, Any]
"""Feature name -> (B,) numbers, one a plan: what `evidence` returns, or features of one's own; ±∞ is taken."""
FORMAT = 1
FRESH = "a larger alpha, or other features, only on problems that were not tried yet: the confidence holds for the first try"
CLIP = 3.0
"""Standardised features beyond this say no more."""


class NotCertifiedError(InvalidInputError):
    """No threshold can be certified on these problems: too few of them, too few true plans, or features that say nothing."""


@dataclass(frozen=True)
class Trial:
    """What an acceptance did on problems with known outcomes.

    Arguments
        plans, true: how many plans there were, and how many of them were true.
        accepted, accepted_true: how many were accepted, and how many of these were true.
    """

    plans: int
    true: int
    accepted: int
    accepted_true: int

    @property
    def precision(self) -> Estimate | None:
        """P(true | accepted) with Clopper and Pearson's 95% interval; None if none was accepted."""
        return clopper_pearson(self.accepted_true, self.accepted, LEVEL) if self.accepted else None

    @property
    def recall(self) -> Estimate | None:
        """P(accepted | true) with Wilson's 95% interval; None if none was true."""
        return wilson(self.accepted_true / self.true, self.true) if self.true else None


@dataclass(frozen=True)
class Bin:
    """Plans of similar probability.

    Arguments
        predicted: the mean of their probabilities.
        true: the share of them that is true, with Wilson's 95% interval.
        plans: how many they are.
    """

    predicted: float
    true: Estimate
    plans: int


@checked
@dataclass(frozen=True)
class Acceptance:
    """A rule that accepts a plan if its score says so, calibrated on problems whose outcomes are known.

    The score is a logistic regression on the features x of a plan,

        p(x) = σ(b + Σ_j w_j z_j),     z_j = clip((x_j − median_j) / IQR_j, ±3),

    with a ridge penalty ‖w‖²/2, fitted on a random half of the problems.  A plan is accepted if p(x) >= λ.  On the other
    half λ is chosen by Learn then Test (`loosest_threshold`), so that

        P( P(true | accepted) >= 1 − α ) >= confidence,

    the outer probability over the problems of calibration, the inner over a new one.  It needs no assumption on the model,
    the features or the score, but this: the problems of calibration and the new one are independent draws of one law, and
    plans are made and features computed in the same way.  A new task, planner or model needs a new calibration.  It holds
    for one use of `calibrate`: who calibrates many times and keeps the best has no such confidence.

    Make one with `Acceptance.calibrate`.

    Arguments
        names: the features, in the order of the next four.
        centre, scale, weights: median_j, IQR_j and w_j.
        intercept: b.
        threshold: λ, a probability.
        alpha: α, the share of accepted plans that may be false.
        confidence: with which that holds.
        calibration: what the rule did on the half that chose λ.

    Source: Angelopoulos et al., Learn then Test (2021); Clopper & Pearson (1934) for the exact binomial bound.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    threshold: float
    alpha: float
    confidence: float
    calibration: Trial

    def __post_init__(self) -> None:
        fraction("alpha", self.alpha), fraction("confidence", self.confidence)
        fraction("threshold", self.threshold, ends=True)
        if not math.isfinite(self.intercept):
            raise NonFiniteError("intercept", "a finite number", repr(self.intercept), "calibrate")
        for name in ("centre", "scale", "weights"):
            numbers = getattr(self, name)
            if len(numbers) != len(self.names) or not all(map(math.isfinite, numbers)):
                raise ParameterError(
                    name, f"{len(self.names)} finite numbers, one a feature", shown(numbers), "calibrate"
                )

    @classmethod
    @checked
    def calibrate(
        cls, plans: Plans, outcomes: Any, alpha: float = 0.1, *, confidence: float = 0.9, seed: int = 0
    ) -> Acceptance:
        """Return a rule whose accepted plans are true with probability at least 1 − alpha, with the given confidence.

        Arguments
            plans: features (B,) of B plans for independent problems, one plan a problem.
            outcomes: (B,) booleans, whether each plan was true: tried in the world, or in a simulator of it.
            alpha: in (0, 1).
            confidence: in (0, 1).
            seed: of the halves.

        Raises
            NotCertifiedError: no threshold can be certified: too few problems, none or too few true, or no telling.
            ShapeError, NonFiniteError, ParameterError: features or outcomes that cannot be used.
        """
        for name, value in (("alpha", alpha), ("confidence", confidence)):
            if not 0 < value < 1:
                raise ParameterError(name, "a number between 0 and 1", repr(value), "0.1 and 0.9 are usual")
        names = tuple(plans)
        table = _table(plans, names)
        true = _outcomes(outcomes, len(table))
        least = fewest_trials(alpha, 1 - confidence)
        half = np.random.default_rng(seed).permutation(len(true))
        fit, test = half[: len(true) // 2], half[len(true) // 2 :]
        if true[test].sum() < least or not true[fit].any():
            raise NotCertifiedError(
                "outcomes", f"at least {least} true plans among those that the threshold is chosen on",
                f"{true[test].sum()} in {len(test)}, half of {len(true)} problems",
                f"calibrate on more problems or plan better; {FRESH}",
            )  # fmt: skip
        centre, scale = _standard(table[fit])
        weights, intercept = _regression(_standardised(table[fit], centre, scale), true[fit])
        scores = _scores(_standardised(table, centre, scale), weights, intercept)
        wrong = ~true
        threshold = loosest_threshold(
            (scores[fit], wrong[fit]), (scores[test], wrong[test]), alpha, 1 - confidence
        )
        if threshold is None:
            first = scores[test] >= threshold_sequence(scores[fit], wrong[fit], alpha)[0]
            allowed = most_errors(int(first.sum()), alpha, 1 - confidence)
            raise NotCertifiedError(
                "plans", f"features by which {_percent(1 - alpha)} of some plans can be shown to be true, {least} at the least",
                f"{wrong[test][first].sum()} false among the {first.sum()} of {len(test)} plans that the first threshold accepts, "
                f"where {f'at most {allowed} false ones' if allowed >= 0 else f'{least} plans'} would show it",
                f"add models or features, or calibrate on more problems; {FRESH}",
            )  # fmt: skip
        return cls(
            names, tuple(centre.tolist()), tuple(scale.tolist()), tuple(weights.tolist()), intercept, threshold,
            alpha, confidence, _trial(scores[test] >= threshold, true[test]),
        )  # fmt: skip

    @checked
    def probability(self, plans: Plans) -> Float[Tensor, " B"]:
        """Return p(x), float64: how likely each plan is true, as the regression has it; the guarantee is `accept`'s.

        Arguments
            plans: features (B,) by name, those of the calibration among them.

        Raises
            ParameterError: a feature of the calibration is missing.
            ShapeError, NonFiniteError: features that are not (B,) numbers.
        """
        z = _standardised(_table(plans, self.names), np.array(self.centre), np.array(self.scale))
        return torch.from_numpy(_scores(z, np.array(self.weights), self.intercept))

    @checked
    def accept(self, plans: Plans) -> Bool[Tensor, " B"]:
        """Return which plans are accepted: p(x) >= λ.  Errors are those of `probability`."""
        return self.probability(plans) >= self.threshold

    def trial(self, plans: Plans, outcomes: Any) -> Trial:
        """Return what the rule does on plans with known outcomes (B,).

        Raises
            ParameterError, ShapeError, NonFiniteError: as `calibrate`.
        """
        accepted = self.accept(plans).numpy()
        return _trial(accepted, _outcomes(outcomes, len(accepted)))

    def reliability(self, plans: Plans, outcomes: Any, bins: int = 10) -> list[Bin]:
        """Return the plans in bins of equal size by their probability, with how many of each are true.

        Arguments
            plans: features (B,) by name.
            outcomes: (B,) booleans, whether each plan was true.
            bins: how many, at least 1.

        Raises
            ParameterError, ShapeError, NonFiniteError: as `calibrate`.
        """
        probability = self.probability(plans).numpy()
        true = _outcomes(outcomes, len(probability))
        parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(true)))
        return [
            Bin(float(probability[part].mean()), wilson(float(true[part].mean()), len(part)), len(part))
            for part in parts
        ]

    def diagram(self, plans: Plans, outcomes: Any, bins: int = 10) -> Figure:
        """Return a picture of the rule on plans with known outcomes: reliability, and the choice of the threshold.

        Left, the share of true plans against the probability that they were given; right, the share of true plans among
        those that would be accepted at any threshold against how many these are, with λ's own and 1 − α marked.

        Arguments
            plans: features (B,) by name.
            outcomes: (B,) booleans, whether each plan was true.
            bins: of the left picture, at least 1.

        Raises
            ParameterError, ShapeError, NonFiniteError: as `calibrate`.
        """
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        found = self.reliability(plans, outcomes, bins)
        middle = np.array([each.true.value for each in found])
        ends = np.array(
            [(each.true.value - each.true.low, each.true.high - each.true.value) for each in found]
        ).T
        left.plot([0, 1], [0, 1], color="#6E6E6E", linewidth=1, label="as the score says")
        left.errorbar(
            [each.predicted for each in found], middle, yerr=ends, fmt="o", capsize=3, color="#0072B2"
        )
        left.axvline(
            self.threshold, color="#D55E00", linestyle="--", label=f"accepted from λ = {self.threshold:.2g}"
        )
        left.set(xlabel="probability that the score gives", ylabel="share that is true, 95% intervals")
        probability = self.probability(plans).numpy()
        order = np.argsort(-probability, kind="stable")
        true = _outcomes(outcomes, len(order))[order]
        count = np.arange(1, len(order) + 1)
        right.plot(
            count / len(order), np.cumsum(true) / count, color="#0072B2", label="true of those accepted"
        )
        right.axhline(1 - self.alpha, color="#6E6E6E", linewidth=1, label=f"1 − α = {1 - self.alpha:g}")
        share = float((probability >= self.threshold).mean())
        right.axvline(share, color="#D55E00", linestyle="--", label=f"accepted: {share:.0%}")
        right.set(xlabel="share of plans accepted", ylabel="share that is true", ylim=(0, 1.02), xlim=(0, 1))
        left.legend(loc="lower right", fontsize="small")
        right.legend(loc="lower left", fontsize="small")
        return figure

    @checked
    def save(self, path: str | Path) -> None:
        """Write the rule as JSON, whole or not at all; what is loaded again is equal.

        Arguments
            path: of the file to write; its folder must exist.

        Raises
            PathError: the folder is missing or cannot be written to.
        """
        with told("path", path, "a file that can be written"):
            write_atomically(Path(path), json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    @checked
    def load(cls, path: str | Path) -> Acceptance:
        """Read a rule from JSON; runs no code from the file.

        Arguments
            path: of the file that `save` wrote.

        Raises
            ParameterError: the file is not a rule of this format.
            PathError: it cannot be read.
        """
        with told("path", path, "a file of Acceptance.save"):
            content = read_whole(Path(path))
        try:
            stored = json.loads(content)
            if stored.pop("format") != FORMAT:
                raise ValueError("another format")
            trial = Trial(**{name: int(count) for name, count in stored.pop("calibration").items()})
            names = tuple(str(name) for name in stored.pop("names"))
            centre, scale, weights = (
                tuple(float(x) for x in stored.pop(key)) for key in ("centre", "scale", "weights")
            )
            numbers = {name: float(value) for name, value in stored.items()}
            values = [*numbers.values(), *centre, *scale, *weights]
            if {len(centre), len(scale), len(weights)} != {len(names)} or not np.isfinite(values).all():
                raise ValueError("parts that do not fit together")
            return cls(names, centre, scale, weights, **numbers, calibration=trial)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise ParameterError(
                "path",
                "a file of Acceptance.save",
                f"{type(error).__name__}: {error}",
                "calibrate and save again",
            ) from error

    def __repr__(self) -> str:
        found = self.calibration
        weights = sorted(zip(self.names, self.weights, strict=True), key=lambda pair: -abs(pair[1]))
        return "\n".join(
            [
                f"Acceptance: accepted plans are true in at least {_percent(1 - self.alpha)}, "
                f"with confidence {_percent(self.confidence)}",
                f"  calibrated on  {found.plans} plans, {found.true} of them true",
                f"  accepted       {found.accepted} of these, {found.accepted_true} of them true",
                f"  threshold      {self.threshold:.3g}",
                "  weights        " + ", ".join(f"{name} {weight:+.2f}" for name, weight in weights[:6]),
            ]
        )


def _percent(share: float) -> str:
    """Return a share in percent, never rounded up to all: 99.5%, not 100%."""
    return f"{100 * share:.6g}%"


def _trial(accepted: Bool[np.ndarray, " B"], true: Bool[np.ndarray, " B"]) -> Trial:
    return Trial(len(true), int(true.sum()), int(accepted.sum()), int((accepted & true).sum()))


def _table(plans: Plans, names: tuple[str, ...]) -> Float[np.ndarray, "B F"]:
    """Return the features as columns."""
    if missing := [name for name in names if name not in plans]:
        raise ParameterError(
            "plans", f"the features {list(names)}", f"none of the name {missing[0]!r}", "compute it too"
        )
    columns: list[Float[np.ndarray, " B"]] = []
    for name in names:
        value = plans[name]
        column = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        if column.ndim != 1 or not len(column) or (columns and len(column) != len(columns[0])):
            raise ShapeError(
                "plans", "(B,) numbers a feature", f"shape {column.shape} of {name!r}", "one a plan"
            )
        column = column.astype(np.float64)
        if np.isnan(column).any():
            raise NonFiniteError("plans", "numbers", f"NaN in {name!r}", "give inf where a rollout diverges")
        columns.append(column)
    if not columns:
        raise ParameterError("plans", "at least one feature", "none", "pass what `evidence` returns")
    return np.stack(columns, axis=1)


def _outcomes(outcomes: Any, count: int) -> Bool[np.ndarray, " B"]:
    return as_booleans("outcomes", outcomes, count, "pass for each plan whether it was true").cpu().numpy()


def _standard(table: Float[np.ndarray, "B F"]) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """Return medians and interquartile ranges; a range of 0 gives way to the largest deviation, and that to 1."""
    finite = np.where(np.isfinite(table), table, np.nan)
    seen = ~np.isnan(finite).all(axis=0)
    low, centre, high = np.zeros((3, table.shape[1]))
    low[seen], centre[seen], high[seen] = np.nanquantile(finite[:, seen], (0.25, 0.5, 0.75), axis=0)
    range_ = high - low
    widest = np.zeros(table.shape[1])
    widest[seen] = np.nanmax(np.abs(finite[:, seen] - centre[seen]), axis=0)
    return centre, np.where(range_ > 0, range_, np.where(widest > 0, widest, 1.0))


def _standardised(
    table: Float[np.ndarray, "B F"], centre: Float[np.ndarray, " F"], scale: Float[np.ndarray, " F"]
) -> Float[np.ndarray, "B F"]:
    return np.asarray(np.clip((table - centre) / scale, -CLIP, CLIP))


def _scores(
    z: Float[np.ndarray, "B F"], weights: Float[np.ndarray, " F"], intercept: float
) -> Float[np.ndarray, " B"]:
    """Return σ(b + w·z), to the last bit the same for a plan in any batch: λ is itself a score, and plans may equal it."""
    total = np.full(len(z), intercept)
    # Column by column: a matrix product rounds by where a row stands in it.
    for column, weight in zip(z.T, weights, strict=True):
        total += weight * column
    return np.asarray(expit(total))


def _regression(
    z: Float[np.ndarray, "B F"], true: Bool[np.ndarray, " B"]
) -> tuple[Float[np.ndarray, " F"], float]:
    """Return w and b that minimise Σ log(1 + exp(−y (b + w·z))) + ‖w‖²/2, y = ±1: a strictly convex problem in w."""
    sign = np.where(true, 1.0, -1.0)
    if true.all():  # b would go to infinity, and every plan be scored alike
        return np.zeros(z.shape[1]), 0.0

    def loss(parameters: Float[np.ndarray, " F1"]) -> tuple[float, Float[np.ndarray, " F1"]]:
        w, b = parameters[1:], parameters[0]
        margin = sign * (z @ w + b)
        pull = -sign * expit(-margin)
        return float(np.logaddexp(0, -margin).sum() + w @ w / 2), np.concatenate(
            [[pull.sum()], z.T @ pull + w]
        )

    found = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B")
    return found.x[1:], float(found.x[0])
