"""Composition over time: the balanced order and the powers give what joining one step after the other gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linear_systems.exact.composition import compose


@given(st.integers(1, 200))
def test_order_is_kept_by_an_operation_that_does_not_commute(count: int) -> None:
    joined = compose(lambda a, b: a + b, lambda t: (t,), count, alike=False)
    assert joined == tuple(range(count))


@given(st.integers(1, 10**6))
def test_powers_count_every_step_in_few_operations(count: int) -> None:
    calls = 0

    def join(a: int, b: int) -> int:
        nonlocal calls
        calls += 1
        return a + b

    assert compose(join, lambda t: 1, count, alike=True) == count
    assert calls <= 2 * count.bit_length()
