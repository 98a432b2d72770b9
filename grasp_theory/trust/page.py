"""A diagnosis as one self-contained page: no network, no script."""

from __future__ import annotations

import io
import math
import re

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from grasp_theory.trust.findings import findings, recommendation
from grasp_theory.trust.measured import Measured

BLUE, RED = "#0072b2", "#d55e00"
"""Of Okabe and Ito's palette, as in the report."""


def render(found: Measured) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("grasp_theory.trust"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    pictures = [(title, text, Markup(svg)) for title, text, svg in _pictures(found)]
    page = environment.get_template("diagnosis.html.j2").render(
        found=found, sections=findings(found), advice=recommendation(found), pictures=pictures
    )
    return re.sub(r"\n\s*\n+", "\n", page) + "\n"


def _pictures(found: Measured) -> list[tuple[str, str, str]]:
    linear, horizon = found.linear, found.linear.horizon
    drawn = [
        (
            "Gradients through the rollout",
            "‖∂s_T/∂a_t‖ of every trajectory, and their median: level lines are what a gradient planner can use.",
            _per_time(np.arange(horizon), found.smoothness.gradients, "t", "‖∂s_T/∂a_t‖"),
        ),
        (
            "What actions do in one step",
            "Singular values of ∂F/∂a, each a median over plans; below the dotted line directions count as idle.",
            _gains(found),
        ),
    ]
    if found.drift is not None:
        drawn.append(
            (
                "Errors that a rollout accumulates",
                "Root mean square error of s_t under Theorem 9; the dotted line is the radius of the goal region.",
                _per_time(
                    np.arange(1, horizon + 1), found.drift.spread, "t", "error of s_t", found.drift.radius
                ),
            )
        )
        if not np.isnan(found.drift.inside).any():
            drawn.append(
                (
                    "How far ahead a belief means something",
                    "Probability that the true state is in the goal region when the model's is at its centre; 1/2 is dotted.",
                    _per_time(
                        np.arange(1, horizon + 1), found.drift.inside, "t", "probability", 0.5, log=False
                    ),
                )
            )
    moves = (linear.flat_states[:, 1:] - linear.flat_states[:, :-1]).norm(dim=2).numpy()
    drawn.append(
        ("Steps along the trajectories", "‖s_{t+1} − s_t‖, by which widths of noise are measured.",
         _per_time(np.arange(horizon), moves, "t", "‖s_{t+1} − s_t‖", log=False))
    )  # fmt: skip
    return drawn


def _per_time(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    x: str,
    y: str,
    level: float = math.nan,
    *,
    log: bool = True,
) -> str:
    figure, axes = _axes(x, y)
    axes.plot(times, values.T, color=BLUE, alpha=0.3, linewidth=1.0, marker="." if len(times) == 1 else None)
    axes.plot(times, np.median(values, axis=0), color=BLUE, linewidth=2.2, marker="o", markersize=3)
    if math.isfinite(level):
        axes.axhline(level, color=RED, linestyle=":")
    if log and (values > 0.0).any():
        axes.set_yscale("log")
    return _svg(figure)


def _gains(found: Measured) -> str:
    figure, axes = _axes("direction", "singular value of ∂F/∂a")
    median = np.median(found.reach.action_gains.reshape(-1, found.reach.action_gains.shape[-1]), axis=0)
    axes.bar(np.arange(1, len(median) + 1), median, color=BLUE)
    axes.axhline(found.rank_tolerance * median[0], color=RED, linestyle=":")
    return _svg(figure)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 3.0), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "diagnosis"}):  # the same names of parts in every run
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
