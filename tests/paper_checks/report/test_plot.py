"""Plots stay inside their frame, at positions that can be read back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_checks.report.plot import MARKERS, MARKERS_SHOWN, WIDTH, plot


def curve(ys: list[float], **options: Any) -> dict[str, Any]:
    series = [{"name": "only", "x": [float(i + 1) for i in range(len(ys))], "y": ys}]
    return {
        "title": "t",
        "x_label": "x",
        "y_label": "y",
        "log_x": False,
        "log_y": False,
        "series": series,
        **options,
    }


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30))
def test_linear_plots_stay_inside_the_frame(ys: list[float]) -> None:
    check_inside(curve(ys))


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=30), st.booleans())
def test_logarithmic_plots_stay_inside_the_frame(ys: list[float], log_x: bool) -> None:
    check_inside(curve(ys, log_y=True, log_x=log_x))


def check_inside(data: dict[str, Any]) -> None:
    drawn = plot(data)
    drawn_points = points(drawn.lines[0].path)
    assert len(drawn_points) == len(data["series"][0]["y"])
    for x, y in drawn_points:
        assert drawn.left <= x <= drawn.right
        assert drawn.top <= y <= drawn.bottom
    assert 0.0 < drawn.left < drawn.right < WIDTH
    for ticks, low, high in (
        (drawn.x_ticks, drawn.left, drawn.right),
        (drawn.y_ticks, drawn.top, drawn.bottom),
    ):
        assert all(low <= tick.at <= high and tick.label for tick in ticks)


def test_larger_values_are_drawn_higher_and_ticks_agree_with_points() -> None:
    drawn = plot(curve([0.0, 5.0, 10.0]))
    heights = [y for _, y in points(drawn.lines[0].path)]
    assert heights == sorted(heights, reverse=True)
    at = {tick.label: tick.at for tick in drawn.y_ticks}
    # Path data are rounded to a tenth of a unit.
    assert at["0"] == pytest.approx(heights[0], abs=0.06)
    assert at["10"] == pytest.approx(heights[2], abs=0.06)


def test_decades_are_labelled_as_powers_and_short_ranges_as_numbers() -> None:
    assert [tick.label for tick in plot(curve([1e-3, 1.0, 1e3], log_y=True)).y_ticks][::6] == ["10⁻³", "10³"]
    assert {"2", "5", "10"} <= {tick.label for tick in plot(curve([1.5, 12.0], log_y=True)).y_ticks}
    assert all(len(plot(curve([1.0, top], log_y=True)).y_ticks) <= 8 for top in (1e5, 1e40, 1e300))


def test_a_constant_has_room_and_a_tick() -> None:
    for value in (0.0, 3.0, -1e-9, 1e200):
        assert plot(curve([value, value])).y_ticks


def test_series_differ_without_colour() -> None:
    many = curve([1.0, 2.0])
    many["series"] = [{**many["series"][0], "name": str(i)} for i in range(3 * len(MARKERS))]
    lines = plot(many).lines
    first = lines[: len(MARKERS)]
    assert len({line.marker for line in first}) == len({line.dash for line in first}) == len(MARKERS)
    assert len({(line.marker, line.dash) for line in lines}) == len(lines)


def test_markers_are_thinned_and_the_line_is_not() -> None:
    (line,) = plot(curve([float(i) for i in range(1000)])).lines
    assert len(points(line.path)) == 1000
    assert len(re.findall(r"M", line.markers)) <= MARKERS_SHOWN


def test_the_description_tells_the_curve_in_words() -> None:
    assert plot(curve([1.0, 4.0, 9.0], log_y=True)).description == (
        "y against x; logarithmic y; only: from 1 at 1 to 9 at 3, rising throughout."
    )
    assert "falling" in plot(curve([3.0, 2.0])).description
    assert "constant" in plot(curve([3.0, 3.0])).description
    assert "between 1 and 5" in plot(curve([1.0, 5.0, 2.0])).description
