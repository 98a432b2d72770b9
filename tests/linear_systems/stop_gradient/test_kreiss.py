"""The Kreiss constant against norms of powers of J_T."""

from __future__ import annotations

import numpy as np
import pytest

from linear_systems import LinearSystem, stop_gradient, uniform_bounds
from linear_systems.errors import StepSizeError
from linear_systems.stop_gradient.kreiss import kreiss_constant

NON_NORMAL, PAIR = LinearSystem([[5.0]], [[1.0]]), (0.08333, 0.25)


def test_it_bounds_the_largest_power_from_both_sides() -> None:
    found = kreiss_constant(NON_NORMAL, 1.0, PAIR)
    peak = uniform_bounds.uniform_bound(NON_NORMAL, 1.0, PAIR).peak
    reached = float(stop_gradient.transient_growth(NON_NORMAL, 30, 1.0, PAIR, 40).max())
    assert 1.5 < found.value <= peak
    assert reached <= np.e * 2 * found.value


def test_the_point_found_gives_the_value() -> None:
    found = kreiss_constant(NON_NORMAL, 1.0, PAIR)
    symbol = stop_gradient.symbol(NON_NORMAL, 1.0, PAIR, found.z)
    resolvent = np.linalg.inv(found.eigenvalue * np.eye(2) - symbol)
    again = (abs(found.eigenvalue) - 1.0) * float(np.linalg.norm(resolvent, 2))
    assert abs(found.z) == pytest.approx(1.0)
    assert again == pytest.approx(found.value, rel=1e-6)


def test_it_is_infinite_above_one() -> None:
    with pytest.raises(StepSizeError):
        kreiss_constant(LinearSystem([[0.8]], [[1.0]]), 1.0, 1.0 / 3.0)
