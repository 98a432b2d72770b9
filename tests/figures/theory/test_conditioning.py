"""The numbers behind the map of conditioning: the families, the ratios, and where they change sign."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.theory import conditioning
from figures.theory.conditioning import PENDULUM_GAIN, PENDULUM_STEP, inverted_pendulum, log_ratio
from linear_systems import benchmarks, lifted, shooting

mpl.use("Agg")


def test_the_families_pass_through_the_benchmarks() -> None:
    pendulum = benchmarks.load("pendulum_upright").system
    growth = float(np.abs(np.linalg.eigvals(pendulum.A)).max())
    member = inverted_pendulum(growth, PENDULUM_STEP, PENDULUM_GAIN)
    for found, wanted in (
        (member, pendulum),
        (inverted_pendulum(1.0, 0.1, 1.0), benchmarks.load("double_integrator").system),
    ):
        np.testing.assert_allclose(found.A, wanted.A, rtol=1e-9)
        np.testing.assert_allclose(found.B, wanted.B, rtol=1e-9)


def test_growth_is_the_largest_eigenvalue() -> None:
    values = np.sort(np.linalg.eigvals(inverted_pendulum(1.3, 0.2, 1.0).A).real)
    np.testing.assert_allclose(values, (1 / 1.3, 1.3), rtol=1e-9)


@pytest.mark.parametrize("horizon", [2, 5, 9])
def test_ratio_is_that_of_dense_condition_numbers(horizon: int) -> None:
    system = inverted_pendulum(1.2, 0.3, 1.0)
    kappa = []
    for matrix in (
        lifted.residual_matrix(system, horizon).toarray(),
        shooting.controllability_matrix(system, horizon),
    ):
        values = np.linalg.svd(matrix, compute_uv=False)
        kappa.append((values[0] / values[-1]) ** 2)
    assert log_ratio(system, horizon) == pytest.approx(np.log10(kappa[0] / kappa[1]), abs=1e-8)


def test_lifting_wins_late_and_for_a_double_integrator_very_late() -> None:
    pendulum, integrator = (
        benchmarks.load(name).system for name in ("pendulum_upright", "double_integrator")
    )
    assert log_ratio(pendulum, 16) > 0 > log_ratio(pendulum, 20)
    assert log_ratio(integrator, 253) > 0 > log_ratio(integrator, 254)
    # The control is the unit of time: with steps of a second it is a matter of a few.
    assert log_ratio(inverted_pendulum(1.0, 1.0, 1.0), 5) < 0


def test_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("scalar", "pendulum_upright", "pendulum_fall")
    monkeypatch.setattr(conditioning, "HORIZONS", (2, 8, 32, 128))
    monkeypatch.setattr(conditioning, "GROWTHS", np.array([1.0, 1.2, 1.4]))
    monkeypatch.setattr(conditioning, "TIME_STEPS", np.array([0.03, 0.3, 1.0]))
    numbers = conditioning.regimes(names)
    assert list(numbers.benchmarks) == ["scalar", "pendulum_upright"]
    assert numbers.radii["pendulum_upright"] == pytest.approx(1.2137, abs=1e-4)
    assert (numbers.benchmarks["scalar"] > 0).all()
    assert numbers.pendulum.shape == (4, 3)
    figure = conditioning.draw(numbers)
    label = figure.axes[-1].get_xlabel()
    assert f"{(numbers.benchmarks['pendulum_upright'] < 0).sum()} of 12 cases" in label
    plt.close(figure)
