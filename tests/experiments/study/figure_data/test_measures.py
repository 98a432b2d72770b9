"""What the data of each figure holds, and the measures on models that are wrong in a known way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluation_doubles import BrittleModel, StateModel, TellingWall
from figure_data_cases import TINY, tiny

from experiments.evaluation.observe import encode, random_pairs
from experiments.evaluation.state_gradient import faking_step, smallest_perturbation
from experiments.study.figure_data.adversarial import HONEST, NEAR
from experiments.study.figure_data.cases import SETTINGS
from experiments.study.figure_data.figure_data_command import FIGURES
from experiments.study.figure_data.files import LARGEST, read, write
from grasp_theory.world_models import available
from grasp_theory.world_models.architecture import BACKBONES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")


@pytest.mark.parametrize("number", FIGURES)
def test_data_is_finite_small_and_survives_storage(number: int, tmp_path) -> None:
    data = tiny(number)
    for name, array in data.arrays.items():
        assert array.dtype == np.uint8 or np.isfinite(array).all(), name
    write(tmp_path, number, data)  # its numbers are JSON without NaN
    assert (tmp_path / "figures" / f"figure_{number}.npz").stat().st_size < LARGEST
    assert read(tmp_path, number).numbers == data.numbers


def test_the_measurement_is_the_same_each_time() -> None:
    from experiments.study.figure_data.landscapes import landscapes

    again, numbers = landscapes(TINY)
    first = tiny(1)
    assert numbers == first.numbers["landscapes"]
    for name, array in again.items():
        np.testing.assert_array_equal(array, first.arrays[name])


def test_curves_start_at_one_and_belong_to_plans_that_succeed() -> None:
    data = tiny(1)
    for setting in SETTINGS:
        table = data.numbers["distances"][setting.task]
        for kind in ("true", "latent"):
            curves = data.arrays[f"{setting.task}_{kind}"]
            assert curves.shape == (table["both"]["count"], setting.horizon + 1)
            np.testing.assert_array_equal(curves[:, 0], 1)
        solved = sum(round(table[name]["solved"]["value"] * 2) for name in ("GRASP", "GradientDescent"))
        assert solved == table["both"]["count"]


def test_every_shipped_model_is_attacked() -> None:
    data = tiny(3)
    names = {card.name for card in available() if card.architecture.encoder not in BACKBONES}
    assert set(data.numbers["adversarial"]) == names
    for name in names:
        assert data.arrays[f"{name}_relative"].shape == (TINY.pairs,)


@pytest.mark.parametrize(("model", "adversarial"), [(StateModel, False), (BrittleModel, True)])
def test_a_brittle_model_is_faked_by_a_nearby_state_and_an_honest_one_is_not(
    model, adversarial: bool
) -> None:
    task = TellingWall()
    made = model(task)
    frames, goal_frames = random_pairs(task, np.random.default_rng(0), 12)
    states, goals = encode(made, task, frames), encode(made, task, goal_frames)
    step = faking_step(made, states, goals, 300)
    torch.testing.assert_close(step.norm(dim=1), smallest_perturbation(made, states, goals, 300))
    ratio = np.median(step.norm(dim=1) / (goals - states).norm(dim=1))
    if adversarial:
        assert ratio < NEAR / 2  # 0.9/√(1 + 20²) is the least
    else:
        assert HONEST <= ratio < HONEST + 0.05
    after = made.step(states + step, states.new_zeros(len(states), 10))
    # The step does what it says: a tenth of the way is left.
    assert ((after - goals).norm(dim=1) <= 0.1001 * (states - goals).norm(dim=1)).all()


def test_a_pair_without_a_step_is_nan_and_infinitely_far() -> None:
    class Stuck(StateModel):
        def step(self, state, action):
            return 0 * state + 0 * action.sum(-1, keepdim=True)

    task = TellingWall()
    made = Stuck(task)
    frames, goal_frames = random_pairs(task, np.random.default_rng(0), 4)
    states, goals = encode(made, task, frames), encode(made, task, goal_frames)
    assert faking_step(made, states, goals, 20).isnan().all()
    assert smallest_perturbation(made, states, goals, 20).isinf().all()


def test_virtual_states_start_on_the_straight_line_and_pictures_have_rows() -> None:
    data = tiny(4)
    for setting in SETTINGS:
        table = data.numbers["virtual_states"][setting.task]
        rows = data.arrays[f"{setting.task}_rows"]
        assert rows[0] == 0
        assert data.arrays[f"{setting.task}_pictures"].shape == (len(rows) + 1, 6, 64, 64, 3)
        assert data.arrays[f"{setting.task}_residual"].shape == (
            len(data.arrays[f"{setting.task}_iterations"]),
            3,
        )
        assert table["residual"]["start"] > 0
        assert (table["through_walls"]["start"] is None) == (setting.task == "push_t")


def test_long_plans_are_compared_on_the_same_problems() -> None:
    table = tiny(6).numbers["long_plans"]
    for planners in table["detours"].values():
        counts = {None if shares["true"] is None else shares["true"]["count"] for shares in planners.values()}
        assert len(counts) == 1
    assert set(table["push_t"]) == {"10", "16"}


def test_bad_minima_count_broken_transitions() -> None:
    data = tiny(7)
    for task, planners in data.numbers["bad_minima"].items():
        for i, table in enumerate(planners.values()):
            gaps = data.arrays[f"{task}_residuals_{i}"]
            assert table["broken"]["value"] == np.mean((gaps > 0.5).any(axis=1))
            middle = (gaps[:, 1:-1] > 0.5).any(axis=1)
            assert table["broken_in_the_middle"]["value"] == np.mean(middle)
