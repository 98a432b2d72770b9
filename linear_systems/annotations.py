"""What an annotation refuses: a check for each kind of type, and the words that errors find for types and values."""

from __future__ import annotations

import collections.abc
import inspect
import math
import numbers
import os
import pathlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import jaxtyping
import numpy as np
from numpy.typing import ArrayLike

from linear_systems.errors import (
    DTypeError,
    HorizonError,
    InvalidInputError,
    ParameterError,
    ShapeError,
    StepSizeError,
)

Check = Callable[[str, object], InvalidInputError | None]
"""(argument, value) -> what is wrong with it, if anything is."""

LARGEST = 2**63 - 1
"""Integers beyond this do not count anything that fits into a machine."""
LARGEST_ARRAY = 2**34
"""Entries of an array: more do not fit into a machine's memory, however they are stored."""
ELEMENTS = 1000
"""Elements of a collection whose types are checked; a longer one holds what its first elements are like."""
_ARRAY_LIKE = set(typing.get_args(ArrayLike))
_ELEMENTS = "each element to be"
_ERRORS = {"horizon": HorizonError, "step_size": StepSizeError}
"""Arguments whose errors have a type of their own."""


def check_for(hint: Any) -> Check | None:
    """Return the check of an annotation; None where every value will do, or only the function itself can tell."""
    origin = typing.get_origin(hint)
    if hint is Any or hint is object or isinstance(hint, TypeVar) or origin is typing.Annotated:
        return None
    if hint is None or hint is type(None):
        return _instance(types.NoneType, "None")
    if hint == ArrayLike:
        return array_like
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        if set(members) >= _ARRAY_LIKE:  # a union of unions is flat
            members = (*(each for each in members if each not in _ARRAY_LIKE), ArrayLike)
        if pathlib.Path in members and types.NoneType not in members:
            return _path
        return _any_of(members)
    if origin is typing.Literal:
        return _one_of(typing.get_args(hint))
    if hint is bool:
        return _boolean
    if hint is int:
        return _integer
    if hint is float:
        return _real
    if hint is complex:
        return _complex
    if origin is collections.abc.Callable:
        return _function(hint)
    if origin is tuple:
        return _tuple(typing.get_args(hint))
    if origin in (collections.abc.Sequence, list, collections.abc.Iterable):
        return _sequence(origin, typing.get_args(hint))
    if origin is not None and not inspect.isclass(hint):
        return _collection(hint) if inspect.isclass(origin) else None
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return _array(hint)
    if not inspect.isclass(hint) or (
        getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
    ):
        return None
    if hint.__name__ == "Tensor":
        return _tensor(hint)
    if getattr(hint, "_is_protocol", False):
        return _protocol(hint)
    return _instance(hint, _described(hint))


def _tensor(hint: Any) -> Check:
    def check(name: str, value: object) -> InvalidInputError | None:
        return (
            _unusable(name, value)
            if isinstance(value, hint)
            else _refused(name, "a tensor", value, "convert it with torch.as_tensor", DTypeError)
        )

    return check


def _protocol(hint: Any) -> Check:
    """Check that a value has a protocol's methods; a range has a `step` too, but it is a number."""
    methods = _methods(hint)

    def check(name: str, value: object) -> InvalidInputError | None:
        fits = isinstance(value, hint) and all(
            takes(getattr(value, method), len(needed), named) for method, (needed, named) in methods.items()
        )
        return None if fits else _refused(name, _described(hint), value)

    return check


def _methods(protocol: type) -> dict[str, tuple[list[str], list[str]]]:
    """Return the methods of a protocol with the names of what each must be given, by place and by name."""
    found = {}
    for method, item in vars(protocol).items():
        if inspect.isfunction(item) and not method.startswith("_"):
            _, *given = inspect.signature(item).parameters.values()
            needed = [each for each in given if each.default is each.empty]
            named = [each.name for each in needed if each.kind is each.KEYWORD_ONLY]
            found[method] = ([each.name for each in needed if each.name not in named], named)
    return found


def array_like(name: str, value: object) -> InvalidInputError | None:
    """Return what keeps a value from being read as an array of numbers, if anything does."""
    if isinstance(value, numbers.Complex | np.number) and not isinstance(
        value, bool | np.longdouble | np.clongdouble
    ):
        if _too_large(value):
            return _refused(name, "a float, or a fraction of 64 bits", value, "write it as a float")
        return None  # which numbers will do is for the function to say
    if isinstance(value, np.ma.MaskedArray):
        return DTypeError(name, "an array without a mask", "a masked array", "fill or drop what is masked")
    if isinstance(value, np.bool_):
        return _refused(name, "an array or nested numbers", value, error=DTypeError)
    if (problem := _unusable(name, value)) is not None:
        return problem
    if isinstance(value, list | tuple):
        return _nested(name, value)
    if getattr(value, "requires_grad", False):
        return DTypeError(name, "numbers without a gradient", "a tensor that requires one", "call .detach()")
    if hasattr(type(value), "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"):
        dtype = value.dtype
        if not isinstance(dtype, np.dtype):  # a tensor's
            where = getattr(getattr(value, "device", None), "type", "cpu")
            return (
                None
                if where == "cpu"
                else DTypeError(name, "a tensor on the CPU", f"one on {where}", "call .cpu()")
            )
        if dtype.kind in "fiucbO" and dtype not in (np.longdouble, np.clongdouble):
            return None  # which of these will do is for the function to say
        return DTypeError(name, "an array of numbers", f"dtype {dtype}", "convert it to float64")
    return _refused(name, "an array or nested numbers", value, error=DTypeError)


def _nested(name: str, value: list[Any] | tuple[Any, ...]) -> InvalidInputError | None:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, RecursionError) as error:
        kind = ShapeError if isinstance(error, ValueError) else DTypeError
        return kind(
            name, "a rectangular array of numbers", f"{type(error).__name__}: {error}", "make all rows alike"
        )
    if array.dtype.kind not in "fiuc":
        return DTypeError(name, "an array of numbers", f"entries of type {array.dtype}", "pass numbers")
    return None


def _array(hint: Any) -> Check:
    """Check the type of an array or tensor, its entries, and its number of axes."""
    axes = hint.dim_str.split()
    open_ended = any(axis.startswith("*") or axis == "..." for axis in axes)
    anything = not isinstance(hint.dtypes, tuple | list)
    least, most = len(axes) - open_ended, math.inf if open_ended else len(axes)

    def check(name: str, value: object) -> InvalidInputError | None:
        if isinstance(value, np.ma.MaskedArray):
            return DTypeError(
                name, "an array without a mask", "a masked array", "fill or drop what is masked"
            )
        if not isinstance(value, hint.array_type):
            return _refused(name, _described(hint), value, error=DTypeError)
        if (problem := _unusable(name, value)) is not None:
            return problem
        dtype = str(value.dtype).removeprefix("torch.")
        error = ShapeError if anything or dtype in hint.dtypes else DTypeError
        if error is ShapeError and least <= value.ndim <= most:
            return None
        found = f"shape {tuple(value.shape)} of {dtype}"
        return error(name, _described(hint), found, "convert or reshape it on purpose")

    return check


def _unusable(name: str, value: object) -> InvalidInputError | None:
    """Refuse what is too large to read, and tensors without data, sparse, or in half precision, in which squares overflow."""
    if isinstance(value, np.ndarray) and value.size > LARGEST_ARRAY:
        return ShapeError(
            name, f"at most {LARGEST_ARRAY} entries", f"shape {value.shape}", "pass a smaller array"
        )
    if not hasattr(value, "layout"):
        return None
    if str(value.layout) != "torch.strided":
        return DTypeError(name, "a dense tensor", f"layout {value.layout}", "call .to_dense()")
    if getattr(value, "is_meta", False):
        return DTypeError(name, "a tensor with entries", "one on meta", "move it to a real device")
    if str(getattr(value, "dtype", "")) in ("torch.float16", "torch.bfloat16"):
        return DTypeError(
            name, "float32 or float64", str(getattr(value, "dtype", "")), "convert it: .float()"
        )
    return None


def _any_of(hints: tuple[Any, ...]) -> Check | None:
    checks = [each for hint in hints if (each := check_for(hint)) is not None]
    if len(checks) < len(hints):
        return None
    words = [_described(hint) for hint in hints]
    expected = " or ".join([", ".join(words[:-1]), words[-1]])

    def check(name: str, value: object) -> InvalidInputError | None:
        errors: list[InvalidInputError] = []
        for each in checks:
            if (error := each(name, value)) is None:
                return None
            errors.append(error)
        # A collection with one element that does not fit is told by that element.
        telling = next(
            (e for e in errors if isinstance(e, DTypeError | ShapeError) or e.expected.startswith(_ELEMENTS)),
            None,
        )
        return telling or _refused(name, expected, value)

    return check


def _one_of(values: tuple[Any, ...]) -> Check:
    expected = f"one of {', '.join(map(repr, values))}"

    def check(name: str, value: object) -> InvalidInputError | None:
        fits = any(type(value) is type(each) and value == each for each in values)
        return None if fits else _refused(name, expected, value, "check the spelling")

    return check


def _path(name: str, value: object) -> InvalidInputError | None:
    if (
        not isinstance(value, str | os.PathLike)
        or "\0" in (text := os.fspath(value))
        or not 0 < len(text) < 4096
    ):
        return _refused(name, "a path that the system can hold", value)
    return None


def _function(hint: Any) -> Check:
    """Check that a value can be called with as many arguments as its annotation lists."""

    def check(name: str, value: object) -> InvalidInputError | None:
        return None if takes(value, _inputs(hint)) else _refused(name, _described(hint), value)

    return check


def _inputs(hint: Any) -> int | None:
    """Return how many arguments the annotation of a function lists; None where it does not say."""
    inputs, *_ = typing.get_args(hint) or (None,)
    return len(inputs) if isinstance(inputs, list) else None


def takes(value: object, count: int | None, named: Sequence[str] = ()) -> bool:
    """Return whether a value is a function of `count` arguments (None: any) and named ones, as far as its signature tells.

    A class whose signature cannot be read, such as int, is a conversion and not a function of ours.
    """
    if not callable(value):
        return False
    if count is None:
        return True
    try:
        # Calling a torch module passes everything on to its method forward.
        inspect.signature(getattr(value, "forward", value)).bind(*[None] * count, **dict.fromkeys(named))
    except ValueError:
        return not inspect.isclass(value)
    except TypeError:
        return False
    return True


def _boolean(name: str, value: object) -> InvalidInputError | None:
    return None if isinstance(value, bool | np.bool_) else _refused(name, "True or False", value)


def _integer(name: str, value: object) -> InvalidInputError | None:
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        return _refused(name, "an integer", value)
    return (
        None
        if abs(int(value)) <= LARGEST
        else _refused(name, "an integer of 64 bits", value, "pass a smaller one")
    )


def _real(name: str, value: object) -> InvalidInputError | None:
    if isinstance(value, bool | np.longdouble) or not isinstance(value, numbers.Real):
        return _refused(name, "a real number of at most 64 bits", value)
    if _too_large(value):
        return _refused(name, "a float, or a fraction of 64 bits", value, "write it as a float")
    return None if not math.isnan(value) else _refused(name, "a number", value, "remove NaN")


def _complex(name: str, value: object) -> InvalidInputError | None:
    if isinstance(value, bool | np.longdouble | np.clongdouble) or not isinstance(value, numbers.Complex):
        return _refused(name, "a complex number", value)
    if _too_large(value):
        return _refused(name, "a complex number, or a fraction of 64 bits", value, "write it as a float")
    return None if np.isfinite(complex(value)) else _refused(name, "a finite number", value)


def _too_large(value: object) -> bool:
    return isinstance(value, numbers.Rational) and abs(cast(int, value)) > LARGEST


def _tuple(hints: tuple[Any, ...]) -> Check:
    every = len(hints) == 2 and hints[1] is ...
    checks = [check_for(hint) for hint in (hints[:1] if every else hints)]

    def check(name: str, value: object) -> InvalidInputError | None:
        if not isinstance(value, tuple) or (not every and len(value) != len(checks)):
            return _refused(name, "a tuple" if every else f"a tuple of {len(checks)}", value)
        return _first(name, value[:ELEMENTS], checks * len(value[:ELEMENTS]) if every else checks)

    return check


def _sequence(origin: Any, hints: tuple[Any, ...]) -> Check:
    element = check_for(hints[0]) if hints else None
    collected = origin is not collections.abc.Iterable

    def check(name: str, value: object) -> InvalidInputError | None:
        if isinstance(value, str | bytes | bytearray) or not isinstance(value, origin):
            return _refused(name, "a sequence", value)
        if not isinstance(value, collections.abc.Sequence) or not collected:
            return None
        return _first(name, value[:ELEMENTS], [element] * len(value[:ELEMENTS]))

    return check


def _collection(hint: Any) -> Check:
    origin, hints = typing.get_origin(hint), typing.get_args(hint)
    simple = _instance(origin, _described(hint))
    keys, values = (
        (check_for(hint) for hint in hints)
        if origin is collections.abc.Mapping and len(hints) == 2
        else (None, None)
    )

    def check(name: str, value: object) -> InvalidInputError | None:
        if (problem := simple(name, value)) is not None or not isinstance(value, Mapping):
            return problem
        return _first(name, list(value), [keys] * len(value)) or _first(
            name, list(value.values()), [values] * len(value)
        )

    return check


def _first(name: str, values: Any, checks: list[Check | None]) -> InvalidInputError | None:
    """Return the first error of elements, told as the argument's own."""
    for place, (value, check) in enumerate(zip(values, checks, strict=True)):
        if check is not None and (problem := check(name, value)) is not None:
            found = f"{problem.found} at place {place}"
            return type(problem)(name, f"{_ELEMENTS} {problem.expected}", found, problem.hint)
    return None


def _instance(kind: Any, expected: str) -> Check:
    def check(name: str, value: object) -> InvalidInputError | None:
        hint = (
            f"make one: {value.__name__}(...)" if inspect.isclass(value) and issubclass(value, kind) else ""
        )
        return None if isinstance(value, kind) else _refused(name, expected, value, hint)

    return check


def _refused(
    name: str, expected: str, value: object, hint: str = "", error: type[InvalidInputError] | None = None
) -> InvalidInputError:
    kind = error or _ERRORS.get(name, ParameterError)
    return kind(name, expected, shown(value), hint or f"pass {expected}")


def shown(value: object) -> str:
    """Return a value in at most a line: numbers and words as they are, of functions what they take, and else the type."""
    if value is None or isinstance(value, bool | float | complex | os.PathLike):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if abs(value) < 10**40 else "an integer of more than 40 digits"
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:60]!r}..."
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    kind = "a function" if inspect.isroutine(value) else f"a value of type {type(value).__name__}"
    if not callable(value):
        return kind
    try:
        parameters = inspect.signature(getattr(value, "forward", value)).parameters.values()
    except (TypeError, ValueError):  # a builtin's cannot be read
        return kind
    plain = [
        str(p.replace(annotation=p.empty, default=p.empty)) + "=..." * (p.default is not p.empty)
        for p in parameters
    ]
    return f"{kind} that takes ({', '.join(plain)})"


def _described(hint: Any) -> str:
    """Return an annotation in words."""
    words = {
        int: "an integer",
        float: "a real number",
        bool: "True or False",
        str: "a word",
        None: "None",
        types.NoneType: "None",
        Any: "...",
    }
    if not isinstance(hint, typing.Hashable) or hint not in words:
        if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
            kind = "tensor" if hint.array_type.__name__ == "Tensor" else "array"
            return f"a {kind} ({hint.dim_str.strip()}) of {hint.__name__.partition('[')[0]}"
        if hint == ArrayLike:
            return "an array or nested numbers"
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is collections.abc.Callable:
            count = _inputs(hint)
            return "a function" if count is None else f"a function of {count} argument{'s' * (count != 1)}"
        if origin is collections.abc.Mapping and len(arguments) == 2:
            key = '"name"' if arguments[0] is str else _described(arguments[0])
            return f"a dict such as {{{key}: {_described(arguments[1])}}}"
        if origin in (collections.abc.Sequence, collections.abc.Iterable, list):
            return "a list"
        if getattr(hint, "_is_protocol", False):
            methods = (f"{name}({', '.join(needed)})" for name, (needed, _) in _methods(hint).items())
            return f"an object with {' and '.join(methods)}"
        name = getattr(hint, "__name__", str(hint)).removeprefix("typing.")
        return f"a{'n' * (name[0] in 'AEIOU')} {name}" if inspect.isclass(hint) else name
    return words[hint]
