"""What the annotations of a function let in, and what they refuse by the argument's name."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from linear_systems import LinearSystem
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, HorizonError, InvalidInputError, ParameterError, ShapeError

GOOD: dict[str, Any] = {"system": LinearSystem(np.eye(2), np.eye(2)), "horizon": 3}


@checked
def door(
    system: LinearSystem,
    horizon: int,
    number: float = 0.0,
    states: Float[Tensor, "B n"] | None = None,
    weights: ArrayLike = 1.0,
    counts: Sequence[int] = (),
    named: Mapping[str, float] | None = None,
    function: Callable[[Tensor, Tensor], Tensor] | None = None,
    kind: Literal["one", "two"] = "one",
    pair: tuple[float, float] = (0.0, 0.0),
    path: str | Path = "here",
    later: NotDefined = None,  # type: ignore[name-defined]
) -> str:
    """Return a word."""
    return "in"


@checked
@dataclass(frozen=True)
class Record:
    """A number with a name."""

    name: str
    value: float = 1.0


@pytest.mark.parametrize(
    "given",
    [
        {"horizon": np.int64(3)}, {"number": np.float32(1)}, {"number": 2}, {"states": torch.zeros(2, 3)}, {"weights": [1, 2.5]},
        {"weights": np.ones(3)}, {"counts": [1, 2]}, {"named": {"a": 1}}, {"function": lambda s, a: s}, {"kind": "two"},
        {"pair": (1, 2.0)}, {"path": Path("x")}, {"later": object()},
    ],
)  # fmt: skip
def test_what_fits_comes_in(given: dict[str, Any]) -> None:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        assert door(**{**GOOD, **given}) == "in"
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("system", 3, ParameterError), ("horizon", True, HorizonError), ("horizon", 2.5, HorizonError),
        ("horizon", 10**30, HorizonError), ("number", float("nan"), ParameterError), ("number", 1j, ParameterError),
        ("states", np.zeros((2, 3)), DTypeError), ("states", torch.zeros(2), ShapeError),
        ("states", torch.ones(2, 3, dtype=torch.int64), DTypeError), ("states", torch.eye(2).to_sparse(), DTypeError),
        ("states", torch.zeros(2, 3, device="meta"), DTypeError), ("states", torch.zeros(2, 3).half(), DTypeError),
        ("weights", "abc", DTypeError), ("weights", [[1.0], [1.0, 2.0]], ShapeError),
        ("weights", np.ma.masked_array([1.0], [True]), DTypeError), ("weights", torch.ones(2, requires_grad=True), DTypeError),
        ("counts", "ab", ParameterError), ("counts", [1, "a"], ParameterError), ("named", {"a": "b"}, ParameterError),
        ("function", lambda: None, ParameterError), ("function", int, ParameterError), ("kind", "three", ParameterError),
        ("pair", (1.0,), ParameterError), ("path", "a\0b", ParameterError),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(name: str, value: object, error: type[InvalidInputError]) -> None:
    with pytest.raises(error, match=rf"^{name}: expected") as caught:
        door(**{**GOOD, name: value})
    assert caught.value.argument == name


def test_a_checked_class_is_what_it_was() -> None:
    assert pickle.loads(pickle.dumps(Record("a", 2))) == Record("a", value=2)
    with pytest.raises(ParameterError, match="value: expected a real number"):
        Record("a", "b")  # type: ignore[arg-type]
