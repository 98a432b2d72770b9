"""Estimates with 95% intervals: bootstraps over independent clusters, and Wilson's interval of a proportion."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from grasp_theory.statistics.intervals import LEVEL, Estimate, Json, wilson
from linear_systems.checked import checked
from linear_systems.errors import NonFiniteError, ParameterError, ShapeError
from linear_systems.validation import positive_integer


@checked
class Bootstrap:
    """Resamples of E clusters with replacement, the same ones for every estimate; percentile intervals.

    The values of one cluster (the windows of one episode) may depend on each other; clusters must not.

    Arguments
        clusters: (N,) the cluster of each value; all different for independent values.
        rng: draws the resamples.
        resamples: R >= 1.
    """

    def __init__(self, clusters: Int[np.ndarray, " N"], rng: np.random.Generator, resamples: int) -> None:
        positive_integer("resamples", resamples)
        if not len(clusters):
            raise ParameterError("clusters", "at least one value", "none", "draw a larger sample")
        labels, self._cluster = np.unique(clusters, return_inverse=True)
        self._times = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=resamples)
        self._sizes = self._times @ np.bincount(self._cluster)

    @property
    def clusters(self) -> int:
        """E, the number of different clusters."""
        return int(self._times.shape[1])

    @checked
    def mean(self, values: Float[np.ndarray, " N"]) -> Estimate:
        """Return the mean over all values, each resample's being its sum over its number of values.

        Raises
            NonFiniteError: if a value is not finite.
        """
        self._fitting(values)
        if not np.isfinite(values).all():
            raise NonFiniteError(
                "values", "finite numbers", "NaN or infinity", "see whether the model diverges"
            )
        sums = self._times @ np.bincount(self._cluster, weights=values)
        return _estimate(float(values.mean()), sums / self._sizes)

    @checked
    def median(self, values: Float[np.ndarray, " N"]) -> Estimate:
        """Return the median over all values; infinite values are allowed and NaN is not.

        Raises
            NonFiniteError: if a value is NaN.
        """
        self._fitting(values)
        if np.isnan(values).any():
            raise NonFiniteError("values", "numbers", "NaN", "see whether the model diverges")
        order = np.argsort(values, kind="stable")
        ranked = values[order]
        reached = 2 * np.cumsum(self._times[:, self._cluster[order]], axis=1)
        lower = ranked[(reached >= self._sizes[:, None]).argmax(axis=1)]
        upper = ranked[(reached > self._sizes[:, None]).argmax(axis=1)]
        return _estimate(float(np.median(values)), (lower + upper) / 2)

    def _fitting(self, values: Float[np.ndarray, " N"]) -> None:
        if len(values) != len(self._cluster):
            raise ShapeError(
                "values",
                f"{len(self._cluster)} values, one for each cluster given",
                f"{len(values)}",
                "pass them all",
            )


@checked
def rank_correlation(
    x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"], rng: np.random.Generator, resamples: int
) -> Estimate:
    """Return Spearman's rank correlation of independent pairs, its interval by a percentile bootstrap over pairs.

    Raises
        NonFiniteError: if a value is not finite.
        ParameterError: if all values of x or of y are equal, as the distances of collapsed latents are.
    """
    positive_integer("resamples", resamples)
    if len(x) < 2 or len(x) != len(y):
        raise ShapeError("x, y", "equally many values, at least 2", f"{len(x)} and {len(y)}", "pass pairs")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NonFiniteError("x, y", "finite numbers", "NaN or infinity", "see whether the model diverges")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ParameterError("x, y", "values that differ", "equal ones", "see whether the latents collapsed")
    drawn = rng.integers(len(x), size=(resamples, len(x)))
    return _estimate(_spearman(x, y), np.array([_spearman(x[row], y[row]) for row in drawn]))


@checked
def proportion(happened: Bool[np.ndarray, " N"]) -> dict[str, Json]:
    """Return the share of independent trials in which something happened, with Wilson's interval, and N."""
    count = len(happened)
    return {**_named(wilson(float(happened.mean()), count)), "count": count}


def _named(estimate: Estimate) -> dict[str, Json]:
    json = estimate.to_json()
    assert isinstance(json, dict)
    return json


def _estimate(value: float, resampled: Float[np.ndarray, " R"]) -> Estimate:
    tail = LEVEL / 2
    # Without interpolation, which makes NaN of infinite medians.
    low, high = np.quantile(resampled, [tail, 1 - tail], method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def _spearman(x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"]) -> float:
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
