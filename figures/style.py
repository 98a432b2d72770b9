"""One look for every figure: readable in print, on dark pages and without colour vision.

Figures are opaque white cards.  A transparent figure would have to be read on white and on dark pages alike,
and no colour can be: its contrast with the worse of two backgrounds is at most the root of theirs, 4.4 for
white and #0d1117, while text needs 4.5 (WCAG 2.2).  The card is the same in print, on either page and in slides.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure

from grasp_theory.files import atomic_file

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette.  The first four are told from white as thin lines; the next two want a dark edge."""
GREY = "#6E6E6E"
"""For what is only there to compare with."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
DIVERGING = LinearSegmentedColormap.from_list("diverging", (COLOURS[0], "#F7F7F7", COLOURS[1]))
"""For signed quantities, white at the middle of the scale."""
FONT, FONT_SIZE = "DejaVu Sans", 8
"""The font comes with matplotlib, so that figures are the same everywhere; the size is in points."""
WIDTH = 7.0
"""Width of every figure, in inches: that of a page's text, so that the font's size is what is printed."""
TEXT_CONTRAST = 4.5
"""Least contrast of text with its background (WCAG 2.2, level AA)."""


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style for the figures made inside."""
    settings: dict[Any, Any] = {
        "figure.dpi": 200,
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "font.family": FONT,
        "font.size": FONT_SIZE,
        "axes.titlesize": FONT_SIZE,
        "axes.titlelocation": "left",
        "axes.labelsize": FONT_SIZE,
        "xtick.labelsize": FONT_SIZE,
        "ytick.labelsize": FONT_SIZE,
        "legend.fontsize": FONT_SIZE,
        "figure.titlesize": FONT_SIZE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
    }
    with plt.rc_context(settings):
        yield


def line_styles() -> Iterator[dict[str, object]]:
    """Yield a colour and a line pattern for one series after the other."""
    for colour, line in zip(cycle(COLOURS), cycle(LINES), strict=False):
        yield {"color": colour, "linestyle": line}


def marked(colours: Sequence[str], points: int) -> Iterator[dict[str, Any]]:
    """Yield a colour and a marker for one series after the other, where a line pattern has another meaning.

    Arguments
        colours: one a series.
        points: of each series; some five of them are marked, others in each, so that lines that coincide show both.
    """
    stride = max(1, points // 5)
    for k, (colour, marker) in enumerate(zip(colours, cycle(MARKERS), strict=False)):
        yield {"color": colour, "marker": marker, "markevery": (k * stride // len(colours), stride)}


def shades(count: int) -> tuple[str, ...]:
    """Return colours for an ordered family, such as growing horizons: from dark to light, all told from white."""
    return tuple(to_hex(mpl.colormaps["plasma"](x)) for x in np.linspace(0.0, 0.62, count))


def ink(colour: str) -> str:
    """Return the colour, darkened as far as text on white needs it."""
    while contrast(colour) < TEXT_CONTRAST:
        red, green, blue = to_rgb(colour)
        colour = to_hex((0.97 * red, 0.97 * green, 0.97 * blue))
    return colour


def contrast(colour: str, background: str = "white") -> float:
    """Return the contrast ratio of two colours, 1 to 21.  Source: WCAG 2.2, relative luminance."""
    darker, lighter = sorted(map(_luminance, (colour, background)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def panel_letters(axes: Iterable[Axes]) -> None:
    """Put a bold a, b, c, ... before the titles of the panels, in the order given."""
    for letter, axis in zip(string.ascii_lowercase, axes, strict=False):
        axis.set_title(rf"$\mathbf{{{letter}}}$  {axis.get_title(loc='left')}".rstrip(), loc="left")


def label_end(axis: Axes, x: float, y: float, text: str, colour: str) -> None:
    """Write what a line shows right of its end (x, y), in its colour."""
    axis.annotate(
        text, (x, y), (3.0, 0.0), textcoords="offset points", color=ink(colour), va="center", annotation_clip=False
    )  # fmt: skip


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write NAME.pdf and NAME.png and return their paths; the same figure always gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    pdf, png = folder / f"{name}.pdf", folder / f"{name}.png"
    with mpl.rc_context({"pdf.fonttype": 42}), atomic_file(pdf) as file:
        figure.savefig(file, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    with atomic_file(png) as file:
        figure.savefig(file, format="png", metadata={"Software": None})
    return pdf, png
