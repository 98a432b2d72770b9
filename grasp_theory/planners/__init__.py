"""Planners: frozen hyper-parameters with `plan(problem, generator) -> Plan`, batched over problems and restarts."""

from grasp_theory.planners.cem import CEM, ICEM
from grasp_theory.planners.gradient_descent import GradientDescent
from grasp_theory.planners.grasp import GRASP
from grasp_theory.planners.hybrid import CEMGD
from grasp_theory.planners.latco import LatCo
from grasp_theory.planners.loop.plan import Curve, FirstReached, History, Plan, Status
from grasp_theory.planners.loop.planner import Planner
from grasp_theory.planners.loop.watch import Observation
from grasp_theory.planners.mppi import MPPI

__all__ = [
    "CEM",
    "CEMGD",
    "GRASP",
    "ICEM",
    "MPPI",
    "Curve",
    "FirstReached",
    "GradientDescent",
    "History",
    "LatCo",
    "Observation",
    "Plan",
    "Planner",
    "Status",
]
