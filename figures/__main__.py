"""`python -m figures`: write the figures as PDF and PNG."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer

from figures.registry import FIGURES, MissingError, produce
from grasp_theory.command_line import add, expect_folder, new_app
from linear_systems.errors import ParameterError


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which figures; all by default.")] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("report/figures"),
    show: Annotated[bool, typer.Option("--list", help="List the figures and stop.")] = False,
) -> None:
    """Write figures as PDF and PNG, and say what is missing for those that cannot be made.

    Exit code 1: a figure that was asked for by name cannot be made, or none could be.
    """
    if unknown := set(names or ()) - set(FIGURES):
        raise ParameterError("names", f"some of {', '.join(FIGURES)}", ", ".join(sorted(unknown)), "--list")
    if show:
        for name in names or FIGURES:
            typer.echo(f"{name:17} {FIGURES[name].about}")
        return
    expect_folder(output)
    mpl.use("Agg")
    chosen, missing = list(dict.fromkeys(names or FIGURES)), []
    for number, name in enumerate(chosen, 1):
        start, label = time.perf_counter(), f"[{number:{len(str(len(chosen)))}}/{len(chosen)}] {name}"
        if sys.stderr.isatty():
            typer.echo(f"{label} …", err=True)
        try:
            paths = produce(name, output)
        except MissingError as error:
            missing.append(name)
            typer.echo(f"{label}: missing: {error}")
        else:
            seconds = time.perf_counter() - start
            typer.echo(f"{label}: {', '.join(map(str, paths))} ({seconds:.1f} s)")
    if missing:
        typer.echo(f"{len(chosen) - len(missing)} of {len(chosen)} written; missing: {', '.join(missing)}")
        if names or len(missing) == len(chosen):
            raise typer.Exit(1)


app = new_app()
add(app, main, "figures that were written stay; the others are made by their names.")


if __name__ == "__main__":
    app()
