"""Figures in the summary that no check prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from linear_systems import stop_gradient
from paper_checks.claims.theorem_6.constant import AGGRESSIVE, SCALAR

TEXT = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")


def test_the_largest_power_of_theorem_6_is_the_one_told() -> None:
    largest = stop_gradient.log_transient_growth(SCALAR, 80, 1.0, AGGRESSIVE, 320).max() / np.log(10.0)
    power = int(largest)
    assert rf"reaches ${10 ** (largest - power):.0f}\cdot10^{{{power}}}$ at $T = 80$" in TEXT
