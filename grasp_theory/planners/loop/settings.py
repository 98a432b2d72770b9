"""Checks of a planner's hyper-parameters, by the names of its fields."""

from __future__ import annotations

from typing import Any

from linear_systems.errors import ParameterError
from linear_systems.validation import positive_float


def check_numbers(
    planner: Any, *, positive: tuple[str, ...] = (), not_negative: tuple[str, ...] = ()
) -> None:
    """Raise a ParameterError unless the named fields are finite and positive, or not negative."""
    for name in positive:
        positive_float(name, getattr(planner, name))
    for name in not_negative:
        positive_float(name, getattr(planner, name), allow_zero=True)


def check_fractions(planner: Any, *names: str) -> None:
    """Raise a ParameterError unless the named fields lie in (0, 1]."""
    for name in names:
        value = positive_float(name, getattr(planner, name))
        if value > 1:
            raise ParameterError(name, "a number in (0, 1]", repr(value), "pass a factor of at most 1")


def check_flags(planner: Any, *names: str) -> None:
    """Raise a ParameterError unless the named fields are True or False."""
    for name in names:
        value = getattr(planner, name)
        if not isinstance(value, bool):
            raise ParameterError(name, "True or False", repr(value), "pass a boolean")


def check_choices(planner: Any, **choices: tuple[str, ...]) -> None:
    """Raise a ParameterError unless each named field is one of its choices."""
    for name, allowed in choices.items():
        value = getattr(planner, name)
        if not isinstance(value, str) or value not in allowed:
            raise ParameterError(name, f"one of {', '.join(allowed)}", repr(value), f"pass {allowed[0]!r}")


def require_distinct_restarts(planner: Any, noise: float) -> None:
    """Raise a ParameterError if several restarts would all do the same."""
    if planner.restarts > 1 and not noise:
        raise ParameterError(
            "restarts", "1 where nothing is random", str(planner.restarts),
            "set initial_action_noise, so that the restarts differ",
        )  # fmt: skip
