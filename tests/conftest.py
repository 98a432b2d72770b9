"""Shared test configuration: shape checks at run time, hypothesis profiles."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Shapes and dtypes in signatures are checked in the tests only.
_HOOK = install_import_hook(["linear_systems", "grasp_theory"], "runtime_types.checked")

settings.register_profile("dev", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=60, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
