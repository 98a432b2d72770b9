"""The types of a signature, checked at the door: `@checked` refuses what an annotation excludes, by the argument's name.

Annotations say what kind of value a function takes; what is in its domain (a sign, a shape that depends on another
argument) the function checks itself, with `linear_systems.validation`, and so it does all of what is `Annotated`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from linear_systems.annotations import Check, check_for

Item = TypeVar("Item")


def checked(item: Item) -> Item:
    """Return a function, or a class with a constructor, that refuses arguments of types that its annotations exclude.

    Raises (when it is called)
        ParameterError: a value of another type, NaN for a number, an integer beyond 64 bits; for the arguments
            `horizon` and `step_size` HorizonError and StepSizeError.
        DTypeError, ShapeError: an array or a tensor with another type of entries or number of axes, or one that is
            masked, sparse or without data.
    """
    if inspect.isclass(item):
        constructor = item.__init__
        # The fields of a dataclass were annotated in the modules of its bases; its constructor no longer knows which.
        generated = inspect.unwrap(constructor).__code__.co_filename == "<string>"
        setattr(item, "__init__", _guarded(constructor, item if generated else constructor))  # noqa: B010
        return item
    return _guarded(item, item)  # type: ignore[arg-type, return-value]


def _guarded(function: Callable[..., Any], annotated: Any) -> Callable[..., Any]:
    parameters = list(inspect.signature(function).parameters.values())
    positional = [
        each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    named = {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
    defaults = {each.name: each.default for each in parameters}

    @functools.cache
    def checks() -> Mapping[str, Check]:
        # At the first call: an annotation may name what is defined further down.
        found = {name: check_for(hint) for name, hint in _hints(annotated).items() if name in named}
        return {name: check for name, check in found.items() if check is not None}

    @functools.wraps(function)
    def guarded(*arguments: Any, **keywords: Any) -> Any:
        for name, value in (*zip(positional, arguments, strict=False), *keywords.items()):
            check = checks().get(name)
            if check is None or value is defaults[name]:
                continue
            error = check(name, value)
            if error is not None:
                raise error
        return function(*arguments, **keywords)

    return guarded


def _hints(annotated: Any) -> dict[str, Any]:
    """Return the annotations that can be read; a name that exists for type checkers alone leaves its argument unchecked."""
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except NameError:
        found: dict[str, Any] = {}
        for name, hint in annotated.__annotations__.items():
            holder = types.SimpleNamespace(__annotations__={name: hint})
            try:
                found |= typing.get_type_hints(
                    holder, vars(sys.modules[annotated.__module__]), include_extras=True
                )
            except NameError:
                continue
        return found
