"""Rollouts and gradients that are parallel in time: one model evaluation on all times, then a scan over small matrices.

A rollout solves s_{t+1} = F(s_t, a_t) for all t.  Newton's method on these T equations linearises them about a guess,

    δ_{t+1} − A_t δ_t = r_t,    r_t = F(s_t, a_t) − s_{t+1},    A_t = ∂F/∂s (s_t, a_t),    δ_0 = 0,

and adds δ to the guess.  After k sweeps s_1..s_k are exact, whatever the guess; near the rollout the error is squared in
every sweep.  The matrix is unit block lower bidiagonal, I − N, and N is nilpotent, so that its inverse is a product of
log2 T factors, (I − N)^{-1} = Π_j (I + N^{2^j}): a solve takes log2 T steps that are parallel in time, and the gradient
of a loss at s_T, which solves the transposed system, takes as many.
Source: Lim et al., Parallelizing non-linear sequential models over the sequence length (2024), for Newton's method.

Shapes: N rows, T times, d entries of a state, m of an action, `*S` the axes of one state.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linear_systems.errors import ParameterError

Step = Callable[[Tensor, Tensor], Tensor]
"""F on states (N, T, *S) and actions (N, T, m), all times side by side."""
TOLERANCE = 1e-4
"""A guess is a rollout once Newton would move no state by more than this part of the largest ‖s_t − s_0‖."""


def jacobian_passes(state_size: int) -> int:
    """Return what A and B of one model step count in evaluations: a forward pass, and d backward passes of two each."""
    return 1 + 2 * state_size


@dataclass(frozen=True, eq=False)
class Linearised:
    """F about a guess s_0..s_T, a_0..a_{T-1}, states flattened.

    Arguments
        defects: r_t = F(s_t, a_t) − s_{t+1}, (N, T, d).
        by_states: A_t, (N, T, d, d).
        by_actions: B_t = ∂F/∂a, (N, T, d, m).
    """

    defects: Float[Tensor, "N T d"]
    by_states: Float[Tensor, "N T d d"]
    by_actions: Float[Tensor, "N T d m"]


def linearise(step: Step, states: Tensor, actions: Float[Tensor, "N T m"]) -> Linearised:
    """Return F about states (N, T+1, *S) and actions: one forward pass, and one backward pass of d cotangents at once."""
    value, by_states, by_actions = _jacobians(step, states[:, :-1], actions)
    defects = (value - states[:, 1:]).flatten(2)
    return Linearised(defects, by_states.flatten(3).movedim(0, 2), by_actions.movedim(0, 2))


def _jacobians(step: Step, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return F (N, T, *S) and its pullbacks of the d unit vectors, (d, N, T, *S) and (d, N, T, m)."""
    inputs, leaf = states.detach().requires_grad_(), actions.detach().requires_grad_()
    with torch.enable_grad():
        value = step(inputs, leaf)
    size = value[0, 0].numel()
    unit = torch.eye(size, dtype=value.dtype, device=value.device)
    cotangents = unit.view(size, 1, 1, *value.shape[2:]).expand(size, *value.shape)

    def pull_back(cotangent: Tensor) -> tuple[Tensor, ...]:
        found = torch.autograd.grad(value, (inputs, leaf), cotangent, retain_graph=True, allow_unused=True)
        pairs = zip(found, (inputs, leaf), strict=True)
        return tuple(torch.zeros_like(given) if each is None else each for each, given in pairs)

    try:
        with warnings.catch_warnings():
            # Where an operation of the model's backward pass cannot be batched, as attention's, torch loops over it.
            warnings.filterwarnings("ignore", message="There is a performance drop", category=UserWarning)
            by_states, by_actions = torch.func.vmap(pull_back)(cotangents)
    except RuntimeError:  # a backward pass of the model's own that cannot be batched
        try:
            by_states, by_actions = map(torch.stack, zip(*map(pull_back, cotangents), strict=True))
        except RuntimeError as error:
            raise ParameterError(
                "dynamics", "a model whose backward pass can be taken several times", str(error).split(".")[0],
                'plan with GRASP(sync_method="gradient"), as is done by itself where the model is compiled as a whole',
            ) from error  # fmt: skip
    return value.detach(), by_states, by_actions


class Bidiagonal:
    """I − N with blocks −A_t, t = 1..T−1, below the diagonal: its unknowns are δ_1..δ_T.

    Arguments
        by_states: A_t for t = 0..T−1; A_0 is not used, as δ_0 = 0.
    """

    def __init__(self, by_states: Float[Tensor, "N T d d"]) -> None:
        self.horizon = by_states.shape[1]
        self.powers = [by_states[:, 1:]]
        """N^(2^j): the block that leads from time t to t + 2^j."""
        while 2 * self._stride(-1) < self.horizon:
            last, stride = self.powers[-1], self._stride(-1)
            self.powers.append(last[:, stride:] @ last[:, :-stride])

    def solve(self, sources: Float[Tensor, "N T d k"]) -> Float[Tensor, "N T d k"]:
        """Return δ_1..δ_T with δ_{t+1} = A_t δ_t + sources_t, for k right-hand sides."""
        found = sources.clone()
        for j, power in enumerate(self.powers):
            stride = self._stride(j)
            found[:, stride:] += power @ found[:, :-stride]
        return found

    def solve_transposed(self, sources: Float[Tensor, "N T d k"]) -> Float[Tensor, "N T d k"]:
        """Return λ_1..λ_T with λ_t = A_tᵀ λ_{t+1} + sources_t: gradients with respect to the states."""
        found = sources.clone()
        for j, power in enumerate(self.powers):
            stride = self._stride(j)
            found[:, :-stride] += power.mT @ found[:, stride:]
        return found

    def _stride(self, j: int) -> int:
        """Return 2^j, where j counts from the end if it is negative."""
        return int(2 ** (j % len(self.powers)))


def final_state_jacobian(system: Bidiagonal, by_actions: Float[Tensor, "N T d m"]) -> tuple[Tensor, Tensor]:
    """Return what s_T changes by r_t, Φ_t = A_{T−1}···A_{t+1} (N, T, d, d), and by a_t, Φ_t B_t (N, T, d, m)."""
    last = torch.zeros_like(by_actions[..., :1]).expand(*by_actions.shape[:3], by_actions.shape[2]).clone()
    last[:, -1] = torch.eye(by_actions.shape[2], dtype=last.dtype, device=last.device)
    through = system.solve_transposed(last).mT
    return through, through @ by_actions


def newton_sweep(
    step: Step, states: Tensor, actions: Float[Tensor, "N T m"]
) -> tuple[Tensor, Float[Tensor, " N"]]:
    """Return the guess (N, T+1, *S) after one sweep, and the largest ‖δ_t‖ of each row."""
    linear = linearise(step, states, actions)
    change = Bidiagonal(linear.by_states).solve(linear.defects.unsqueeze(3)).squeeze(3)
    return moved(states, change), change.norm(dim=2).amax(1)


def parallel_rollout(
    step: Step,
    guess: Tensor,
    actions: Float[Tensor, "N T m"],
    *,
    sweeps: int = 8,
    tolerance: float = TOLERANCE,
) -> tuple[Tensor, Bool[Tensor, " N"]]:
    """Return the rollout of `actions` by Newton's method, and for which rows it converged.

    Arguments
        step: F.
        guess: (N, T+1, *S), with s_0 where the rollout starts: an earlier rollout, or a straight line.
        actions: (N, T, m).
        sweeps: at most so many; each counts `jacobian_passes(d)` evaluations for every time.
        tolerance: a row has converged when its last δ is no longer than this part of max_t ‖s_t − s_0‖, and finite.
    """
    states, converged = guess, torch.zeros_like(actions[:, 0, 0], dtype=torch.bool)
    for _ in range(sweeps):
        states, change = newton_sweep(step, states, actions)
        converged = settled(states, change, tolerance)
        if bool(converged.all()):
            break
    return states, converged


def settled(states: Tensor, change: Float[Tensor, " N"], tolerance: float = TOLERANCE) -> Bool[Tensor, " N"]:
    """Return for which rows a last change is within the tolerance."""
    extent: Tensor = (states - states[:, :1]).flatten(2).norm(dim=2).amax(1)
    return (change <= tolerance * extent) & torch.isfinite(extent)


def moved(states: Tensor, change: Float[Tensor, "N T d"]) -> Tensor:
    """Return the states (N, T+1, *S) with s_1..s_T changed."""
    return torch.cat([states[:, :1], states[:, 1:] + change.view_as(states[:, 1:])], dim=1)
