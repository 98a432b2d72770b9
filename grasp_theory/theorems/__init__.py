"""The theorems of the paper, one file each, usable on the reader's own system.

A function takes an instance and returns a `TheoremCheck`: the computed value, the bound, their relation,
the rounding allowance, and whether the assumptions hold on this instance.
"""

from __future__ import annotations

from grasp_theory.theorems.appendix_a3 import state_noise_law
from grasp_theory.theorems.corollary_1 import smoothed_gradient_bound, unbiasedness
from grasp_theory.theorems.local_basin import local_contraction
from grasp_theory.theorems.record import TheoremCheck
from grasp_theory.theorems.theorem_2 import shooting_smoothness
from grasp_theory.theorems.theorem_3 import lifted_smoothness
from grasp_theory.theorems.theorem_4 import gradient_contraction, scale_control
from grasp_theory.theorems.theorem_5 import separation
from grasp_theory.theorems.theorem_6 import stop_gradient_contraction
from grasp_theory.theorems.theorem_6_uniform import (
    constant_growth,
    greedy_necessity,
    minimised_contraction,
    uniform_contraction,
    uniform_powers,
)
from grasp_theory.theorems.theorem_7 import gaussian_tube, live_tube
from grasp_theory.theorems.theorem_8 import goal_drift
from grasp_theory.theorems.theorem_9 import rollout_mean, rollout_spread

__all__ = [
    "TheoremCheck",
    "constant_growth",
    "gaussian_tube",
    "goal_drift",
    "gradient_contraction",
    "greedy_necessity",
    "lifted_smoothness",
    "live_tube",
    "local_contraction",
    "minimised_contraction",
    "rollout_mean",
    "rollout_spread",
    "scale_control",
    "separation",
    "shooting_smoothness",
    "smoothed_gradient_bound",
    "state_noise_law",
    "stop_gradient_contraction",
    "unbiasedness",
    "uniform_contraction",
    "uniform_powers",
]
