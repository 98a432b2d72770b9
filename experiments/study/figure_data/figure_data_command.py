"""`python -m experiments figure-data`: measure what Figures 1, 3, 4, 6 and 7 show, figure by figure."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.paths import RESULTS
from experiments.study.figure_data.adversarial import adversarial_steps
from experiments.study.figure_data.cases import SETTINGS, tuned_settings
from experiments.study.figure_data.distances import distances
from experiments.study.figure_data.extents import FULL, QUICK, SEED, Sizes
from experiments.study.figure_data.files import FigureData, FigureDataError, path_of, read, write
from experiments.study.figure_data.landscapes import landscapes
from experiments.study.figure_data.traps import bad_minima
from experiments.study.figure_data.virtual_states import LONG, PLANNERS, long_plans, virtual_states
from experiments.threads import one_thread
from grasp_theory.command_line import expect_folder
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks import TASKS
from grasp_theory.world_models import available
from grasp_theory.world_models.architecture import BACKBONES
from linear_systems.errors import ParameterError

Measure = Callable[[Sizes], tuple[dict[str, np.ndarray], dict[str, Json]]]

FIGURES: Mapping[int, Mapping[str, Measure]] = {
    1: {"distances": distances, "landscapes": landscapes},
    3: {"adversarial": adversarial_steps},
    4: {"virtual_states": virtual_states},
    6: {"long_plans": long_plans},
    7: {"bad_minima": bad_minima},
}
"""What each figure measures.  Figure 2 is drawn, and Figure 5 is drawn from the rows of the tables."""


def figure_data(
    only: Annotated[
        list[int] | None,
        typer.Option(help=f"Figures to measure: {', '.join(map(str, FIGURES))}. Default: all."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small samples: seconds, to try it.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Measure again what is there.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Measure what the figures show on the shipped models; figures that are there already are left out.

    A figure that was measured with other models or other tuned settings is measured again, and full mode replaces what
    quick mode left.
    """
    unknown = set(only or ()) - set(FIGURES)
    if unknown:
        expected = f"some of {', '.join(map(str, FIGURES))}"
        raise ParameterError(
            "only", expected, f"{sorted(unknown)}", "figures 2 and 5 need no data of their own"
        )
    for folder in (out, path_of(out, 1).parent):
        expect_folder(folder)
    sizes = QUICK if quick else FULL
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True,
    )  # fmt: skip
    with bar, one_thread():
        numbers = only or list(FIGURES)
        total = sum(len(FIGURES[number]) for number in numbers)
        stage = bar.add_task("figures", total=total)
        for number in numbers:
            there = None if overwrite else stored(out, number)
            if there is not None and (quick or there.provenance["sizes"] == asdict(sizes)):
                console.print(f"figure {number}: there already ({path_of(out, number)})", markup=False)
                bar.advance(stage, len(FIGURES[number]))
                continue

            def next_part(name: str, number: int = number) -> None:
                bar.update(stage, description=f"figure {number}: {name}")

            data = measure(number, sizes, next_part, lambda: bar.advance(stage))
            write(out, number, data)
            console.print(
                f"figure {number}: {data.provenance['seconds']} s, {path_of(out, number)}", markup=False
            )


def measure(
    number: int,
    sizes: Sizes,
    before: Callable[[str], object] = lambda name: None,
    after: Callable[[], object] = lambda: None,
) -> FigureData:
    """Return the data of a figure.

    Arguments
        number: of the figure, one of `FIGURES`.
        sizes: of the samples.
        before, after: called with the name of each part, and after it.
    """
    began = time.perf_counter()
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, Json] = {}
    for name, part in FIGURES[number].items():
        before(name)
        some, table = part(sizes)
        arrays |= some
        numbers[name] = table
        after()
    provenance: dict[str, Json] = {
        **inputs(), "sizes": asdict(sizes), "seed": SEED,
        "version": version("grasp-theory"), "torch": torch.__version__, "python": platform.python_version(),
        "processor": platform.machine(), "cores": os.cpu_count(), "threads": 1,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    return FigureData(arrays, numbers, provenance)


def stored(results: Path, number: int) -> FigureData | None:
    """Return the data of a figure if it is there, whole, and of the models that are shipped now."""
    try:
        data = read(results, number)
    except (FileNotFoundError, FigureDataError):
        return None
    return data if {name: data.provenance.get(name) for name in inputs()} == inputs() else None


def inputs() -> dict[str, Json]:
    """Return what the figures are made from: the SHA-256 of every shipped model of a task, and the planners' settings."""
    settings: dict[str, Json] = {
        f"{name} {setting.task}-{setting.kind}-{setting.horizon}": dict(tuned_settings(name, setting))
        for setting in (*SETTINGS, LONG)
        for name in PLANNERS
    }
    own = [card for card in available() if card.task in TASKS and card.architecture.encoder not in BACKBONES]
    models: dict[str, Json] = {card.name: card.sha256 for card in own}
    return {"models": models, "settings": settings}
