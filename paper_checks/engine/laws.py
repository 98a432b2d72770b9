"""Tests of a sample against a normal law, with their level and their power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

POWER = 0.99
"""The probability with which a deviation of the stated size is found."""


@dataclass(frozen=True)
class NormalTest:
    """What two tests say of "these numbers are independent draws of N(0, 1)".

    Arguments
        count: sample size.
        variance: the sample's second moment.
        p_variance: p-value of the χ² test of it.
        p_shape: p-value of the Kolmogorov–Smirnov test.
        level: of each of the two tests.
    """

    count: int
    variance: float
    p_variance: float
    p_shape: float
    level: float

    @property
    def outcomes(self) -> Mapping[str, bool]:
        """What each test says."""
        return {"variance": self.p_variance >= self.level, "shape": self.p_shape >= self.level}

    @property
    def numbers(self) -> Mapping[str, float]:
        """The measured figures."""
        return {
            "variance over the law's": self.variance,
            "p, variance": self.p_variance,
            "p, shape": self.p_shape,
        }

    @property
    def summary(self) -> str:
        """The test, its level and its power, in words."""
        return (
            f"{self.count} numbers: second moment {self.variance:.4f} of the law's, χ² p = {self.p_variance:.2g}, "
            f"Kolmogorov–Smirnov p = {self.p_shape:.2g}; level {self.level:.1e} each; a variance off by "
            f"{detectable_variance(self.count, self.level):.1%} is found with probability {POWER}"
        )


def normal_test(values: Float[np.ndarray, " N"], level: float) -> NormalTest:
    """Test whether `values` are independent draws of N(0, 1).

    Arguments
        values: (N,), standardised by the law in question.
        level: of each of the two tests.
    """
    return NormalTest(
        len(values),
        float(np.mean(values**2)),
        variance_p_value(float(np.sum(values**2)), len(values)),
        float(stats.kstest(values, "norm").pvalue),
        level,
    )


def variance_p_value(statistic: float, count: int) -> float:
    """Return the two-sided p-value of a sum of `count` squared standard normals."""
    return float(2.0 * min(stats.chi2.cdf(statistic, count), stats.chi2.sf(statistic, count)))


def detectable_variance(count: int, level: float) -> float:
    """Return the relative error of a variance that the χ² test at `level` finds with probability `POWER`."""
    return float((stats.norm.isf(level / 2.0) + stats.norm.isf(1.0 - POWER)) * np.sqrt(2.0 / count))
