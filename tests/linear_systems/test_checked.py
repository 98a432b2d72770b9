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

from grasp_theory import CEM
from grasp_theory.control import MakesPlans
from grasp_theory.dynamics import Model
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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"named": [1.0]}, r'a dict such as \{"name": a real number\} or None, found a value of type list'),
        ({"named": {"a": "b"}}, "expected each element to be a real number of at most 64 bits, found 'b' at place 0"),
        ({"system": 3}, "expected a LinearSystem, found 3. Try: pass a LinearSystem"),
        ({"system": LinearSystem}, r"found the class LinearSystem. Try: make one: LinearSystem\("),
        ({"function": lambda s, a, *b, c=1: s}, None),
        ({"function": lambda s, a, b: s}, r"a function of 2 arguments or None, found a function that takes \(s, a, b\)"),
        ({"function": lambda s, b=1, *, c: s}, r"found a function that takes \(s, b=\.\.\., c\)"),
    ],
)  # fmt: skip
def test_a_person_would_say_it_so(given: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert door(**{**GOOD, **given}) == "in"
        return
    with pytest.raises(ParameterError, match=words):
        door(**{**GOOD, **given})


def test_a_protocol_is_told_by_its_methods_and_what_is_annotated_by_the_function() -> None:
    @checked
    def planned(planner: MakesPlans, model: Model) -> str:
        return "in"

    assert planned(CEM(), 3) == "in"  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"planner: expected an object with plan\(problem\), found 3"):
        planned(3, 3)  # type: ignore[arg-type]


def test_a_checked_class_is_what_it_was() -> None:
    assert pickle.loads(pickle.dumps(Record("a", 2))) == Record("a", value=2)
    with pytest.raises(ParameterError, match="value: expected a real number"):
        Record("a", "b")  # type: ignore[arg-type]
