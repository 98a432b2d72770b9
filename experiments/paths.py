"""Where the repository keeps what the experiments store."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "experiments" / "results"
NOTEBOOKS = REPOSITORY / "experiments" / "notebooks"
