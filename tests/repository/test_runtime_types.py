"""In the tests, functions refuse arrays of shapes and values of types that their annotations exclude."""

from __future__ import annotations

from dataclasses import dataclass

import jaxtyping
import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from runtime_types import checked

from linear_systems.validation import positive_float

refused = pytest.raises(BeartypeCallHintViolation)


@checked
def product(x: Float[np.ndarray, "a b"], y: Float[np.ndarray, " b"]) -> Float[np.ndarray, " a"]:
    return np.zeros(0) if x.size > 9 else x @ y


@checked
@dataclass(frozen=True)
class Pair:
    first: Float[np.ndarray, " n"]
    second: Float[np.ndarray, " n"]


def test_the_packages_are_checked() -> None:
    assert positive_float("sigma", 2) == 2.0
    with refused:
        positive_float(3, 2.0)  # type: ignore[arg-type]


def test_an_axis_has_one_size_in_a_call_and_in_what_it_returns() -> None:
    assert product(np.ones((2, 3)), np.ones(3)).shape == (2,)
    assert product(np.ones((1, 2)), np.ones(2)).shape == (1,)
    with refused:
        product(np.ones((2, 3)), np.ones(2))
    with refused:
        product(np.ones((4, 3)), np.ones(3))


def test_constructors() -> None:
    assert Pair(np.ones(2), np.ones(2)).first.size == 2
    with refused:
        Pair(np.ones(2), np.ones(3))


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert product(np.ones((4, 3)), np.ones(3)).shape == (0,)
