"""Figures 1 to 7 of the paper on our models: drawn from tiny data, with its numbers on them."""

from __future__ import annotations

import importlib
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from figure_data_cases import tiny
from matplotlib.figure import Figure
from study_rows import MadeUpCell, rows_of

from experiments.study.figure_data import FigureData
from experiments.study.figure_data.figure_data_command import FIGURES
from experiments.study.figure_data.files import write
from experiments.study.reporting.summary import canonical
from experiments.study.targets import Tuned
from experiments.study.trials.store import Store
from figures.paper import figure_1, figure_2, figure_3, figure_4, figure_5, figure_6, figure_7
from figures.pictures import percent

mpl.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for number in FIGURES:
        write(folder, number, tiny(number))
    return folder


def _texts(figure: Figure) -> str:
    """Everything that is written on a figure."""
    figure.draw_without_rendering()
    found = [text.get_text() for text in figure.findobj(plt.Text)]
    return "\n".join(found)


@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.slow), *(n for n in FIGURES if n != 1)])
def test_a_figure_is_drawn_from_stored_data_and_gives_its_numbers(number: int, results: Path) -> None:
    figure, data = importlib.import_module(f"figures.paper.figure_{number}").make(results)
    assert isinstance(data, FigureData)
    assert data.numbers == tiny(number).numbers
    figure.draw_without_rendering()  # a layout that does not fit warns, and warnings are errors
    plt.close(figure)


@pytest.mark.parametrize("number", [*FIGURES, 5])
def test_without_data_it_says_which_command_makes_it(number: int, tmp_path: Path) -> None:
    command = "table 1" if number == 5 else f"figure-data --only {number}"
    with pytest.raises(FileNotFoundError, match=f"python -m experiments {command}"):
        importlib.import_module(f"figures.paper.figure_{number}").make(tmp_path)


def test_figure_1_says_how_often_the_distance_grows(results: Path) -> None:
    figure, data = figure_1.make(results)
    texts = _texts(figure)
    for task in ("wall_single", "point_maze", "push_t"):
        shares = data.numbers["distances"][task]["both"]["true"]
        assert f"task recedes: {'—' if shares is None else percent(shares['recedes'])}" in texts
    # Three panels of curves, two surfaces with one bar, the roughness.
    assert len(figure.axes) == 7
    plt.close(figure)


def test_figure_2_cuts_every_state_that_is_optimised() -> None:
    figure, numbers = figure_2.make()
    assert numbers is None
    serial, lifted = figure.axes
    crosses = [[line for line in axis.lines if line.get_marker() == "x"] for axis in (serial, lifted)]
    # One for each free state between the ends, and one in the key.
    assert [len(found) for found in crosses] == [0, figure_2.STEPS - 1 + 1]
    plt.close(figure)


def test_figure_3_shows_every_model_and_the_size_of_the_shown_steps(results: Path) -> None:
    figure, data = figure_3.make(results)
    texts = _texts(figure)
    models = [name for name in data.arrays if name.endswith("_relative")]
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert len(labels) == len(set(labels)) == len(models)
    for name in data.arrays:
        if name.endswith("_shown"):
            assert f"‖δ‖ = {float(data.arrays[name]):.2f}" in texts
    plt.close(figure)


def test_figure_4_places_every_picture(results: Path) -> None:
    figure, data = figure_4.make(results)
    count = sum(
        np.prod(data.arrays[f"{task}_pictures"].shape[:2]) + 1
        for task in ("wall_single", "point_maze", "push_t")
    )
    assert sum(len(axis.images) for axis in figure.axes) == count
    assert percent(data.numbers["virtual_states"]["push_t"]["feasible"]) in _texts(figure)
    plt.close(figure)


def test_figure_6_puts_the_goals_right_of_a_dashed_line(results: Path) -> None:
    figure, data = figure_6.make(results)
    plans = figure.axes[0]
    (line,) = [line for line in plans.lines if line.get_linestyle() == "--"]
    at = line.get_xdata()[0]
    right = [image for image in plans.images if image.get_extent()[0] > at]
    assert len(right) == len(data.arrays["goals"])
    assert len(plans.images) == len(right) + 2 * np.prod(data.arrays["pictures"].shape[:2])
    plt.close(figure)


def test_figure_7_leaves_the_noisy_states_of_grasp_out_of_the_broken_ones(results: Path) -> None:
    figure, _ = figure_7.make(results)
    broken = [axis for axis in figure.axes if axis.get_title(loc="left").endswith("problems")]
    assert len(broken) == 2
    for axis in broken:
        marks = [line for line in axis.lines if line.get_marker() in "sDo" and len(line.get_xdata())]
        drawn = {question: sum(round(float(line.get_xdata()[0])) == x for line in marks)
                 for x, question in enumerate(figure_7.QUESTIONS)}  # fmt: skip
        assert drawn == {"broken": 2, "through_walls": 2, "believed": 3, "feasible": 3}
    plt.close(figure)


def test_figure_5_counts_those_that_never_succeed_and_leaves_ablations_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entries = {}
    for planner, solved in (("GRASP", 6), ("GradientDescent", 3), ("CEM", 0)):
        settings = (("iterations", 7),)
        cell = MadeUpCell(planner, planner=planner, settings=settings)
        rows = rows_of(
            cell, [i < solved for i in range(8)], mode="single", seconds=[0.5 + i for i in range(8)]
        )
        store.write(f"{planner}-single-0", rows)
        entries[f"{planner} push_t-trajectory-10"] = {"settings": dict(settings)}
    ablated = MadeUpCell("No Sync", settings=(("sync_every", None),))
    assert canonical(ablated.settings) != canonical((("iterations", 7),))
    store.write("No Sync-single-0", rows_of(ablated, [True] * 8, mode="single"))
    Tuned(entries).save(tmp_path)
    figure, panels = figure_5.make(tmp_path)
    (panel,) = panels
    assert (panel.task, panel.horizon) == ("push_t", 10)
    ends = {name: (curve.share[-1], curve.trials) for name, curve in panel.curves.items()}
    assert ends == {"GRASP": (6 / 8, 8), "GradientDescent": (3 / 8, 8), "CEM": (0, 8)}
    assert panel.curves["GRASP"].seconds.tolist() == [0, *(0.5 + i for i in range(6))]
    figure.draw_without_rendering()
    # A panel a planner, in which it alone has a band and a colour.
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["GRASP", "GD", "CEM"]
    for axis in figure.axes:
        assert len(axis.collections) == 1
        assert sorted(line.get_color() == figure_5.FAINT for line in axis.lines) == [False, True, True]
    plt.close(figure)


def test_figure_5_shows_the_horizon_nearest_to_the_papers(tmp_path: Path) -> None:
    store, entries = Store(tmp_path), {}
    for horizon in (8, 16):
        cell = MadeUpCell(f"GRASP{horizon}", problem_set=("wall_single", "random", horizon))
        store.write(f"GRASP{horizon}-single-0", rows_of(cell, [True, False], mode="single"))
        entries[f"GRASP wall_single-random-{horizon}"] = {"settings": {}}
    Tuned(entries).save(tmp_path)
    assert [panel.horizon for panel in figure_5.panels(tmp_path)] == [8]
