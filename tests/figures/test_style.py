"""The style: legible, told apart without colour vision, and the same bytes every time."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from figures import style

mpl.use("Agg")

NORMAL = np.eye(3)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
TRITANOPIA = np.array(
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
)
"""Linear RGB as seen by dichromats: Machado, Oliveira and Fernandes (2009), severity 1."""
TOLD_APART = 10.0
"""CIELAB distance of two colours that nobody takes for one; 2.3 is just noticeable side by side."""
DARK_PAGE = "#0D1117"


def _lab(colour: str, vision: np.ndarray) -> np.ndarray:
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(vision @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ seen / (0.9505, 1.0, 1.089) + 1e-9)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", [NORMAL, PROTANOPIA, DEUTERANOPIA, TRITANOPIA])
def test_colours_are_told_apart(vision: np.ndarray) -> None:
    pairs = combinations(style.COLOURS, 2)
    assert min(np.linalg.norm(_lab(a, vision) - _lab(b, vision)) for a, b in pairs) > TOLD_APART


def test_a_darker_palette_would_not_do() -> None:
    """The control: two colours that are far apart, and one and the same to a protanope."""
    distances = [
        np.linalg.norm(np.subtract(*(_lab(c, v) for c in ("#C85200", "#8A6500"))))
        for v in (NORMAL, PROTANOPIA)
    ]
    assert distances[0] > TOLD_APART > distances[1]


def test_lines_and_text_stand_out_from_white() -> None:
    """WCAG 2.2: 3 for what a picture needs to be understood, 4.5 for text."""
    lines = (*style.COLOURS[:4], style.COLOURS[-1], style.GREY, *style.shades(4))
    assert min(map(style.contrast, lines)) >= 3.0
    assert (
        min(style.contrast(style.ink(colour)) for colour in (*style.COLOURS, *lines)) >= style.TEXT_CONTRAST
    )
    assert style.contrast(style.COLOURS[1]) < style.TEXT_CONTRAST
    assert style.ink("#000000") == "#000000"


def test_no_colour_is_text_on_white_and_on_dark_pages() -> None:
    assert style.contrast("white", "black") == pytest.approx(21.0)
    assert style.contrast("white", DARK_PAGE) ** 0.5 < style.TEXT_CONTRAST
    greys = [f"#{level:02X}{level:02X}{level:02X}" for level in range(256)]
    best = max(min(style.contrast(grey), style.contrast(grey, DARK_PAGE)) for grey in greys)
    assert best < style.TEXT_CONTRAST


def test_marked_series_have_markers_of_their_own_at_points_of_their_own() -> None:
    found = list(style.marked(style.COLOURS[:4], 40))
    assert len({each["marker"] for each in found}) == len({each["markevery"] for each in found}) == 4
    assert [each["markevery"] for each in style.marked(style.COLOURS[:3], 1)] == [(0, 1)] * 3


def test_shades_get_lighter() -> None:
    levels = [style.contrast(colour) for colour in style.shades(5)]
    assert (np.diff(levels) < 0).all()


def _figure(title: str) -> Figure:
    with style.house_style():
        figure, axes = plt.subplots(1, 2)
        axes[0].plot([0, 1], [0, 1])
        style.label_end(axes[0], 1, 1, "‖J‖ η λ", style.COLOURS[0])
        axes[0].set(title=title, xlabel="x (m)")
        axes[1].set_title("other")
        style.panel_letters(axes)
    return figure


def test_panels_get_letters() -> None:
    titles = [axis.get_title(loc="left") for axis in _figure("one").axes]
    assert titles == [r"$\mathbf{a}$  one", r"$\mathbf{b}$  other"]
    plt.close("all")


def test_saved_files_are_opaque_and_the_same_every_time(tmp_path: Path) -> None:
    first, again, other = (
        [path.read_bytes() for path in style.save(_figure(title), tmp_path / folder, "x")]
        for title, folder in (("one", "1"), ("one", "2"), ("two", "3"))
    )
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]
    assert b"CreationDate" not in first[0]
    picture = plt.imread(tmp_path / "1" / "x.png")
    assert (picture[0, 0] == 1).all()
    plt.close("all")
