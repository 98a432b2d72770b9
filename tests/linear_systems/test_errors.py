"""Errors come back whole from other processes."""

from __future__ import annotations

import pickle

import pytest

from linear_systems import errors

TYPED = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.InvalidInputError)
]


@pytest.mark.parametrize("error", TYPED)
def test_a_pickled_error_keeps_its_type_and_parts(error: type[errors.InvalidInputError]) -> None:
    sent = error("horizon", "at least 1", "0", "a positive number")
    back = pickle.loads(pickle.dumps(sent))
    assert type(back) is error
    assert vars(back) == vars(sent)
    assert str(back) == str(sent)
