"""How good a world model is: `evaluate` measures it, `evaluate_command` is `python -m experiments evaluate`."""

from __future__ import annotations

from experiments.evaluation.evaluate_command import evaluate_command
from experiments.evaluation.measures import evaluate
from experiments.evaluation.sizes import SEED

__all__ = ["SEED", "evaluate", "evaluate_command"]
