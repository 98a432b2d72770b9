"""Candidate losses and random models for Theorem 5; the paper's losses solved exactly on small systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from grasp_theory.dynamics import Dynamics
from grasp_theory.objectives import dynamics_loss, lifted_loss
from grasp_theory.theorems.theorem_5 import Decision, Loss, SwappedPair, lifted_value

Functional = Callable[[Dynamics, Tensor, Decision], Tensor]
"""A loss of the plan (s_1, a_0, a_1) that may evaluate the model wherever it likes."""

SMALL_WEIGHT = 1e-3
"""Weight of the second step in the loss that nearly ignores it."""


def points(rng: np.random.Generator, *sizes: int) -> tuple[Tensor, ...]:
    """Draw one standard normal vector of each size."""
    return tuple(torch.tensor(rng.standard_normal(size)) for size in sizes)


def random_pair(rng: np.random.Generator, n: int, m: int) -> SwappedPair:
    """Draw the models F, G of (69)–(73) for states in R^n and actions in R^m."""
    s_0, goal, u, v, then, s_a, s_b, miss = points(rng, n, n, m, m, m, n, n, n)
    return SwappedPair(s_0, goal, (u, v, then), (s_a, s_b), miss)


def random_pairs(rng: np.random.Generator, count: int) -> Iterator[SwappedPair]:
    """Draw pairs of models with n up to 4 and m up to 3."""
    for _ in range(count):
        yield random_pair(rng, int(rng.integers(1, 5)), int(rng.integers(1, 4)))


def pair_code(pair: SwappedPair) -> str:
    """Return Python code that rebuilds the pair exactly."""
    vectors = [pair.initial_state, pair.goal, *pair.actions, *pair.states, pair.miss]
    s_0, goal, u, v, then, s_a, s_b, miss = (
        f"torch.tensor({vector.tolist()}, dtype=torch.float64)" for vector in vectors
    )
    return f"pair = SwappedPair({s_0}, {goal}, ({u}, {v}, {then}), ({s_a}, {s_b}), {miss})"


def candidate_losses(pair: SwappedPair) -> Mapping[str, Loss]:
    """Return the family Φ(s_1, a_0, a_1, y_0, y_1) on which the contradiction is executed."""
    goal, hidden = pair.goal, pair.models()[0]

    def defect(s: Tensor, y0: Tensor, y1: Tensor) -> Tensor:
        return _square(y0 - s) + _square(y1 - goal)

    return {
        "Eq. (4)": lambda s, a, b, y0, y1: defect(s, y0, y1),
        "value of Eq. (10), γ = 1": lambda s, a, b, y0, y1: (
            defect(s, y0, y1) + _square(y0 - goal) + _square(y1 - goal)
        ),
        "R/((1+R)(1+‖a_0‖²)), R of Eq. (4)": lambda s, a, b, y0, y1: (
            defect(s, y0, y1) / (1.0 + defect(s, y0, y1)) / (1.0 + _square(a))
        ),
        "log(1+R)": lambda s, a, b, y0, y1: torch.log1p(defect(s, y0, y1)),
        "sum of fourth powers": lambda s, a, b, y0, y1: _square(y0 - s) ** 2 + _square(y1 - goal) ** 2,
        "second step weighted 1/1000": lambda s, a, b, y0, y1: (
            _square(y0 - s) + SMALL_WEIGHT * _square(y1 - goal)
        ),
        "tanh of mixed arguments": lambda s, a, b, y0, y1: torch.tanh(s @ y1 + y0 @ y1 + a.sum() * b.sum()),
        "first step only": lambda s, a, b, y0, y1: _square(y0 - s),
        "first step and s_1 pulled to g": lambda s, a, b, y0, y1: _square(y0 - s) + _square(s - goal),
        "F written into Φ": lambda s, a, b, y0, y1: _square(y0 - s) + _square(hidden.step(s, b) - goal),
    }


def functional(loss: Loss) -> Functional:
    """Return L_F of a loss Φ of the form (58)."""
    return lambda model, initial_state, decision: lifted_value(loss, model, initial_state, decision)


def rollout_functional(goal: Tensor) -> Functional:
    """Return ‖F(s_0, a_0) − s_1‖² + ‖F(F(s_0, a_0), a_1) − g‖², which is not of the form (58)."""

    def value(model: Dynamics, initial_state: Tensor, decision: Decision) -> Tensor:
        state, first, second = decision
        reached = model.step(initial_state, first)
        return _square(reached - state) + _square(model.step(reached, second) - goal)

    return value


def functional_state_gradient(
    value: Functional, model: Dynamics, initial_state: Tensor, decision: Decision
) -> Tensor:
    """Return ∇_{s_1} of a functional."""
    state, first, second = decision

    def of_state(free: Tensor) -> Tensor:
        return value(model, initial_state, (free, first, second))

    gradient: Tensor = torch.func.grad(of_state)(state)
    return gradient


@dataclass(frozen=True)
class PaperLoss:
    """One loss of the paper and how "minimiser" is read.

    Arguments
        equation: 4, 8 or 10.
        stopped: read as the stop-gradient field and its zeros; else as the value and its minimisers.
    """

    equation: int
    stopped: bool

    @property
    def name(self) -> str:
        """A short name for the table."""
        reading = "zeros of the stop-gradient field" if self.stopped else "minimisers of the value"
        return f"Eq. ({self.equation}), {reading}"

    def state_gradient(
        self, model: Dynamics, initial_state: Tensor, goal: Tensor, decision: Decision
    ) -> Tensor:
        """Return what the planner would use as ∇_{s_1}, from `grasp_theory.objectives`."""
        state, first, second = decision
        free = state.detach().clone().requires_grad_()
        states, actions = torch.stack([initial_state, free, goal]), torch.stack([first, second])
        if self.equation == 10:
            value = lifted_loss(model, states, actions, goal, 1.0, stop_state_gradient=self.stopped)
        else:
            value = dynamics_loss(model, states, actions, stop_state_gradient=self.stopped)
        return torch.autograd.grad(value, free)[0]


PAPER_LOSSES = (
    PaperLoss(4, stopped=False),
    PaperLoss(8, stopped=False),
    PaperLoss(8, stopped=True),
    PaperLoss(10, stopped=False),
    PaperLoss(10, stopped=True),
)


@dataclass(frozen=True)
class ExactPlan:
    """Horizon 2 on s' = A s + B a with s_0 and s_2 = g fixed, in rational symbols.

    Arguments
        A: (n, n), B: (n, m), initial_state: (n, 1), goal: (n, 1) sympy matrices of rationals.
    """

    A: sp.ImmutableMatrix
    B: sp.ImmutableMatrix
    initial_state: sp.ImmutableMatrix
    goal: sp.ImmutableMatrix

    @property
    def variables(self) -> tuple[sp.Symbol, ...]:
        """The free variables: the entries of s_1, a_0, a_1."""
        return (*self._vector("s"), *self._vector("a"), *self._vector("b"))

    def feasible_plans(self) -> sp.Matrix:
        """Return the feasible plans M(F) of (61) as the reduced rows of their linear equations."""
        s, a, b = self._vector("s"), self._vector("a"), self._vector("b")
        equations = [*(s - self._step(self.initial_state, a)), *(self._step(s, b) - self.goal)]
        return self._rows(equations)

    def stationary_plans(self, loss: PaperLoss) -> sp.Matrix:
        """Return the zeros of the loss's field as reduced rows; a value is convex, so these minimise it."""
        s, a, b, copy = self._vector("s"), self._vector("a"), self._vector("b"), self._vector("c")
        y_0, y_1 = self._step(self.initial_state, a), self._step(copy if loss.stopped else s, b)
        value = (y_0 - s).dot(y_0 - s) + (y_1 - self.goal).dot(y_1 - self.goal)
        if loss.equation == 10:
            value += (y_0 - self.goal).dot(y_0 - self.goal) + (y_1 - self.goal).dot(y_1 - self.goal)
        back = dict(zip(copy, s, strict=True))
        return self._rows([sp.diff(value, variable).subs(back) for variable in self.variables])

    def example(self, rows: sp.Matrix, free_value: int) -> tuple[dict[sp.Symbol, sp.Expr], sp.Expr]:
        """Return a solution of `rows`, free variables at `free_value`, and its squared dynamics defect."""
        solution = next(iter(sp.linsolve(rows, *self.variables)))
        free = {symbol: sp.Integer(free_value) for symbol in self.variables}
        plan = {v: sp.sympify(e).subs(free) for v, e in zip(self.variables, solution, strict=True)}
        s, a, b = (self._vector(name).subs(plan) for name in "sab")
        first, second = s - self._step(self.initial_state, a), self._step(s, b) - self.goal
        return plan, sp.nsimplify(first.dot(first) + second.dot(second))

    def _vector(self, name: str) -> sp.Matrix:
        size = self.A.rows if name in "sc" else self.B.cols
        return sp.Matrix(sp.symbols(f"{name}:{size}", real=True))

    def _step(self, state: sp.Matrix, action: sp.Matrix) -> sp.Matrix:
        return self.A * state + self.B * action

    def _rows(self, equations: list[sp.Expr]) -> sp.Matrix:
        matrix, right = sp.linear_eq_to_matrix(equations, *self.variables)
        reduced = matrix.row_join(right).rref()[0]
        return sp.Matrix([row for row in reduced.tolist() if any(row)])


def double_integrator() -> ExactPlan:
    """Return the double integrator from rest at 0 to rest at 1, which the actions 1, −1 reach."""
    return ExactPlan(
        sp.ImmutableMatrix([[1, 1], [0, 1]]),
        sp.ImmutableMatrix([[0], [1]]),
        sp.ImmutableMatrix([0, 0]),
        sp.ImmutableMatrix([1, 0]),
    )


def scalar_integrator() -> ExactPlan:
    """Return s' = s + a from 0 to 1: B is invertible."""
    one, zero = sp.ImmutableMatrix([[1]]), sp.ImmutableMatrix([0])
    return ExactPlan(one, one, zero, sp.ImmutableMatrix([1]))


def _square(vector: Tensor) -> Tensor:
    return vector.square().sum()
