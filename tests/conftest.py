"""Shared test configuration: one thread, a fresh state for each test, shape checks at run time, hypothesis profiles."""

from __future__ import annotations

import os
import signal

# A run that a shell has put in the background ignores interrupts, and so would all processes that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before numpy and torch load, which read it then; workers of the tests inherit it.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from hypothesis import HealthCheck, settings
from runtime_types import install

pytest_plugins = ["isolation"]

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
    *(f"trust.{name}" for name in ("linearisation", "noise", "rates", "reach", "settings", "smoothness")),
]
install(["linear_systems", *(f"grasp_theory.{name}" for name in _CHECKED)])

settings.register_profile("dev", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run: what fails there fails again, and is no surprise of another change.
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
