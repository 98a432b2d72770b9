"""The numbers behind the figure of Appendix A.3: both limit laws, and how they are approached."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.theory import state_noise_law
from figures.theory.state_noise_law import (
    HORIZON,
    RATIOS,
    SIGMA,
    STATE_STEP,
    Laws,
    frozen_actions_covariance,
    laws,
)
from grasp_theory import theorems
from linear_systems import LinearSystem, benchmarks, noise

mpl.use("Agg")
NAMES = ("pendulum_upright", "mujoco_reacher")


def _system(name: str) -> LinearSystem:
    system = benchmarks.load(name).system
    assert isinstance(system, LinearSystem)
    return system


@pytest.fixture(scope="module")
def numbers() -> dict[str, Laws]:
    return {name: laws(_system(name)) for name in NAMES}


def test_distances_are_those_of_the_theorem_s_record(numbers: dict[str, Laws]) -> None:
    check = theorems.state_noise_law(
        _system("pendulum_upright"), HORIZON, (STATE_STEP, RATIOS[9] * STATE_STEP), SIGMA
    )
    law = numbers["pendulum_upright"]
    assert law.to_suggested[9] == pytest.approx(check.quantities["wasserstein2"] / check.bound**0.5, rel=1e-9)
    assert law.energy[9] == pytest.approx(check.computed / check.bound, rel=1e-9)
    assert law.flat == check.quantities["diffusing_directions"]


def test_both_limits_are_approached_like_a_square_root(numbers: dict[str, Laws]) -> None:
    """A change of a covariance by ε moves the distance of singular laws by √ε; two ratios a decade apart give 1/2."""
    law = numbers["mujoco_reacher"]
    decade = np.log10(RATIOS[1] / RATIOS[0])
    assert np.log10(law.to_suggested[-1] / law.to_suggested[-2]) / decade == pytest.approx(-0.5, abs=1e-3)
    law = numbers["pendulum_upright"]
    assert np.log10(law.to_frozen[1] / law.to_frozen[0]) / decade == pytest.approx(0.5, abs=1e-3)
    # The control: neither limit is the other's.
    assert law.to_frozen[-1] > 0.5
    assert law.to_suggested[0] > 0.5


def test_energy_falls_from_one_limit_to_the_other(numbers: dict[str, Laws]) -> None:
    """n(T−1) / (rank M − rank M_a), with rank M = n(T−1) + the reachable dimension and B of full column rank."""
    for name, law in numbers.items():
        system = _system(name)
        n, m = system.state_dim, system.action_dim
        states, reachable = n * (HORIZON - 1), benchmarks.load(name).facts.reachable_rank
        assert law.frozen_energy == pytest.approx(states / (states + reachable - m * HORIZON), rel=1e-9)
        assert (np.diff(law.energy) < 1e-12).all()
        assert 1.0 < law.energy[-1] < 1.001
        assert law.energy[0] == pytest.approx(law.frozen_energy, rel=1e-3)


def test_the_law_under_noise_on_everything_is_no_limit() -> None:
    """The control: exp(−β J_L) itself, Eq. (56), keeps its distance at every ratio."""
    system = _system("pendulum_upright")
    gibbs = noise.gibbs_residual_covariance(system, HORIZON, noise.inverse_temperature(STATE_STEP, SIGMA))
    gibbs = (gibbs + gibbs.T) / 2
    for ratio in RATIOS:
        law = noise.ornstein_uhlenbeck(system, HORIZON, (STATE_STEP, ratio * STATE_STEP), SIGMA)
        assert noise.wasserstein2(law.residual_covariance, gibbs) > 0.1 * np.trace(gibbs) ** 0.5


def test_frozen_actions_leave_the_states_in_equilibrium() -> None:
    """σ²/(4η_s) times a projection of rank n(T−1)."""
    system = _system("pendulum_upright")
    projection = frozen_actions_covariance(system, 5) * 4 * STATE_STEP / SIGMA**2
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-13)
    assert np.trace(projection) == pytest.approx(8, rel=1e-12)


def test_it_draws(numbers: dict[str, Laws]) -> None:
    figure = state_noise_law.draw(numbers)
    assert len(figure.axes[0].get_lines()) == 2 * len(numbers)
    plt.close(figure)
