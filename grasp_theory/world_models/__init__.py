"""World models learned from pixels: those that come with the package, and your own from files.

`load("wall_single")` gives a model with `encode`, `step`, `decode` and `probe`; pass it to a `PlanningProblem` as it
is.  `load(...).card` says what it was trained on and how good it is.
"""

from __future__ import annotations

from grasp_theory.world_models.architecture import Architecture
from grasp_theory.world_models.card import ActionLayout, Card
from grasp_theory.world_models.checkpoint import (
    CheckpointError,
    available,
    fingerprint,
    load,
    load_file,
    read_card,
    round_weights,
    save,
)
from grasp_theory.world_models.model import WorldModel

__all__ = [
    "ActionLayout",
    "Architecture",
    "Card",
    "CheckpointError",
    "WorldModel",
    "available",
    "fingerprint",
    "load",
    "load_file",
    "read_card",
    "round_weights",
    "save",
]
