"""The level of every test and interval, an estimate with its interval, and Wilson's interval of a share."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import norm

from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import fraction, positive_float

LEVEL = 0.05
"""Level of every test; 1 − LEVEL is the confidence of every interval."""

Json = dict[str, "Json"] | list["Json"] | str | float | int | bool | None
"""A value that JSON can hold."""


@dataclass(frozen=True)
class Estimate:
    """A value and its interval.

    Arguments
        value: the estimate from the sample.
        low, high: ends of the interval, of confidence 1 − LEVEL unless said otherwise.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> Json:
        """Return the three numbers by name; infinity, which JSON lacks, becomes None."""
        return {name: plain(getattr(self, name)) for name in ("value", "low", "high")}


@checked
def wilson(share: float, n: float, level: float = LEVEL) -> Estimate:
    """Return a share with Wilson's interval of confidence 1 − level.

    Arguments
        share: in [0, 1].
        n: number of independent trials, > 0, not necessarily whole (an effective number).
        level: in (0, 1).

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    fraction("share", share, ends=True)
    if positive_float("n", n) < 1e-100:
        raise ParameterError("n", "a number of trials", repr(n), "count the trials")
    z = float(norm.ppf(1 - fraction("level", level) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding must not take 0 or 1 out of the interval of a share that attains it.
    return Estimate(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def plain(value: float) -> float | None:
    """Return a number to six significant digits, or None for infinity."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
