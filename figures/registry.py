"""Which figures there are, where each is made, and what makes the data that it is drawn from."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt

from figures.style import save
from linear_systems.errors import MissingPackageError


class MissingError(Exception):
    """A figure cannot be made here; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Entry:
    """A figure.

    Arguments
        module: the module whose `make()` returns the figure and its numbers.
        about: what it shows.
        data: the command that makes the stored data it is drawn from; None if it computes all it shows.
    """

    module: str
    about: str
    data: str | None = None


def _of_paper(number: int, about: str) -> Entry:
    data = {
        2: None,
        5: "python -m experiments table 1",
    }
    command = data.get(number, f"python -m experiments figure-data --only {number}")
    return Entry(
        f"figures.paper.figure_{number}", f"the paper's Figure {number} on our models: {about}", command
    )


FIGURES = {
    "figure-1": _of_paper(1, "distance along non-greedy plans, loss landscapes"),
    "figure-2": _of_paper(2, "the scheme"),
    "figure-3": _of_paper(3, "state steps that the model cannot tell from its own"),
    "figure-4": _of_paper(4, "virtual states over planning iterations, decoded"),
    "figure-5": _of_paper(5, "success over time"),
    "figure-6": _of_paper(6, "virtual states of long plans, decoded"),
    "figure-7": _of_paper(7, "plans where the dynamics are only a penalty"),
    "smoothness": Entry("figures.theory.smoothness", "Theorems 2 and 3: L_S and L_L over the horizon"),
    "conditioning": Entry(
        "figures.theory.conditioning", "where shooting, and where lifting, is better conditioned"
    ),
    "transient-growth": Entry("figures.theory.transient_growth", "Theorem 6: the constant before its rate"),
    "uniform-rate": Entry(
        "figures.theory.uniform_rate",
        "Theorem 6: its rate, the uniform one, and the constant on both sides of r = 1",
    ),
    "sync-fixed-point": Entry(
        "figures.theory.sync_fixed_point", "where GRASP with syncs settles, between greedy and shooting"
    ),
    "tube": Entry("figures.theory.tube", "Theorem 7: the tube, measured in the planner"),
    "state-noise-law": Entry(
        "figures.theory.state_noise_law", "Appendix A.3: the law under noise on the states only"
    ),
    "theory-overview": Entry("figures.theory.theory_overview", "the linear theory in four panels"),
    "planner-example": Entry("figures.planning.planner_example", "GRASP's plans around a wall"),
    "trust": Entry(
        "figures.planning.trust",
        "reliability of the score of acceptance, and what is true of accepted plans",
        "python -m experiments.scripts.acceptance --plans my_plans",
    ),
    "budgets": Entry(
        "figures.planning.budgets",
        "planners on our world models: success of the returned plan against evaluations",
        "python -m experiments table 1, and table 3",
    ),
    "worlds": Entry(
        "figures.planning.worlds",
        "planners in analytic worlds: success against evaluations",
        "python -m experiments worlds",
    ),
    "world-models": Entry("figures.planning.world_models", "what the shipped world models predict"),
}
"""Name -> figure, in the order in which they are made."""


def caption(name: str) -> str:
    """Return what the marks of a figure are: the paragraph under the first line of its module's docstring."""
    found = find_spec(FIGURES[name].module)
    assert found is not None
    assert found.origin is not None
    docstring = ast.get_docstring(ast.parse(Path(found.origin).read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[2].split())


def produce(name: str, folder: Path) -> tuple[Path, Path]:
    """Make the figure called `name`, write it as PDF and PNG, and return their paths.

    Where stored data is not there, a figure's `make()` raises FileNotFoundError with the file's name.

    Raises
        MissingError: its module, a package it needs, or its data is not there.
    """
    entry = FIGURES[name]
    try:
        figure, _ = importlib.import_module(entry.module).make()
    except MissingPackageError as error:
        raise MissingError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name == entry.module:
            raise MissingError(f"{entry.module} is not written yet") from error
        raise MissingError(f"needs {error.name}: pip install --group experiments") from error
    except FileNotFoundError as error:
        if entry.data is None:
            raise
        raise MissingError(f"no {error.filename or error}; make it with: {entry.data}") from error
    try:
        return save(figure, folder, name)
    finally:
        plt.close(figure)
