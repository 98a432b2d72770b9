"""Linear dynamics and what planning on them costs: conditioning, stop-gradient iterations, noise, certificates."""

from __future__ import annotations

from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem

__all__ = ["AnySystem", "LinearSystem", "TimeVaryingLinearSystem"]
