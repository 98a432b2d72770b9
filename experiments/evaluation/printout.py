"""The tables that people read of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

Result = Mapping[str, Any]
"""What `evaluate` returns."""


def tables(result: Result) -> Iterator[Table]:
    """Return the tables of an evaluation, in order."""
    yield from _open_loop(result["open_loop"])
    yield _distances(result["rank_correlation"], result["greedy"])
    yield _one_step(result["one_step"], result["exploitability"]["one_step"])
    yield _plans(result["exploitability"])
    yield _state_gradient(result["state_gradient"])


def _open_loop(versions: Result) -> Iterator[Table]:
    for version, steps in versions.items():
        about = "all windows" if version == "all" else "windows in which the block moves"
        table = _table(f"open-loop error of the decoded state, {about}", "error", "steps", "mean", "median")
        table.add_column("state stays", justify="right")
        table.add_column("windows", justify="right")
        for name in next(iter(steps.values()))["errors"]:
            for step, row in steps.items():
                error = row["errors"][name]
                table.add_row(
                    name, step, _estimate(error["model"]["mean"]), _estimate(error["model"]["median"]),
                    _number(error["identity"]["mean"]["value"]), str(row["windows"]),
                )  # fmt: skip
        yield table


def _distances(ranks: Result, greedy: Result) -> Table:
    table = _table("distance faithfulness", "measure", "latent", "straight", "geodesic")
    rules = ("latent", "straight", "geodesic")
    table.add_row(
        f"rank correlation with the {ranks['against']}, {ranks['pairs']} pairs",
        *(_estimate(ranks.get(rule)) for rule in rules),
    )
    count, steps = greedy["latent"]["count"], greedy["steps"]
    table.add_row(
        f"greedy success within {steps} true steps, {count} {greedy['kind']} problems",
        *(_estimate(greedy.get(rule)) for rule in rules),
    )
    return table


def _one_step(behaviour: Result, plans: Result) -> Table:
    table = _table("error of one model step", "error", "behaviour", "what planners try")
    for name, error in behaviour["errors"].items():
        table.add_row(name, _estimate(error), _estimate(plans["errors"][name]))
    table.add_row("steps", str(behaviour["steps"]), str(plans["steps"]))
    return table


def _plans(plans: Result) -> Table:
    about = f"{plans['kind']} problems, T = {plans['horizon']}, mean lower bound {plans['shortest_steps']:.1f} steps"
    results = {name: part for name, part in plans.items() if isinstance(part, Mapping) and "gap" in part}
    table = _table(f"exploitability: {about}", "quantity", *results)
    quantities = {
        "believed": "success believed by the model",
        "true": "success in the environment",
        "exploited": "believed and not true",
        "gap": "believed − true",
        "believed_distance": "final distance believed",
        "true_distance": "final distance in the environment",
    }
    for quantity, words in quantities.items():
        table.add_row(words, *(_estimate(part[quantity]) for part in results.values()))
    table.add_row("plans", *(str(part["believed"]["count"]) for part in results.values()))
    table.add_row("diverged", *(str(part["diverged"]) for part in results.values()))
    return table


def _state_gradient(attack: Result) -> Table:
    target = f"{100 * attack['target']:.0f}%"
    table = _table(
        f"smallest δ found that brings ‖F(s+δ, 0) − g‖ to {target}, {attack['pairs']} pairs",
        "quantity",
        "value",
    )
    quantities = {
        "found": "share of pairs with such a δ",
        "norm": "median ‖δ‖",
        "relative_to_goal": "median ‖δ‖ / ‖g − s‖ (0.9 for a model at rest)",
        "relative_to_step": "median ‖δ‖ / typical change in one step",
        "one_gradient_step": "residual after one gradient step of at most ‖g − s‖ / 10",
        "action_residual": "residual after the best action",
        "action_reaches": f"share of pairs in which an action reaches {target}",
    }
    for quantity, words in quantities.items():
        table.add_row(words, _estimate(attack[quantity]))
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _estimate(estimate: Result | None) -> str:
    """Return a value and its interval; a dash for what was not measured."""
    if estimate is None:
        return "–"
    return f"{_number(estimate['value'])} [dim]\\[{_number(estimate['low'])}, {_number(estimate['high'])}][/]"


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"
