"""The GRASP planner, its baselines and its theory, usable on the reader's own system or model."""

import grasp_theory.trust.automatic  # noqa: F401 - gives GRASP.auto its settings
from grasp_theory.action_sets import Balls, Box, Held
from grasp_theory.compare import Comparison, compare
from grasp_theory.control import ControlRun, GymnasiumWorld, control
from grasp_theory.dynamics import Dynamics, LinearDynamics, as_dynamics
from grasp_theory.ensemble import Ensemble
from grasp_theory.planners import (
    CEM,
    CEMGD,
    GRASP,
    ICEM,
    MPPI,
    GradientDescent,
    History,
    LatCo,
    Observation,
    Plan,
    Planner,
    Status,
)
from grasp_theory.problem import PlanningProblem
from grasp_theory.rollouts import rollout
from grasp_theory.trust.acceptance import Acceptance
from grasp_theory.trust.diagnosis import Diagnosis, diagnose

__all__ = [
    "CEM",
    "CEMGD",
    "GRASP",
    "ICEM",
    "MPPI",
    "Acceptance",
    "Balls",
    "Box",
    "Comparison",
    "ControlRun",
    "Diagnosis",
    "Dynamics",
    "Ensemble",
    "GradientDescent",
    "GymnasiumWorld",
    "Held",
    "History",
    "LatCo",
    "LinearDynamics",
    "Observation",
    "Plan",
    "Planner",
    "PlanningProblem",
    "Status",
    "as_dynamics",
    "compare",
    "control",
    "diagnose",
    "rollout",
]
