"""The planners of the study by name, their settings as plain values, and what tuning may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

from grasp_theory import CEM, CEMGD, GRASP, ICEM, MPPI, GradientDescent, LatCo, Planner
from linear_systems.errors import ParameterError

Settings = tuple[tuple[str, Any], ...]
"""(field, value) pairs, sorted; values are numbers, strings, booleans or None."""

PLANNERS: Mapping[str, type[Planner]] = {
    "CEM": CEM,
    "LatCo": LatCo,
    "GradientDescent": GradientDescent,
    "GRASP": GRASP,
    "MPPI": MPPI,
    "ICEM": ICEM,
    "CEMGD": CEMGD,
}

UNLIMITED = 1_000_000
"""Iterations of a planner that is ended by its budget of evaluations."""


def planner_class(name: str) -> type[Planner]:
    """Return a planner's class.

    Raises
        ParameterError: if there is none of that name.
    """
    if name not in PLANNERS:
        raise ParameterError("planner", f"one of {', '.join(PLANNERS)}", repr(name), "check the spelling")
    return PLANNERS[name]


def make_planner(name: str, settings: Settings) -> Planner:
    """Return a planner with these settings, and its class's defaults for the rest; iterations are no limit.

    Raises
        ParameterError: for a setting that the planner does not have, or a value that it refuses.
    """
    chosen, given = planner_class(name), dict(settings)
    known = {field.name for field in fields(chosen)}
    if not given.keys() <= known:
        found = ", ".join(sorted(given.keys() - known))
        raise ParameterError(
            "settings", f"fields of {name}: {', '.join(sorted(known))}", found, "check the spelling"
        )
    return chosen(**{"iterations": UNLIMITED, **given})


def settings_of(planner: Planner) -> Settings:
    """Return the fields of a planner that differ from `make_planner`'s defaults."""
    default = make_planner(type(planner).__name__, ())
    return tuple(
        sorted(
            (field.name, getattr(planner, field.name))
            for field in fields(planner)
            if getattr(planner, field.name) != getattr(default, field.name)
        )
    )


class Scaled(Protocol):
    """A task, or whatever says how large its actions are."""

    @property
    def action_high(self) -> float:
        """The largest entry of an action."""


def untuned(name: str, task: Scaled) -> Settings:
    """Return a planner's default settings, lengths of actions scaled to the task's bounds.

    Samples are those of the models' cards: of 300 a small budget pays for few iterations.
    """
    scale = task.action_high
    chosen: Mapping[str, Mapping[str, Any]] = {
        "GRASP": {"action_lr": 0.01 * scale, "sync_lr": 0.2 * scale},
        "GradientDescent": {"lr": 0.3 * scale, "action_noise": 0.1 * scale},
        "LatCo": {"action_lr": 0.1 * scale},
        "CEM": {"initial_std": scale, "samples": 100, "elites": 10},
        "ICEM": {"initial_std": scale, "samples": 100, "elites": 10},
        "MPPI": {"noise": scale, "samples": 100, "noise_decay": 0.8},
        "CEMGD": {"initial_std": scale, "gradient_lr": 0.05 * scale},
    }
    rounded = {
        field: float(f"{value:.3g}") if isinstance(value, float) else value
        for field, value in chosen[name].items()
    }
    return settings_of(make_planner(name, tuple(rounded.items())))
