"""How far a slow figure is, on standard error: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as bar

EVERY = 15.0
"""Seconds between two lines of a log."""

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield the items, and show how many are done.

    Arguments
        items: what is worked on, one after the other.
        what: the work, in a few words.
    """
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        yield from bar(items, what, console=console, transient=True)
        return
    told = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            console.print(f"{what}: {done} of {len(items)}", markup=False)
        yield item
