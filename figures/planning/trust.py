"""Whether accepted plans are true: reliability of the score, and true success of all plans and of those accepted.

On problems that were not used for calibration: (a) The share of plans that are true, that is, succeed in the
environment, in groups of like scores, against the probability of it that the score gives, with 95% intervals; on the
line both agree. (b) The share that is true of all plans (grey) and of those accepted (in colour, with their number
and 95% intervals); dashed: the share that was asked for.
"""

from __future__ import annotations

import json
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.scripts.acceptance import ALPHA, SUMMARY
from figures.style import COLOURS, GREY, MARKERS, WIDTH, house_style, panel_letters

LABELS = {
    "wall_single": "WallSingle, T = 8", "point_maze": "PointMaze, T = 16", "push_t": "Push-T, T = 5",
    "push_t_2": "Push-T, T = 2", "push_t_held": "Push-T, T = 5, held first",
}  # fmt: skip
JUDGES = "three and robust"


def certified() -> dict[str, Any]:
    """Return the stored results of the problems for which a threshold was certified.

    Raises
        FileNotFoundError: nothing is stored.
    """
    stored = json.loads(SUMMARY.read_text(encoding="utf-8"))
    return {
        name: stored[name][JUDGES]
        for name in LABELS
        if stored.get(name, {}).get(JUDGES, {}).get("certified", False)
    }


def draw(found: dict[str, Any]) -> Figure:
    """Draw reliability on the left, and on the right what is true of all plans and of those that are accepted."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.0))
        left.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        for (name, result), colour, marker in zip(found.items(), COLOURS, MARKERS, strict=False):
            bins = result["reliability"]
            middle = np.array([each["true"]["value"] for each in bins])
            ends = np.array(
                [[m - b["true"]["low"], b["true"]["high"] - m] for m, b in zip(middle, bins, strict=True)]
            )
            predicted = [each["predicted"] for each in bins]
            left.errorbar(
                predicted, middle, yerr=ends.T, fmt=marker, color=colour, capsize=2, label=LABELS[name]
            )
        left.set(
            xlabel="probability that the score gives",
            ylabel="share that is true",
            title="reliability, fresh problems",
        )
        left.legend(loc="upper left")
        _bars(right, found)
        panel_letters((left, right))
    return figure


def _bars(axes: Axes, found: dict[str, Any]) -> None:
    places = np.arange(len(found))
    for place, (result, colour) in enumerate(zip(found.values(), COLOURS, strict=False)):
        accepted = result["precision"]
        ends = [[accepted["value"] - accepted["low"]], [accepted["high"] - accepted["value"]]]
        axes.bar(
            place - 0.2,
            result["true"] / result["plans"],
            0.36,
            color=GREY,
            label="all plans" if not place else None,
        )
        axes.bar(place + 0.2, accepted["value"], 0.36, color=colour, yerr=ends, capsize=3)
        axes.annotate(
            f"{result['accepted']}\nof {result['plans']}",
            (place + 0.2, 0.03),
            ha="center",
            color="white",
            fontsize="x-small",
        )
    axes.axhline(1 - ALPHA, color="black", linestyle="--", linewidth=1)
    axes.text(-0.55, 1 - ALPHA, f"asked: {1 - ALPHA:.0%}", va="bottom", fontsize="small")
    axes.set_xticks(places, [LABELS[name].replace(", ", "\n") for name in found])
    axes.set(
        ylim=(0, 1.05),
        xlim=(-0.6, len(found) - 0.4),
        ylabel="share that is true",
        title="all plans (grey), those accepted (colour)",
    )


def make() -> tuple[Figure, dict[str, Any]]:
    """Return the figure and its numbers."""
    found = certified()
    return draw(found), found
