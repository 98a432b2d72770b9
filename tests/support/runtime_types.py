"""The run-time type checker of the tests: beartype with the numeric tower of static checkers, and jaxtyping's shapes.

`jaxtyping.jaxtyped` checks the arguments twice and binds them by `inspect.signature` in every call, for the sake of its
messages; that took a third of the suite's time.  Here a call costs one check and the memory of its axes' sizes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import is_dataclass
from functools import wraps
from types import FunctionType, SimpleNamespace
from typing import Any, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

# As for mypy, an int may stand where a float is annotated and a float where a complex is, as in ArrayLike.
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))
_SIZES = jaxtyping.jaxtyped("context")
"""Within it, an axis name means one size; nested use is a new scope."""


def install(packages: list[str]) -> None:
    """Check every function and dataclass of these packages from their import on."""
    jaxtyping.jaxtyped = lambda *, typechecker: checked
    jaxtyping.install_import_hook(packages, "beartype.beartype")


def checked(item: Any) -> Any:
    """Return a function, or a dataclass with a constructor, that refuses what its annotations exclude."""
    if isinstance(item, type):
        if is_dataclass(item) and "__init__" in vars(item):
            item.__init__ = checked(item.__init__)  # type: ignore[misc]
        return item
    strict = _beartype(_resolved(item))

    @wraps(item)
    def call(*arguments: Any, **named: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return item(*arguments, **named)
        with _SIZES:
            return strict(*arguments, **named)

    return call


def _resolved(function: Any) -> Any:
    """Return a copy with types for annotations, without those that beartype cannot take: of unknown or recursive types."""
    code, names = function.__code__, function.__globals__
    copy = FunctionType(code, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__qualname__ = function.__kwdefaults__, function.__qualname__
    for name, hint in function.__annotations__.items():
        with suppress(NameError):
            single = SimpleNamespace(__annotations__={name: hint})
            resolved = get_type_hints(single, names, include_extras=True)
            if "ForwardRef" not in repr(resolved):
                copy.__annotations__ |= resolved
    return copy
