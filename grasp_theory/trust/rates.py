"""Rates along trajectories: of the greedy closed loop, of the stop-gradient iteration, and a certificate from windows.

A trajectory of T steps is continued by repeating it.  For a periodic sequence ρ_∞(K) = ρ(K_{T−1} ⋯ K_0)^{1/T} exactly, and
the iteration's uniform rate is the spectral radius of its operator, of which a ring of L = RT steps shows the frequencies
z^L = 1, and the plan itself, from its fixed start, max_t ρ(D_t), which is never more.  Statements that need no continuation
are made by windows: ‖J^k‖ in the norm max_t ‖e_t‖ needs k + 1 steps.

Source: docs/theory/uniform_convergence.md, U1–U7; docs/theory/nonlinear.md, U15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from grasp_theory.trust.linearisation import Linearisation, time_invariant
from linear_systems.errors import UndecidedError, UnstableSystemError
from linear_systems.rounding import EPS, rounding_allowance
from linear_systems.stop_gradient import uniform_convergence, uniform_rate
from linear_systems.stop_gradient.basin import Basin
from linear_systems.stop_gradient.blocks import steps_of, update_blocks
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

LARGEST_EXACT = 18
"""n + m up to which r of a time-invariant system is computed exactly, in O((n + m)⁶)."""
STATE_STEPS = np.geomspace(0.003, 0.49, 9)
"""Step sizes η_s that are tried first."""
ACTION_STEPS = np.geomspace(0.01, 0.9, 8)
"""Step sizes η_a (1+β) max‖B_t‖² that are tried first."""
ZOOMS, CLOSE = 3, 4
"""How often the grid is refined around the best pair, and how many values of each step size it has then.  Where A_t are
not formed, every other value of the first grid is tried, for half as long, and it is not refined."""
RING = 12
"""Steps that the ring has at least: a shorter plan is repeated on it, for a short ring shows few frequencies."""
ITERATIONS, LONG = 120, 800
"""Iterations on the ring over which a rate is measured, by the growth in their second half; the latter once chosen."""
SEEN = 1.02
"""Where ρ_∞(K) >= 1, errors are measured in units that grow by this times ρ_∞(K) a step."""
LONGEST_POWER = 17
"""Powers J^k are formed up to k = 2^LONGEST_POWER for the certificate."""
CERTIFIED_ORDER = 4e9
"""(T(n+m))³, summed over the plans, that certificates may take."""


@dataclass(frozen=True, eq=False)
class Rates:
    """What converges along P trajectories, and how fast.

    Arguments
        directions: (P, T), how many independent directions the actions move a state in, k <= min(n, m).
        greedy: ρ_∞(K) of each trajectory, repeated, (P,); of a time-invariant system ρ(K).
        greedy_windows: max_t ‖K_{t+w−1} ⋯ K_t‖^{1/w} of each for w = `window`, (P,); NaN where A_t are not formed.
        window: w, half of the trajectory.
        step_sizes: (η_s, η_a), the pair with the smallest worst rate over the trajectories; None where actions move nothing.
        scale: c; 1 where ρ_∞(K) < 1, and else the unit per step in which the pair is tuned: A/c in place of A.
        rate: r at the pair, in these units, of each trajectory, (P,).
        own_rate: r at the best pair of each trajectory alone, of those on the first grid, (P,); never above `rate`.
        exact: whether r is that of `linear_systems`, or else measured on the ring.
        certificates: for each trajectory what the windows prove at the pair; None: nothing, or not tried.
        tried: how many certificates were tried, the worst rates first.
    """

    directions: Int[np.ndarray, "P T"]
    greedy: Float[np.ndarray, " P"]
    greedy_windows: Float[np.ndarray, " P"]
    window: int
    step_sizes: tuple[float, float] | None
    scale: float
    rate: Float[np.ndarray, " P"]
    own_rate: Float[np.ndarray, " P"]
    exact: bool
    certificates: tuple[Basin | None, ...]
    tried: int

    @property
    def exists(self) -> bool:
        """Whether step sizes with r < 1 exist along every trajectory (repeated): ρ_∞(K) < 1, U3 and U7."""
        return self.step_sizes is not None and bool((self.greedy < 1.0).all())


@dataclass(frozen=True, eq=False)
class Loop:
    """A linearisation with its idle actions removed: B_t V_t = U_t S_t, its k strongest directions (U3).

    Arguments
        linear: the linearisation.
        span: U_t, (P, T, n, k), orthonormal columns, zero where a direction is idle.
        gain: S_t, (P, T, k), zero where a direction is idle.
        scale: c; A/c in place of A.
    """

    linear: Linearisation
    span: Float[Tensor, "P T n k"]
    gain: Float[Tensor, "P T k"]
    scale: float = 1.0

    @property
    def inputs(self) -> Float[Tensor, "P T n k"]:
        """B_t V_t."""
        return self.span * self.gain[..., None, :]

    def greedy(self, vectors: Float[Tensor, "P n v"], time: int) -> Float[Tensor, "P n v"]:
        """Return K_t v of the vectors (P, n, k) at one time."""
        moved = self.linear.push_at(time, vectors) / self.scale
        span = self.span[:, time]
        return moved - span @ (span.mT @ moved)


def without_idle_actions(linear: Linearisation, rank_tolerance: float) -> Loop:
    """Return the loop with the directions whose singular values exceed `rank_tolerance` times the largest at that time."""
    u, s, _ = torch.linalg.svd(linear.by_actions, full_matrices=False)
    kept = (s > rank_tolerance * s[..., :1]) & (s > 0.0)
    most = max(1, int(kept.sum(-1).max()))
    return Loop(linear, (u * kept[..., None, :])[..., :most], (s * kept)[..., :most])


def rates(linear: Linearisation, goal_weight: float, rank_tolerance: float) -> Rates:
    """Return the rates along every trajectory.

    Arguments
        linear: the linearisation.
        goal_weight: β > 0.
        rank_tolerance: singular values of B_t below this times the largest count as zero.
    """
    loop = without_idle_actions(linear, rank_tolerance)
    directions = (loop.gain > 0.0).sum(-1).numpy()
    window = max(1, linear.horizon // 2)
    invariant = time_invariant(linear)
    greedy = _greedy(loop, invariant)
    windows = np.full(linear.plans, np.nan)
    if linear.by_states is not None:
        windows = np.array(
            [uniform_convergence.greedy_decay(_reduced(loop, p), window) for p in range(linear.plans)]
        )
    if not directions.any():
        nothing = np.full(linear.plans, np.nan)
        none: tuple[None, ...] = (None,) * linear.plans
        return Rates(directions, greedy, windows, window, None, 1.0, nothing, nothing, False, none, 0)
    worst = float(greedy.max())
    scale = 1.0 if worst < 1.0 else SEEN * worst
    loop = Loop(loop.linear, loop.span, loop.gain, scale)
    pair, rate, own, exact = _best_pair(loop, goal_weight, invariant)
    certificates, tried = _certificates(loop, goal_weight, pair, rate)
    return Rates(directions, greedy, windows, window, pair, scale, rate, own, exact, certificates, tried)


def measured_rates(
    loop: Loop,
    goal_weight: float,
    state_steps: Float[np.ndarray, " G"],
    action_steps: Float[np.ndarray, " G"],
    iterations: int = ITERATIONS,
) -> Float[np.ndarray, "G P"]:
    """Return r of G pairs on P trajectories, repeated: how random errors grow on the ring in the second half, or max_t ρ(D_t).

    Never more than r but for what is left of faster modes: the ring shows the frequencies z^L = 1, and D_t the centre z = 0.

    Arguments
        loop: the loop.
        goal_weight: β.
        state_steps, action_steps: η_s and η_a of the pairs.
        iterations: K; the growth is over the last K/2.
    """
    linear, pairs = loop.linear, len(state_steps)
    generator = torch.Generator().manual_seed(0)
    P, T, n, k = loop.span.shape
    copies = -(-RING // T)
    states, actions = (
        torch.randn(P, T, size, copies, 1, generator=generator, dtype=torch.float64)
        .expand(P, T, size, copies, pairs)
        .flatten(3)
        for size in (n, k)
    )
    actions = actions * (loop.gain[..., None] > 0.0)
    eta_s, eta_a = (torch.from_numpy(np.tile(steps, copies)) for steps in (state_steps, action_steps))
    inputs, growth, half = loop.inputs, torch.zeros(P, pairs, dtype=torch.float64), iterations // 2
    for iteration in range(iterations):
        before = states.roll(1, dims=1)
        before[:, 0] = before[:, 0].roll(pairs, dims=2)  # the last step of a copy leads into the next copy
        prediction = linear.push(before) / loop.scale + inputs @ actions
        residual = states - prediction
        actions = actions + 2.0 * eta_a * (inputs.mT @ (residual - goal_weight * prediction))
        states = states - 2.0 * eta_s * residual
        size = torch.cat([states, actions], dim=2).flatten(1, 2).view(P, -1, pairs).norm(dim=1)
        size = size.clamp_min(torch.finfo(torch.float64).tiny)
        over = size.repeat(1, copies)[:, None, None]
        states, actions = states / over, actions / over
        if iteration >= half:
            growth += size.log()
    measured = (growth / (iterations - half)).exp().T.numpy()
    return np.asarray(np.maximum(measured, _alone(loop, goal_weight, state_steps, action_steps)))


def _alone(
    loop: Loop,
    goal_weight: float,
    state_steps: Float[np.ndarray, " G"],
    action_steps: Float[np.ndarray, " G"],
) -> Float[np.ndarray, "G P"]:
    """Return max_t ρ(D_t), the rate of a plan from its fixed start, of idle directions nothing.  Source: Eq. (83)."""
    b = loop.gain[..., None].numpy()
    p, q = state_steps, action_steps * (1.0 + goal_weight) * b**2
    large = p + q + np.hypot(p - q, 2.0 * np.sqrt(state_steps * action_steps) * b)
    small = 4.0 * state_steps * action_steps * goal_weight * b**2 / large
    radii = np.maximum(np.abs(1.0 - large), np.where(b > 0.0, np.abs(1.0 - small), 0.0)).max(axis=2)
    free = (b > 0.0).sum(axis=2) < loop.linear.state_dim  # a direction of states that no action moves
    return np.asarray(np.maximum(radii, np.where(free, np.abs(1.0 - 2.0 * p), 0.0)).max(axis=1).T)


def block_powers(
    diagonal: Float[Tensor, "T d d"], left: Float[Tensor, "T d d"], doublings: int
) -> list[tuple[int, float]]:
    """Return (k, N_k) for k = 1, 2, 4, ...: bounds N_k >= ‖J^k‖ in the norm max_t ‖e_t‖₂, as `basin.block_growth` has them.

    By squaring, with the rounding of every product added: if ‖X − J^k‖ <= ε, then ‖X² − J^{2k}‖ <= 2‖X‖ε + ε² + what the
    product rounds.  It ends at the first power that is below 1/2 or above 10^100.

    Arguments
        diagonal, left: D_t and E_t.
        doublings: the largest k is 2^doublings.
    """
    T, d, _ = diagonal.shape
    blocks = torch.zeros(T, T, d, d, dtype=torch.float64)
    at = torch.arange(T)
    blocks[at, at] = diagonal
    blocks[at[1:], at[:-1]] = left[1:]
    power = blocks.permute(0, 2, 1, 3).reshape(T * d, T * d)
    found: list[tuple[int, float]] = []
    error = 0.0
    for doubling in range(doublings + 1):
        each = power.reshape(T, d, T, d).permute(0, 2, 1, 3).reshape(T * T, d, d)
        norm = float(torch.linalg.matrix_norm(each, ord=2).reshape(T, T).sum(1).max())
        bound = (norm + error) * (1.0 + rounding_allowance(1.0, d * T))
        found.append((2**doubling, bound))
        if not 0.5 <= bound <= 1e100:
            break
        size = float(torch.linalg.matrix_norm(each).reshape(T, T).sum(1).max())
        rounding = 2.0 * EPS * d * T * size**2
        error = 2.0 * norm * error + error**2 + rounding
        power = power @ power
    return found


def certificate(loop: Loop, plan: int, goal_weight: float, step_size: tuple[float, float]) -> Basin | None:
    """Return S and q < 1 with ‖J^k e‖ <= S q^k ‖e‖ in the norm max_t ‖e_t‖, along one trajectory; None if no power shows it.

    If N_{k₀} < 1, then q = N_{k₀}^{1/k₀}, and S = max_{k<k₀} N_k/q^k, where N_k of the k between the powers of two is at
    most the product of those that add up to it.  It holds for every horizon whose windows of k₀ + 1 steps are all among
    the trajectory's, and of T = its length in any case; of the model's linearisation (radius infinite: no curvature).
    Actions are measured by what the strongest of them moves a state, so that their unit does not matter (U13).

    Source: docs/theory/uniform_convergence.md, U2 and U7; docs/theory/nonlinear.md, U15.
    """
    kept, unit = loop.gain[plan] > 0.0, float(loop.gain[plan].max())
    T, n = loop.linear.horizon, loop.linear.state_dim
    reduced = _reduced(loop, plan)
    system = TimeVaryingLinearSystem(reduced.A, reduced.B / unit)
    D, E = update_blocks(steps_of(system, T, goal_weight), (step_size[0], step_size[1] * unit**2))
    # An idle direction is no variable of the iteration.
    t, j = np.nonzero(~kept.numpy())
    D[t, n + j, n + j] = 0.0
    powers = block_powers(torch.from_numpy(D), torch.from_numpy(E), LONGEST_POWER)
    last, bound = powers[-1]
    if bound >= 1.0:
        return None
    log_rate = math.log(bound) / last if bound > 0.0 else -math.inf
    if log_rate == -math.inf:
        return Basin(math.inf, max(1.0, *(norm for _, norm in powers)), 0.0, last)
    amplification = sum(max(0.0, math.log(norm) - k * log_rate) for k, norm in powers[:-1])
    return Basin(math.inf, math.exp(amplification), math.exp(log_rate), last)


def _greedy(loop: Loop, invariant: bool) -> Float[np.ndarray, " P"]:
    """Return ρ(K_{T−1} ⋯ K_0)^{1/T} of every trajectory."""
    linear = loop.linear
    if invariant:
        return np.full(linear.plans, uniform_convergence.greedy_radius(_invariant(loop)))
    if linear.by_states is not None:
        product = torch.eye(linear.state_dim, dtype=torch.float64).expand(linear.plans, -1, -1)
        logs = torch.zeros(linear.plans, dtype=torch.float64)
        for time in range(linear.horizon):
            product = loop.greedy(product, time)
            size = product.abs().amax((1, 2)).clamp_min(torch.finfo(torch.float64).tiny)
            product, logs = product / size[:, None, None], logs + size.log()
        radius = torch.linalg.eigvals(product).abs().amax(1)
        return np.asarray(((radius.log() + logs) / linear.horizon).exp().numpy())
    vector = torch.randn(
        linear.plans, linear.state_dim, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    growth, cycles = torch.zeros(linear.plans, dtype=torch.float64), 4
    for cycle in range(cycles):
        for time in range(linear.horizon):
            vector = loop.greedy(vector, time)
            size = vector.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
            vector = vector / size[:, None, None]
            if cycle:
                growth += size.log()
    return np.asarray((growth / ((cycles - 1) * linear.horizon)).exp().numpy())


def _best_pair(
    loop: Loop, goal_weight: float, invariant: bool
) -> tuple[tuple[float, float], Float[np.ndarray, " P"], Float[np.ndarray, " P"], bool]:
    """Return the pair, r at it, r of each trajectory's own best pair, and whether they are exact."""
    plans = loop.linear.plans
    if (
        invariant
        and loop.linear.state_dim + loop.gain.shape[-1] <= LARGEST_EXACT
        and bool((loop.gain > 0).all())
    ):
        system = _invariant(loop)
        try:
            exact = uniform_convergence.best_uniform_step_size(system, goal_weight)
        except (UnstableSystemError, UndecidedError):
            pass  # too close to 1 for float64; the search below finds what there is
        else:
            rate = np.full(plans, uniform_rate(system, goal_weight, exact))
            return exact, rate, rate, True
    unit = (1.0 + goal_weight) * float(loop.gain.max()) ** 2
    dense = loop.linear.by_states is not None
    states, scaled = (STATE_STEPS, ACTION_STEPS) if dense else (STATE_STEPS[::2], ACTION_STEPS[::2])
    short, long = (ITERATIONS, LONG) if dense else (ITERATIONS // 2, ITERATIONS)
    best, own = np.empty(2), np.empty((plans, 2))
    for zoom in range(ZOOMS + 1 if dense else 1):
        pairs = np.array([(s, a / unit) for s in states for a in scaled])
        tried = measured_rates(loop, goal_weight, pairs[:, 0], pairs[:, 1], short)
        if not zoom:
            own = pairs[tried.argmin(axis=0)]
        best = pairs[int(np.argmin(tried.max(axis=1)))]
        reach = (STATE_STEPS[1] / STATE_STEPS[0]) ** (0.5**zoom)
        states = best[0] * np.geomspace(1.0 / reach, reach, CLOSE)
        scaled = best[1] * unit * np.geomspace(1.0 / reach, reach, CLOSE)
    last = np.concatenate([best[None], own])
    rate = measured_rates(loop, goal_weight, last[:, 0], last[:, 1], long)
    return (float(best[0]), float(best[1])), rate[0], np.minimum(np.diagonal(rate[1:]), rate[0]), False


def _certificates(
    loop: Loop, goal_weight: float, pair: tuple[float, float], rate: Float[np.ndarray, " P"]
) -> tuple[tuple[Basin | None, ...], int]:
    """Return the certificates of the trajectories, the worst rates first, as many as the budget pays for."""
    linear = loop.linear
    found: list[Basin | None] = [None] * linear.plans
    if linear.by_states is None:
        return tuple(found), 0
    order = float(linear.horizon * (linear.state_dim + loop.gain.shape[-1])) ** 3
    tried = np.argsort(-rate)[: max(1, int(CERTIFIED_ORDER // order))]
    for plan in tried:
        found[plan] = certificate(loop, int(plan), goal_weight, pair)
    return tuple(found), len(tried)


def _reduced(loop: Loop, plan: int) -> TimeVaryingLinearSystem:
    """Return (A_t/c, B_t V_t) along one trajectory."""
    assert loop.linear.by_states is not None
    return TimeVaryingLinearSystem(
        loop.linear.by_states[plan].numpy() / loop.scale, loop.inputs[plan].numpy()
    )


def _invariant(loop: Loop) -> LinearSystem:
    """Return the system of the first step of the first trajectory, which all are; without idle actions, if there are any."""
    one = _reduced(loop, 0)
    whole = loop.gain.shape[-1] == loop.linear.action_dim and bool((loop.gain > 0.0).all())
    return LinearSystem(one.A[0], loop.linear.by_actions[0, 0].numpy() if whole else one.B[0])
