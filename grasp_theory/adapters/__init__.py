"""World models and solvers of other projects, joined to our planners; none of them is a dependency."""

from grasp_theory.adapters.history import GrowingHistory, HistoryDynamics, WindowModel, history_problem
from grasp_theory.adapters.stable_worldmodel import (
    NotConfiguredError,
    StableWorldModelSolver,
    as_stable_worldmodel_solver,
)
from grasp_theory.adapters.world_models import DINOWMModel, GoalEncodingModel, LeWMModel, PreJEPAModel

__all__ = [
    "DINOWMModel",
    "GoalEncodingModel",
    "GrowingHistory",
    "HistoryDynamics",
    "LeWMModel",
    "NotConfiguredError",
    "PreJEPAModel",
    "StableWorldModelSolver",
    "WindowModel",
    "as_stable_worldmodel_solver",
    "history_problem",
]
