"""Rounding allowances for comparisons in float64, from one named constant."""

from __future__ import annotations

import numpy as np

ROUNDING_FACTOR = 16.0
"""The constant C of every allowance C · eps · cond · size · scale."""
EPS = float(np.finfo(np.float64).eps)


def rounding_allowance(scale: float, size: int, condition: float = 1.0) -> float:
    """Return C · eps · cond · size · scale, the absolute error allowed to a computed quantity.

    Arguments
        scale: the magnitude that the rounding errors are relative to.
        size: how many roundings accumulate in an entry (inner-product length, matrix order, steps).
        condition: the condition number that amplifies them.
    """
    return ROUNDING_FACTOR * EPS * condition * size * scale
