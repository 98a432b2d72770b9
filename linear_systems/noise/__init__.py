"""Laws of noisy updates: tubes (Theorem 7), rollouts (Theorem 9), joint iterations, Langevin flows (A.3)."""

from __future__ import annotations

from linear_systems.noise.joint import (
    joint_stationary_covariance,
    log_joint_stationary_variances,
)
from linear_systems.noise.langevin import (
    OrnsteinUhlenbeckLaw,
    boltzmann_residual_covariance,
    gibbs_residual_covariance,
    inverse_temperature,
    ornstein_uhlenbeck,
    wasserstein2,
)
from linear_systems.noise.tubes import (
    continuous_tube_variance,
    log_rollout_spread,
    mixing_time,
    rollout_covariance,
    rollout_covariance_limit,
    rollout_covariances,
    tube_means,
    tube_variance,
    tube_variances,
)

__all__ = [
    "OrnsteinUhlenbeckLaw",
    "boltzmann_residual_covariance",
    "continuous_tube_variance",
    "gibbs_residual_covariance",
    "inverse_temperature",
    "joint_stationary_covariance",
    "log_joint_stationary_variances",
    "log_rollout_spread",
    "mixing_time",
    "ornstein_uhlenbeck",
    "rollout_covariance",
    "rollout_covariance_limit",
    "rollout_covariances",
    "tube_means",
    "tube_variance",
    "tube_variances",
    "wasserstein2",
]
