"""About a hundred kinds of values that somebody passes by mistake, each made anew."""

from __future__ import annotations

import decimal
import enum
import fractions
import io
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch

from linear_systems import LinearSystem, TimeVaryingLinearSystem


class _Hostile:
    """An object that answers nothing."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no array")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __eq__(self, _: object) -> bool:
        raise RuntimeError("no equality")

    __hash__ = None  # type: ignore[assignment]


class _Level(enum.IntEnum):
    LOW = 1


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _loop() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _masked() -> Any:
    return np.ma.masked_array([1.0, 2.0], mask=[False, True])


def _strided() -> Any:
    return np.lib.stride_tricks.as_strided(np.zeros(1), (10**6, 10**6), (0, 0))


SCALARS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "-1": lambda: -1,
    "7": lambda: 7,
    "10**30": lambda: 10**30,
    "-10**30": lambda: -(10**30),
    "10**400": lambda: 10**400,
    "0.0": lambda: 0.0,
    "-0.5": lambda: -0.5,
    "0.5": lambda: 0.5,
    "2.5": lambda: 2.5,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "-inf": lambda: -math.inf,
    "1e300": lambda: 1e300,
    "5e-324": lambda: 5e-324,
    "1j": lambda: 1j,
    "1+0j": lambda: 1 + 0j,
    "complex nan": lambda: complex(math.nan, 1),
    "Fraction": lambda: fractions.Fraction(1, 3),
    "Decimal": lambda: decimal.Decimal("0.1"),
    "IntEnum": lambda: _Level.LOW,
    "np.int64": lambda: np.int64(3),
    "np.float32": lambda: np.float32(0.5),
    "np.float64 nan": lambda: np.float64("nan"),
    "np.bool_": lambda: np.bool_(True),
    "np.complex128": lambda: np.complex128(1),
    "np.longdouble": lambda: np.longdouble(0.5),
    "np.datetime64": lambda: np.datetime64("2020-01-01"),
}
WORDS: dict[str, Callable[[], Any]] = {
    "empty word": lambda: "",
    "word": lambda: "no such word",
    "number in a word": lambda: "3",
    "nan in a word": lambda: "nan",
    "null in a word": lambda: "a\0b",
    "long word": lambda: "x" * 100_000,
    "bytes": lambda: b"abc",
    "bytearray": lambda: bytearray(b"abc"),
    "path": lambda: pathlib.Path("/no/such/path"),
}
COLLECTIONS: dict[str, Callable[[], Any]] = {
    "[]": list,
    "[0.5]": lambda: [0.5],
    "[1]": lambda: [1],
    "ragged list": lambda: [[1.0], [2.0, 3.0]],
    "list of words": lambda: ["a", "b"],
    "list of None": lambda: [None, None],
    "list of nan": lambda: [math.nan, math.nan],
    "deep list": lambda: _nested(200),
    "list in itself": _loop,
    "()": tuple,
    "one in a tuple": lambda: (0.1,),
    "pair of nan": lambda: (math.nan, 0.1),
    "pair of None": lambda: (None, None),
    "pair of words": lambda: ("a", "b"),
    "pair of negatives": lambda: (-1.0, -2.0),
    "pair of booleans": lambda: (True, False),
    "triple": lambda: (1, 2, 3),
    "set": lambda: {1, 2},
    "dict": lambda: {"a": 1},
    "{}": dict,
    "range": lambda: range(3),
    "generator": lambda: (x for x in (1.0, 2.0)),
    "iterator": lambda: iter([1.0]),
}
OBJECTS: dict[str, Callable[[], Any]] = {
    "object": object,
    "hostile object": _Hostile,
    "class": lambda: int,
    "python module": lambda: math,
    "exception": lambda: ValueError("x"),
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "file": io.StringIO,
    "function of nothing": lambda: lambda: None,
    "function to None": lambda: lambda *_: None,
    "function that raises": lambda: _raise,
    "builtin": lambda: len,
    "nn.Linear(5, 5)": lambda: torch.nn.Linear(5, 5),
    "nn.Identity": torch.nn.Identity,
    "np.random.Generator": lambda: np.random.default_rng(0),
    "np.random.RandomState": lambda: np.random.RandomState(0),
    "torch.Generator": torch.Generator,
    "torch.dtype": lambda: torch.float32,
    "torch.device": lambda: torch.device("meta"),
    "LinearSystem 5x4": lambda: LinearSystem(np.eye(5), np.ones((5, 4))),
    "TimeVaryingLinearSystem": lambda: TimeVaryingLinearSystem(np.ones((1, 1, 1)), np.ones((1, 1, 1))),
}
ARRAYS: dict[str, Callable[[], Any]] = {
    "empty array": lambda: np.zeros(0),
    "array ()": lambda: np.array(0.5),
    "array (1,)": lambda: np.zeros(1),
    "array (17,)": lambda: np.zeros(17),
    "array (3, 7)": lambda: np.zeros((3, 7)),
    "array (1, 2, 3, 4)": lambda: np.zeros((1, 2, 3, 4)),
    "array (0, 2)": lambda: np.zeros((0, 2)),
    "array of integers": lambda: np.ones((2, 2), dtype=np.int64),
    "array of booleans": lambda: np.ones((2, 2), dtype=bool),
    "complex array": lambda: np.ones((2, 2), dtype=complex),
    "array of objects": lambda: np.array([None, 1.0], dtype=object),
    "array of words": lambda: np.array(["a", "b"]),
    "array of nan": lambda: np.full((2, 2), np.nan),
    "array of inf": lambda: np.full((2, 2), np.inf),
    "array of 1e300": lambda: np.full((2, 2), 1e300),
    "masked array": _masked,
    "long doubles": lambda: np.ones(2, dtype=np.longdouble),
    "structured array": lambda: np.zeros(2, dtype=[("x", float)]),
    "dates": lambda: np.zeros(2, dtype="datetime64[D]"),
    "huge strided array": _strided,
    "scipy sparse": lambda: scipy.sparse.csr_array(np.eye(2)),
}
TENSORS: dict[str, Callable[[], Any]] = {
    "tensor ()": lambda: torch.tensor(0.5),
    "tensor (1,)": lambda: torch.zeros(1),
    "tensor (3, 7)": lambda: torch.zeros(3, 7),
    "tensor (1, 2, 3, 4)": lambda: torch.zeros(1, 2, 3, 4),
    "empty tensor": lambda: torch.zeros(0),
    "tensor (0, 2)": lambda: torch.zeros(0, 2),
    "tensor of integers": lambda: torch.ones(2, 2, dtype=torch.int64),
    "tensor of booleans": lambda: torch.ones(2, 2, dtype=torch.bool),
    "complex tensor": lambda: torch.ones(2, 2, dtype=torch.complex64),
    "tensor of nan": lambda: torch.full((2, 2), torch.nan),
    "tensor of inf": lambda: torch.full((2, 2), torch.inf),
    "bfloat16 tensor": lambda: torch.ones(2, 2, dtype=torch.bfloat16),
    "float16 tensor": lambda: torch.ones(2, 2, dtype=torch.float16),
    "float64 tensor": lambda: torch.ones(2, 2, dtype=torch.float64),
    "sparse tensor": lambda: torch.eye(2).to_sparse(),
    "meta tensor": lambda: torch.zeros(2, 2, device="meta"),
    "tensor with gradient": lambda: torch.ones(2, 2, requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(torch.ones(2, 2)),
}


def _raise(*_: Any) -> Any:
    raise RuntimeError("raised by the function that was given")


BAD = {**SCALARS, **WORDS, **COLLECTIONS, **OBJECTS, **ARRAYS, **TENSORS}
"""Kind -> what makes a value of it."""
