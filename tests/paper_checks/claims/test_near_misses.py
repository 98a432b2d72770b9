"""Controls that are near misses where the engine cannot measure how near, and what explanations say of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from linear_systems import LinearSystem
from paper_checks.claims import ALL_CLAIMS
from paper_checks.claims.noise.appendix_a3 import _inspect_distance_at_equal_steps, state_noise_law
from paper_checks.claims.printed.headline import _few_settings, _Headline, _headline
from paper_checks.claims.printed.text_short import _slower_than_gd
from paper_checks.claims.smoothness.conditioning_limits import _inspect_one_modulus
from paper_checks.claims.theorem_6.step_sizes import _inspect_best_for_radius
from paper_checks.engine.inspection import real_systems
from paper_checks.engine.run import Run, Settings


def run(claim_id: str, *, quick: bool = True) -> Run:
    return Run(next(claim for claim in ALL_CLAIMS if claim.id == claim_id), Settings(quick=quick))


def test_the_excess_over_eq_57_falls_like_the_ratio_of_step_sizes_and_the_distance_like_its_root() -> None:
    system = LinearSystem([[0.9, 1.0], [0.0, 0.5]], [[0.0], [1.0]])
    laws = [state_noise_law(system, 6, (0.1, 0.1 * ratio), 0.5) for ratio in (1e4, 1e6)]
    excess = [law.computed - law.bound for law in laws]
    distance = [law.quantities["wasserstein2"] for law in laws]
    assert np.log10(excess[0] / excess[1]) == pytest.approx(2.0, abs=0.05)
    assert np.log10(distance[0] / distance[1]) == pytest.approx(1.0, abs=0.05)


def test_the_distance_from_eq_57_has_a_control_within_two_decades() -> None:
    a3 = run("a3-state-noise")
    assert _inspect_distance_at_equal_steps(a3, 1.0).passed
    assert not _inspect_distance_at_equal_steps(a3, 30.0).passed


def test_modes_of_one_modulus_leave_shooting_well_conditioned_and_a_slower_one_does_not() -> None:
    found = _inspect_one_modulus(1.0)
    assert found.passed
    assert found.numbers["κ_S(160), λ = 1.2"] == pytest.approx(1.0)
    assert not _inspect_one_modulus(0.99).passed


def test_the_headline_is_told_from_one_point_more_and_from_a_third_of_the_time() -> None:
    claim = next(
        examination for examination in _examined("text-headline") if "10 percentage points" in examination
    )
    assert "11 points" in claim
    assert "a third" in claim
    assert _headline(_Headline()).passed
    assert not _headline(_Headline(gain=9)).passed
    assert not _few_settings(6).passed


def test_most_short_settings_take_three_times_as_long_as_gradient_descent_and_not_four() -> None:
    assert _slower_than_gd(3).passed
    assert not _slower_than_gd(4).passed
    assert any("four times" in line for line in _examined("text-limitations"))


def _examined(claim_id: str) -> list[str]:
    """Return each finding with the names of its controls, on one line."""
    made = run(claim_id)
    claim = next(claim for claim in ALL_CLAIMS if claim.id == claim_id)
    assert claim.check is not None
    claim.check(made)
    found = (*made.examinations, *(caveat.examination for caveat in made.caveats))
    return [f"{each.title}: {[control.description for control in each.controls]}" for each in found]


def test_every_benchmark_is_examined_where_every_benchmark_is_said() -> None:
    found = _inspect_best_for_radius(run("thm6-uniform-steps", quick=False), "single", [])
    assert found.passed
    assert found.numbers["benchmarks"] == len(list(real_systems()))
