"""`python -m experiments.scripts.execute_notebooks`: run the notebooks and store what they show.

The stored files hold sources and outputs only: no timestamps, no paths, no versions of the kernel.  With
GRASP_THEORY_QUICK=1 in the environment the notebooks take smaller sizes; what is committed comes from a full run.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import nbformat
import typer
from nbclient import NotebookClient

from experiments.paths import NOTEBOOKS
from grasp_theory.command_line import add, expect_folder, new_app
from grasp_theory.files import write_atomically

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(source: Path, target: Path, timeout: int) -> None:
    """Run `source` from its first cell to its last, each in at most `timeout` seconds, and write it to `target`.

    Raises
        nbclient.exceptions.CellExecutionError: a cell raised; nothing is written.
    """
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(source.parent)}},
    )
    with TemporaryDirectory() as folder:
        # Start-up files and profiles of the user's IPython could change the outputs.
        client.execute(env={**os.environ, "IPYTHONDIR": folder})
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(target, text.rstrip("\n") + "\n")


def main(
    notebooks: Annotated[
        list[Path] | None, typer.Argument(help="Default: all in experiments/notebooks.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to write to; default: in place.")] = None,
    timeout: Annotated[int, typer.Option(help="Seconds that one cell may take.")] = 300,
) -> None:
    """Run notebooks from top to bottom and store their outputs."""
    expect_folder(output)
    for source in notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        execute(source, output / source.name if output else source, timeout)
        typer.echo(source.name)


app = new_app()
add(app, main, "notebooks that were executed stay; the others are made by their paths.")

if __name__ == "__main__":
    app()
