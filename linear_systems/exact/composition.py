"""Composition of an associative operation over the steps of a stretch of time.

What happens over steps i..j−1 followed by j..k−1 is often one associative operation of two summaries.  A
balanced order of joining then has depth log₂ T, so errors pass through log₂ T operations instead of T, and a
time-invariant system, whose summaries of equally long stretches are equal, needs only O(log T) operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Summary = TypeVar("Summary")


def compose(
    join: Callable[[Summary, Summary], Summary], step: Callable[[int], Summary], count: int, *, alike: bool
) -> Summary:
    """Return step(0) ∘ step(1) ∘ ... ∘ step(count − 1), where join(earlier, later) is ∘.

    Arguments
        join: an associative operation.
        step: the summary of one time step.
        count: how many steps, >= 1.
        alike: whether all steps are equal, so that step(0) stands for all.
    """
    if not alike:
        return _balanced(join, step, 0, count)
    single = total = step(0)
    for bit in bin(count)[3:]:
        total = join(total, total)
        if bit == "1":
            total = join(total, single)
    return total


def _balanced(
    join: Callable[[Summary, Summary], Summary], step: Callable[[int], Summary], start: int, stop: int
) -> Summary:
    if stop - start == 1:
        return step(start)
    middle = (start + stop) // 2
    return join(_balanced(join, step, start, middle), _balanced(join, step, middle, stop))
