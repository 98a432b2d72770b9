"""`python -m experiments models`: the shipped models side by side, from their cards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any

import typer

from grasp_theory.world_models import Card, available
from grasp_theory.world_models.card import Cards
from grasp_theory.world_models.checkpoint import best_latent
from linear_systems.errors import ParameterError

ERRORS = {
    "wall_single": (("all", "position", "px"),),
    "wall_single_long": (("all", "position", "px"),),
    "point_maze": (("all", "position", "cells"),),
    "point_maze_long": (("all", "position", "cells"),),
    "push_t": (("moving", "block", "px"), ("moving", "angle", "rad")),  # of windows in which the block moves
}
"""The open-loop errors shown: over which windows, of what, in which unit."""
STEPS = (1, 4, 10, 20)
PLANNERS = {"GRASP": "GRASP", "GradientDescent": "GD", "CEM": "CEM", "MPPI": "MPPI"}
HEAD = (
    "| model | open-loop error at 1 / 4 / 10 / 20 model steps | distance | greedy | plans: believed, true |",
    "|---|---|---|---|---|",
)


def models(
    name: Annotated[
        str | None, typer.Argument(help="A model, or a task for all of its models; none: a table.")
    ] = None,
) -> None:
    """Print the card of a shipped model, or a Markdown table of all; its ranges are over training seeds."""
    cards = available()
    if name is None:
        typer.echo(summary(cards))
        return
    found = [card for card in cards if name in (card.name, card.task)]
    if not found:
        raise ParameterError(
            "name", "a shipped model or task", repr(name), ", ".join(card.name for card in cards)
        )
    typer.echo(str(found[0]) if len(found) == 1 else str(Cards(found)))


def summary(cards: Sequence[Card]) -> str:
    """Return a Markdown table of models, one row for each task, kind and latent.

    The columns: mean open-loop error of the probed state; Spearman rank correlation of latent distance with the
    geodesic or task distance; success of following the latent distance greedily in the true environment; success of
    planners' plans for the same number of evaluations, as the model believes it and in the environment.  Several training seeds
    give least-greatest.
    """

    def group(card: Card) -> tuple[str, str, str]:
        return (card.task, card.architecture.label, card.kind)

    lines = list(HEAD)
    ordered = sorted(cards, key=lambda card: (group(card)[0], group(card)[1], group(card)[2], card.seed))
    for (task, latent, kind), members in groupby(ordered, key=group):
        found = [card.evaluation for card in members]
        name = f"{task}, {kind}" + ("" if best_latent(task) == latent == "flat" else f", {latent}")
        seeds = "" if len(found) == 1 else f" ({len(found)} seeds)"
        errors = "; ".join(
            f"{error} "
            + " / ".join(_range([_mean(one, windows, error, step) for one in found]) for step in STEPS)
            + f" {unit}"
            for windows, error, unit in ERRORS[task]
        )
        plans = "; ".join(
            f"{short} "
            + ", ".join(
                _range([one["exploitability"][planner][key]["value"] for one in found])
                for key in ("believed", "true")
            )
            for planner, short in PLANNERS.items()
        )
        rank = _range([one["rank_correlation"]["latent"]["value"] for one in found])
        greedy = _range([one["greedy"]["latent"]["value"] for one in found])
        lines.append(f"| {name}{seeds} | {errors} | {rank} | {greedy} | {plans} |")
    return "\n".join(lines)


def _mean(evaluation: Any, windows: str, error: str, step: int) -> float:
    return float(evaluation["open_loop"][windows][str(step)]["errors"][error]["model"]["mean"]["value"])


def _range(values: list[float]) -> str:
    low, high = (
        f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}" for value in (min(values), max(values))
    )
    return low if low == high else f"{low}–{high}"
