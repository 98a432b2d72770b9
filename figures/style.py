"""One look for every figure: readable in print, in dark mode and without colour vision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, in an order that also differs in lightness."""
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style for the figures made inside."""
    settings: dict[Any, Any] = {
        "figure.dpi": 150,
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
    }
    with plt.rc_context(settings):
        yield


def line_styles() -> Iterator[dict[str, object]]:
    """Yield a colour and a line pattern for one series after the other."""
    for colour, line in zip(cycle(COLOURS), cycle(LINES), strict=False):
        yield {"color": colour, "linestyle": line}
