"""The theorems of the paper, one file each, usable on the reader's own system.

A function takes an instance and returns a `TheoremCheck`: the computed value, the bound, their relation,
the rounding allowance, and whether the assumptions hold on this instance.
"""

from __future__ import annotations

from grasp_theory.theorems.record import TheoremCheck

__all__ = ["TheoremCheck"]
