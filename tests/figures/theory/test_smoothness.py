"""The numbers behind the figure of smoothness constants, against closed forms."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.theory import smoothness
from linear_systems import LinearSystem

mpl.use("Agg")
HORIZONS = np.array([1, 2, 5, 16, 32])


@pytest.fixture(scope="module")
def numbers() -> dict[str, smoothness.Growth]:
    return {name: smoothness.growth(system, HORIZONS) for name, system in smoothness.SYSTEMS.items()}


@pytest.mark.parametrize(
    ("name", "a"), [("unstable, λ = 1.1", 1.1), ("marginal, λ = 1", 1.0), ("stable, λ = 0.8", 0.8)]
)
def test_scalar_systems_have_their_closed_forms(
    numbers: dict[str, smoothness.Growth], name: str, a: float
) -> None:
    """L_S = 2 Σ_{k<T} a^{2k} and lim L_L = 2 ((1 + a)² + 1)."""
    shooting = [2 * sum(a ** (2 * k) for k in range(T)) for T in HORIZONS]
    np.testing.assert_allclose(10 ** numbers[name].log_shooting, shooting, rtol=1e-12)
    assert numbers[name].lifted_limit == pytest.approx(2 * ((1 + a) ** 2 + 1), rel=1e-12)
    assert numbers[name].grows == (a > 1)


def test_a_jordan_block_grows_like_a_cube(numbers: dict[str, smoothness.Growth]) -> None:
    """W_T has the diagonal entries Σ k² and T; λmax lies between its largest entry and its trace."""
    squares = (HORIZONS - 1) * HORIZONS * (2 * HORIZONS - 1) / 6
    found = 10 ** numbers["Jordan block, λ = 1"].log_shooting / 2
    assert (found >= np.maximum(squares, HORIZONS) * (1 - 1e-12)).all()
    assert (found <= (squares + HORIZONS) * (1 + 1e-12)).all()


def test_bounds_are_bounds(numbers: dict[str, smoothness.Growth]) -> None:
    for item in numbers.values():
        # Past T = 1, where Theorem 2 may be an equality, a sum of squares is far above one of its terms.
        assert (item.log_shooting[1:] > item.log_shooting_bound[1:]).all()
        assert (np.diff(item.lifted) > 0).all()
        assert item.lifted[-1] < item.lifted_limit < smoothness.CLOSEST * item.lifted_bound
    growing = [item for item in numbers.values() if item.grows]
    assert len(growing) == 2
    for item in growing:
        slope = np.diff(item.log_shooting_bound)[-1] / np.diff(HORIZONS)[-1]
        assert slope == pytest.approx(2 * np.log10(1.1), rel=1e-9)


def test_two_thirds_is_approached() -> None:
    """The control: nothing smaller than CLOSEST would do, at a = 1 and b → 0."""
    item = smoothness.growth(LinearSystem([[1.0]], [[1e-4]]), np.array([1]))
    assert item.lifted_limit / item.lifted_bound == pytest.approx(smoothness.CLOSEST, abs=1e-7)


def test_it_draws(numbers: dict[str, smoothness.Growth]) -> None:
    figure = smoothness.draw(numbers)
    assert [len(axis.get_lines()) for axis in figure.axes] == [
        len(numbers) + 2,
        len(numbers),
        2 * len(numbers) + 1,
    ]
    plt.close(figure)
