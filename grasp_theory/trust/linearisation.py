"""A model along trajectories: s_{t+1} − s̄_{t+1} ≈ A_t (s_t − s̄_t) + B_t (a_t − ā_t), its matrices or products with them.

Shapes: P trajectories, T steps, n entries of a state, m of an action, k vectors side by side, `*S` the axes of one state.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from grasp_theory.boundary import check_finite
from grasp_theory.dynamics import TimeVaryingDynamics, asked
from grasp_theory.planners.loop.evaluations import require_differentiable
from grasp_theory.planners.loop.parallel_rollout import linearise as jacobians
from grasp_theory.problem import PlanningProblem
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, NonFiniteError, ShapeError
from linear_systems.system import TimeVaryingLinearSystem

LARGEST_DENSE = 512
"""State entries up to which the matrices A_t are formed; beyond, only products with them are."""
CHUNK = 1 << 12
"""Rows (states times vectors) that the model is given at once for products."""
Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Linearisation:
    """F about P trajectories, everything in float64 on the CPU.

    Arguments
        steps: F of some times, on states (N, those, *S) and actions (N, those, m).
        states: (P, T+1, *S), where it is linearised, in the problem's dtype and on its device.
        actions: (P, T, m), likewise.
        by_actions: B_t = ∂F/∂a, (P, T, n, m).
        by_states: A_t = ∂F/∂s, (P, T, n, n); None where the state has more than `LARGEST_DENSE` entries.
    """

    steps: Callable[[slice], Step]
    states: Tensor
    actions: Tensor
    by_actions: Float[Tensor, "P T n m"]
    by_states: Float[Tensor, "P T n n"] | None

    @property
    def plans(self) -> int:
        """P."""
        return int(self.actions.shape[0])

    @property
    def horizon(self) -> int:
        """T."""
        return int(self.actions.shape[1])

    @property
    def state_dim(self) -> int:
        """n, all entries of a state."""
        return prod(self.states.shape[2:])

    @property
    def action_dim(self) -> int:
        """m."""
        return int(self.actions.shape[2])

    @property
    def flat_states(self) -> Float[Tensor, "P T_plus_one n"]:
        """The states as vectors, float64."""
        return self.states.flatten(2).double().cpu()

    def system(self, plan: int) -> TimeVaryingLinearSystem:
        """Return the time-varying linear system along one trajectory; A_t must have been formed."""
        assert self.by_states is not None
        return TimeVaryingLinearSystem(self.by_states[plan].numpy(), self.by_actions[plan].numpy())

    def one(self, plan: int) -> Linearisation:
        """Return the linearisation about one trajectory alone."""
        rows = slice(plan, plan + 1)
        A = None if self.by_states is None else self.by_states[rows]
        return Linearisation(self.steps, self.states[rows], self.actions[rows], self.by_actions[rows], A)

    def push(
        self, vectors: Float[Tensor, "P times n k"], times: slice = slice(None)
    ) -> Float[Tensor, "P times n k"]:
        """Return A_t v, at all times or at some."""
        if self.by_states is not None:
            return self.by_states[:, times] @ vectors
        return self._products(_jvp, vectors, times)

    def pull(
        self, vectors: Float[Tensor, "P times n k"], times: slice = slice(None)
    ) -> Float[Tensor, "P times n k"]:
        """Return A_tᵀ v, at all times or at some."""
        if self.by_states is not None:
            return self.by_states[:, times].mT @ vectors
        return self._products(_vjp, vectors, times)

    def push_at(self, time: int, vectors: Float[Tensor, "P n k"]) -> Float[Tensor, "P n k"]:
        """Return A_t v at one time."""
        return self.push(vectors[:, None], slice(time, time + 1))[:, 0]

    def _products(
        self,
        product: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor],
        vectors: Float[Tensor, "P times n k"],
        times: slice,
    ) -> Float[Tensor, "P times n k"]:
        states, actions, step = self.states[:, :-1][:, times], self.actions[:, times], self.steps(times)
        found = []
        for part in torch.split(vectors, max(1, CHUNK // actions[..., 0].numel()), dim=3):
            count = part.shape[3]
            rows = part.movedim(3, 0).flatten(0, 1).to(states).view(-1, *states.shape[1:])
            at, given = states.repeat(count, *[1] * (states.ndim - 1)), actions.repeat(count, 1, 1)
            function = functools.partial(_with_actions, step, given)
            out = product(function, at, rows).flatten(2).double().cpu()
            found.append(out.reshape(count, self.plans, *out.shape[1:]).movedim(0, 3))
        return torch.cat(found, dim=3)


@checked
def linearise(problem: PlanningProblem, states: Tensor, actions: Float[Tensor, "P T m"]) -> Linearisation:
    """Return the model of a problem linearised along trajectories, in O(T) model evaluations.

    Up to `LARGEST_DENSE` entries of a state A_t and B_t are formed by n backward passes, batched over plans and times;
    beyond, B_t by m products, and products with A_t are made as they are asked for.

    Arguments
        problem: its model is linearised.
        states: (P, T+1, *S).
        actions: (P, T, m).

    Raises
        ParameterError: the model is not differentiable, or its backward pass can be taken once only (a compiled one).
        ShapeError, DTypeError, NonFiniteError: trajectories that do not fit the problem; a derivative that is not finite.
    """
    plans, horizon = len(actions), actions.shape[1]
    for name, tensor, steps_of in (("actions", actions, 0), ("states", states, 1)):
        trailing = problem.initial_state.shape[1:] if steps_of else (problem.action_dim,)
        wanted = (plans, horizon + steps_of, *trailing)
        if tensor.shape != wanted or not plans or not horizon:
            raise ShapeError(
                name, f"shape {wanted}", f"shape {tuple(tensor.shape)}", "pass (P, T+1, *S) and (P, T, m)"
            )
        if tensor.dtype != problem.initial_state.dtype:
            raise DTypeError(
                name, f"{problem.initial_state.dtype}", f"{tensor.dtype}", "convert it to the problem's type"
            )
        check_finite(name, tensor)
    step, n = problem.parallel_step(), prod(states.shape[2:])

    def steps(times: slice) -> Step:
        model = problem.model
        return model.at(times).step if isinstance(model, TimeVaryingDynamics) else model.step

    leaf = actions[:1].detach().clone().requires_grad_()
    with torch.enable_grad():
        require_differentiable(
            asked("dynamics", step, states[:1, :-1].detach().clone().requires_grad_(), leaf)
        )
    if n <= LARGEST_DENSE:
        each = [jacobians(step, states[i : i + 1], actions[i : i + 1]) for i in range(len(actions))]
        A = torch.cat([one.by_states for one in each]).double().cpu()
        B = torch.cat([one.by_actions for one in each]).double().cpu()
    else:
        A, B = None, _by_actions(step, states[:, :-1], actions)
    for matrix in (A, B):
        if matrix is not None and not bool(torch.isfinite(matrix).all()):
            raise NonFiniteError(
                "dynamics", "finite derivatives along the trajectories", "NaN or infinity",
                "diagnose trajectories that stay where the model was trained",
            )  # fmt: skip
    return Linearisation(steps, states, actions, B, A)


def _with_actions(step: Step, actions: Tensor, states: Tensor) -> Tensor:
    return step(states, actions)


def _by_actions(step: Step, states: Tensor, actions: Tensor) -> Float[Tensor, "P T n m"]:
    columns = []
    for unit in torch.eye(actions.shape[2], dtype=actions.dtype, device=actions.device):
        column = _jvp(lambda a: step(states, a), actions, unit.expand_as(actions).contiguous())
        columns.append(column.flatten(2).double().cpu())
    return torch.stack(columns, dim=3)


@sdpa_kernel(SDPBackend.MATH)  # fused attention has neither a forward mode nor a second derivative
def _jvp(function: Callable[[Tensor], Tensor], point: Tensor, tangent: Tensor) -> Tensor:
    """Return J v: by forward mode or, where the model has none, as the derivative of u ↦ Jᵀu in the direction v."""
    try:
        with warnings.catch_warnings():
            # Forward mode compiles its decompositions with what torch itself has deprecated.
            warnings.filterwarnings("ignore", message="`torch.jit.script", category=DeprecationWarning)
            found: Tensor = torch.func.jvp(function, (point,), (tangent,))[1]
        return found
    except (RuntimeError, NotImplementedError):
        leaf = point.detach().requires_grad_()
    with torch.enable_grad():
        value = function(leaf)
        cotangent = torch.zeros_like(value, requires_grad=True)
        (pulled,) = torch.autograd.grad(value, leaf, cotangent, create_graph=True)
    return torch.autograd.grad(pulled, cotangent, tangent)[0]


def _vjp(function: Callable[[Tensor], Tensor], point: Tensor, cotangent: Tensor) -> Tensor:
    leaf = point.detach().requires_grad_()
    with torch.enable_grad():
        value = function(leaf)
    (found,) = torch.autograd.grad(value, leaf, cotangent, allow_unused=True)
    return torch.zeros_like(point) if found is None else found


def time_invariant(linear: Linearisation) -> bool:
    """Return whether A_t and B_t are the same everywhere, up to the rounding of the model's dtype."""
    if linear.by_states is None:
        return False
    tolerance = 100 * float(torch.finfo(linear.states.dtype).eps)
    return all(
        bool(
            (matrix - matrix[:1, :1]).abs().max()
            <= tolerance * max(float(matrix.abs().max()), np.finfo(float).tiny)
        )
        for matrix in (linear.by_states, linear.by_actions)
    )
