"""`python -m figures`: write the figures as PNG and PDF."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import matplotlib.pyplot as plt
import typer

FIGURES = {
    "theory-overview": "figures.theory_overview",
    "planner-example": "figures.planner_example",
    "world-models": "figures.world_models",
}
"""Name -> module whose `make()` returns the figure and its numbers."""


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Which figures: {', '.join(FIGURES)}. Default: all.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("report/figures"),
) -> None:
    """Write figures as PNG and PDF."""
    unknown = set(names or ()) - set(FIGURES)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: expected some of {', '.join(FIGURES)}")
    mpl.use("Agg")
    output.mkdir(parents=True, exist_ok=True)
    for name in names or FIGURES:
        figure, _ = importlib.import_module(FIGURES[name]).make()
        for suffix in ("png", "pdf"):
            path = output / f"{name}.{suffix}"
            figure.savefig(path)
            typer.echo(path)
        plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
