"""Fixtures of the world model tests."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture
def types_unchecked() -> Iterator[None]:
    """Turn the tests' type checks off: users do not have them, and a file's values have any type."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
