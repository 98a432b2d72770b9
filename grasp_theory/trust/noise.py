"""Noise in the plan and in the model: the tube around virtual states, and the errors that a rollout accumulates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.trust.linearisation import Linearisation
from linear_systems import state_chain
from linear_systems.errors import FloatOverflowError

LARGEST_CHAIN = 2500
"""n T up to which the live law is computed; it holds T² covariances of n² entries."""
SAMPLES, FEW_SAMPLES = 256, 32
"""Paths of errors for each plan, the latter where A_t are not formed."""
BISECTIONS = 40
FARTHEST = 1e6
"""Radius of a goal region beyond which it counts as unbounded, in typical steps."""


@dataclass(frozen=True, eq=False)
class Tube:
    """How much noise on the virtual states is a wanted width.

    Arguments
        step: median ‖s_{t+1} − s_t‖ over the trajectories.
        width: wanted, in steps.
        state_dim: n.
        frozen_sigma: σ for that width in the tube of Theorem 7; NaN without step sizes.
        live_growth: root mean square over t and trajectories of the live states' width over the tube's; NaN if not known.
    """

    step: float
    width: float
    state_dim: int
    frozen_sigma: float
    live_growth: float

    @property
    def entry_step(self) -> float:
        """step/√n, what a step moves an entry by, root mean square."""
        return self.step / math.sqrt(self.state_dim)

    @property
    def live_sigma(self) -> float:
        """σ for the wanted width with the states that enter the model live; the frozen one where that is not known."""
        return self.frozen_sigma / (self.live_growth if math.isfinite(self.live_growth) else 1.0)

    def adam_sigma(self, learning_rate: float) -> float:
        """Return σ at which Adam's tube has the wanted width w: V = ((σ² + ℓ²)/2ℓ)² = w², so σ² = 2ℓw − ℓ² (U18).

        0 where w < ℓ/2: Adam alone spreads wider.
        """
        wanted = self.width * self.entry_step
        return math.sqrt(max(0.0, 2.0 * learning_rate * wanted - learning_rate**2))


def tube(linear: Linearisation, state_step: float | None, width: float) -> Tube:
    """Return σ for a tube of `width` typical steps at η_s = `state_step`.  Source: Theorem 7, Eq. (96).

    With live states the noise travels down the chain (`state_chain.stationary_law`); its width is a root mean square
    over the times of a trajectory, and the median over trajectories is taken.
    """
    moves = (linear.flat_states[:, 1:] - linear.flat_states[:, :-1]).norm(dim=2)
    step = float(moves.median())
    if state_step is None or not 0.0 < state_step < 1.0:
        return Tube(step, width, linear.state_dim, math.nan, math.nan)
    wanted = width * step / math.sqrt(linear.state_dim)
    frozen = 2.0 * wanted * math.sqrt(state_step * (1.0 - state_step))
    return Tube(step, width, linear.state_dim, frozen, _live_growth(linear, state_step))


def _live_growth(linear: Linearisation, state_step: float) -> float:
    if linear.by_states is None or linear.state_dim * linear.horizon > LARGEST_CHAIN:
        return math.nan
    found = []
    for plan in range(linear.plans):
        try:
            law = state_chain.stationary_law(linear.system(plan), linear.horizon, state_step, 1.0)
        except FloatOverflowError:
            return math.inf
        variance = np.trace(law.states, axis1=1, axis2=2).mean() / linear.state_dim
        found.append(math.sqrt(variance * 4.0 * state_step * (1.0 - state_step)))
    return float(np.median(found))


@dataclass(frozen=True, eq=False)
class ErrorLaw:
    """Mean ē and covariance Q of one-step errors, taken to be Gaussian.

    Arguments
        bias: ē, (n,), float64.
        covariance: Q, (n, n), float64.
    """

    bias: Float[Tensor, " n"]
    covariance: Float[Tensor, "n n"]


OneStepErrors = Tensor | float | ErrorLaw
"""Errors (N, n) in float64; their standard deviation σ in each entry; or their law."""


@dataclass(frozen=True, eq=False)
class Drift:
    """What one-step errors add up to over a rollout.  Source: Theorem 9, Eq. (102)–(105).

    Arguments
        sigma: σ_env, root mean square one-step error of a state's entry.
        bias_share: ‖mean error‖² over the mean square, in [0, 1]: what does not average out.
        spread: (P, T), root mean square ‖error of s_t‖, t = 1..T.
        radius: of the goal region along these errors, median; NaN where no region or radius is given.
        inside: (P, T), probability that the true state is in the goal region when the model's is at its centre; NaN there.
        origin: where the errors come from, in words.
    """

    sigma: float
    bias_share: float
    spread: Float[np.ndarray, "P T"]
    radius: float
    inside: Float[np.ndarray, "P T"]
    origin: str

    @property
    def blind_after(self) -> Float[np.ndarray, " P"]:
        """The last t up to which the probability is at least 1/2, (P,); 0 if it never is, NaN without a goal region."""
        seeing = np.logical_and.accumulate(self.inside >= 0.5, axis=1).sum(axis=1).astype(np.float64)
        return np.where(np.isnan(self.inside).any(axis=1), np.nan, seeing)


def drift(
    linear: Linearisation,
    errors: OneStepErrors,
    goals: Tensor,
    reached: Callable[[Tensor, Tensor], Tensor] | None,
    radius: float | None,
    origin: str,
) -> Drift:
    """Return what errors add up to along every trajectory: u_{t+1} = A_t u_t + e_t, e_t independent.

    Mean and covariance follow m ← A m + ē and Σ ← A Σ Aᵀ + Q; σ² I for Q and no mean if `errors` is σ.  Where A_t are not
    formed, sample paths are pushed instead.

    Arguments
        linear: the linearisation.
        errors: one-step errors s' − F(s, a), flattened; σ; or their law.
        goals: (P, *S), where a goal region is looked at.
        reached: says whether states are in the goal region; used if `radius` is None.
        radius: of the goal region in Euclidean distance.
        origin: where the errors come from.
    """
    generator = torch.Generator().manual_seed(0)
    if isinstance(errors, float):
        sigma, bias_share = errors, 0.0
    else:
        bias, covariance = _moments(errors)
        square = float(bias.square().sum() + covariance.trace()) / len(bias)
        sigma, bias_share = math.sqrt(square), float(bias.square().mean()) / square if square else 0.0
    spreads, samples = _paths(linear, errors, generator)
    inside = torch.full(spreads.shape, torch.nan, dtype=torch.float64)
    found = math.nan if radius is None else radius
    if radius is not None:
        inside = (samples.norm(dim=2) <= radius).double().mean(-1)
    elif reached is not None:
        inside = torch.stack([_share(reached, goals, samples[:, t]) for t in range(samples.shape[1])], dim=1)
        step = float((linear.flat_states[:, 1:] - linear.flat_states[:, :-1]).norm(dim=2).median())
        found = region_radius(reached, goals, samples[:, -1], step)
    return Drift(sigma, bias_share, spreads.numpy(), found, inside.numpy(), origin)


def region_radius(
    reached: Callable[[Tensor, Tensor], Tensor],
    goals: Tensor,
    directions: Float[Tensor, "P n N"],
    step: float,
) -> float:
    """Return the median over directions of how far from the goal its region extends, by bisection.

    Arguments
        reached: (states, goals) -> booleans.
        goals: (P, *S).
        directions: (P, n, N), of any length.
        step: a typical step; the region is unbounded where it extends `FARTHEST` steps.
    """
    lengths = directions.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    unit = directions / lengths
    low = torch.zeros(len(goals), 1, directions.shape[2], dtype=torch.float64)
    high = torch.full_like(low, FARTHEST * max(step, torch.finfo(torch.float64).tiny))
    for _ in range(BISECTIONS):
        middle = torch.where(low > 0.0, (low * high).sqrt(), high * 1e-3)
        within = _inside(reached, goals, unit * middle)[:, None]
        low, high = torch.where(within, middle, low), torch.where(within, high, middle)
    return float(low.median())


def _paths(
    linear: Linearisation, errors: OneStepErrors, generator: torch.Generator
) -> tuple[Float[Tensor, "P T"], Float[Tensor, "P T n S"]]:
    """Return root mean square ‖error of s_t‖ and samples of it."""
    P, T, n = linear.plans, linear.horizon, linear.state_dim
    count = FEW_SAMPLES if linear.by_states is None else SAMPLES

    root = _root(errors.covariance) if isinstance(errors, ErrorLaw) else torch.zeros(0)

    def draw() -> Tensor:
        if isinstance(errors, float):
            return errors * torch.randn(P, n, count, generator=generator, dtype=torch.float64)
        if isinstance(errors, ErrorLaw):
            noise = torch.randn(P, n, count, generator=generator, dtype=torch.float64)
            return errors.bias[:, None] + root @ noise
        return errors[torch.randint(len(errors), (P, count), generator=generator)].mT

    samples, path = torch.zeros(P, n, count, dtype=torch.float64), []
    for time in range(T):
        samples = linear.push_at(time, samples) + draw()
        path.append(samples)
    sampled = torch.stack(path, dim=1)
    if linear.by_states is None:
        return sampled.square().sum(2).mean(-1).sqrt(), sampled
    mean = torch.zeros(P, n, 1, dtype=torch.float64)
    covariance = torch.zeros(P, n, n, dtype=torch.float64)
    if isinstance(errors, float):
        bias, added = torch.zeros(n, dtype=torch.float64), errors**2 * torch.eye(n, dtype=torch.float64)
    else:
        bias, added = _moments(errors)
    spread = []
    for time in range(T):
        A = linear.by_states[:, time]
        mean, covariance = A @ mean + bias[:, None], A @ covariance @ A.mT + added
        square = covariance.diagonal(dim1=1, dim2=2).sum(1) + mean.square().sum((1, 2))
        spread.append(square.clamp_min(0.0).sqrt())
    return torch.stack(spread, dim=1), sampled


def _moments(errors: Tensor | ErrorLaw) -> tuple[Float[Tensor, " n"], Float[Tensor, "n n"]]:
    """Return mean and covariance."""
    if isinstance(errors, ErrorLaw):
        return errors.bias, errors.covariance
    bias = errors.mean(0)
    centred = errors - bias
    return bias, centred.T @ centred / len(errors)


def _root(covariance: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """Return a square root of a covariance that rounding may have made indefinite."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2.0)
    root: Tensor = vectors * values.clamp_min(0.0).sqrt()
    return root


def _share(
    reached: Callable[[Tensor, Tensor], Tensor], goals: Tensor, moved: Float[Tensor, "P n N"]
) -> Float[Tensor, " P"]:
    return _inside(reached, goals, moved).double().mean(1)


def _inside(
    reached: Callable[[Tensor, Tensor], Tensor], goals: Tensor, moved: Float[Tensor, "P n N"]
) -> Bool[Tensor, "P N"]:
    """Return whether goals, moved so, are still in the goal region."""
    count = moved.shape[2]
    wanted = goals.repeat_interleave(count, 0)
    shift = moved.mT.reshape(-1, *goals.shape[1:]).to(goals)
    with torch.no_grad():
        return reached(wanted + shift, wanted).cpu().view(len(goals), count)
