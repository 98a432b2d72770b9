"""`python -m grasp_theory diagnose`: a problem's diagnosis on the screen and as a page."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from grasp_theory.command_line import expect_writable
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.diagnosis import diagnose
from linear_systems.annotations import shown, takes
from linear_systems.errors import ParameterError

EXAMPLE = (
    "mymodel:problem, where mymodel.py has a PlanningProblem of that name or a function that returns one"
)


def diagnose_command(
    target: Annotated[
        str,
        typer.Argument(
            help="module:factory of your own problem, or a shipped model: wall_single, push_t, ..."
        ),
    ],
    html: Annotated[Path | None, typer.Option(help="Write the page here too.")] = None,
    plans: Annotated[int, typer.Option(help="Problems to linearise about.")] = 8,
    horizon: Annotated[int | None, typer.Option(help="Model steps, of a shipped model's problems.")] = None,
) -> None:
    """Say what the theory says of planning with a model: settings, how far ahead, what to trust.

    The factory is a PlanningProblem, or a function without arguments that returns one, or a pair of one and a dictionary
    of keywords for `grasp_theory.diagnose` (errors, radius, metric, ...).
    """
    expect_writable(html)
    if ":" in target:
        problem, keywords = _imported(target)
    else:
        problem, keywords = _shipped(target, horizon)
    diagnosis = diagnose(problem, **{"plans": plans, **keywords})
    typer.echo(str(diagnosis))
    if html is not None:
        typer.echo(f"wrote {diagnosis.to_html(html)}")


def _shipped(name: str, horizon: int | None) -> tuple[PlanningProblem, dict[str, Any]]:
    try:
        from grasp_theory.trust.shipped import shipped_problem
    except ModuleNotFoundError as missing:
        raise ParameterError(
            "target", "module:factory, or a shipped model with the extra `tasks` installed", repr(name),
            f"pip install 'grasp-theory[tasks]' ({missing}), or {EXAMPLE}",
        ) from missing  # fmt: skip
    return shipped_problem(name, horizon)


def _imported(target: str) -> tuple[PlanningProblem, dict[str, Any]]:
    """Return the problem and keywords of module:factory; modules in the working directory are found."""
    module_name, _, attribute = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it needs is not
        raise ParameterError("target", "a module that can be imported", repr(module_name), EXAMPLE) from error
    except (ValueError, TypeError) as error:
        if module_name.strip("."):
            raise  # the module's own
        raise ParameterError("target", "module:factory", repr(target), EXAMPLE) from error
    try:
        for name in attribute.split("."):
            found = getattr(found, name)
    except AttributeError as error:
        raise ParameterError(
            "target", f"something of this name in {module_name}", repr(attribute), EXAMPLE
        ) from error
    made: Any = found
    if callable(made):
        if not takes(made, 0):
            raise ParameterError(
                "target", "a function without arguments", f"{shown(made)} in {target}",
                f"write one that calls it: def problem(): return {attribute}(...)",
            )  # fmt: skip
        made = made()
    problem, keywords = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
    if not isinstance(problem, PlanningProblem) or not isinstance(keywords, dict):
        told = shown(made)
        if isinstance(made, tuple):
            told = f"a tuple of {', '.join(type(each).__name__ for each in made)}"
        raise ParameterError(
            "target", "a PlanningProblem, a pair of one and a dictionary, or a function that returns them",
            told, EXAMPLE,
        )  # fmt: skip
    known = list(inspect.signature(diagnose).parameters)[1:]
    if unknown := [name for name in keywords if name not in known]:
        raise ParameterError(
            "target",
            f"keywords of diagnose: {', '.join(known)}",
            ", ".join(map(repr, unknown)),
            "leave it out",
        )
    return problem, keywords
