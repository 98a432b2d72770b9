"""Shared test configuration: one thread, a clean state around every test, shape checks at run time, hypothesis."""

from __future__ import annotations

import os

# Before numpy and torch load: tests run side by side, and threads of one would take the cores of another.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import random
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

torch.set_num_threads(1)

# Shapes and dtypes in signatures are checked in the tests only; those of the tasks are not: their boundaries
# check shapes themselves, and their tests pass them wrong ones.
_CHECKED = [
    "dynamics",
    "objectives",
    "planners",
    "smoothing",
    "statistics",
    "theorems",
    "world_models",
    "adapters",
]
_HOOK = install_import_hook(
    ["linear_systems", *(f"grasp_theory.{name}" for name in _CHECKED)], "runtime_types.checked"
)

settings.register_profile("dev", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=60, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True)
def _clean_state() -> Iterator[None]:
    """Start every test from the same global state, whatever the last one left: a time-out may end a test anywhere."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    with warnings.catch_warnings():
        yield
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(1)
