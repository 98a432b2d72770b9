"""Several models of one world, planned with at once: `Ensemble`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from grasp_theory.dynamics import Dynamics, TimeVaryingDynamics, adapted
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError

Function = Callable[[Tensor, Tensor], Tensor]


@checked
class Ensemble(nn.Module):
    """Models F_1, ..., F_K that share actions, as one model of their concatenated states:

        s = (s¹, ..., s^K),     F(s, a) = (F_1(s¹, a), ..., F_K(s^K, a)).

    A plan for it is one plan that is to work in every model: the default loss is Σ_k ‖s^k_T − g^k‖².  What a problem asks of
    states, it asks of all models' side by side: make `reached` and `goal_distance` by the methods of these names.

    Arguments
        models: K >= 1, anything that `as_dynamics` takes, the same at all times.  Modules among them are moved and set
            to evaluation with the ensemble.
        shapes: K shapes *S_k of the models' states, without batch axes; None: vectors of one length.

    Raises
        ParameterError: no model, a model that cannot be stepped, or a time-varying one.
        ShapeError: another number of shapes than models.

    Source: the concatenated system of several models, Eq. (1)-(3) for each.
    """

    def __init__(self, models: Sequence[Any], shapes: Sequence[tuple[int, ...]] | None = None) -> None:
        super().__init__()
        members = [adapted("models", each) for each in models]
        if not members:
            raise ParameterError("models", "at least one", "none", "pass a sequence of models")
        self.members: list[Dynamics] = []
        for each in members:
            if isinstance(each, TimeVaryingDynamics):
                raise ParameterError(
                    "models",
                    "models that are the same at all times",
                    "a time-varying one",
                    "add the time to the state",
                )
            self.members.append(each)
        if shapes is not None and len(shapes) != len(members):
            raise ShapeError(
                "shapes", f"{len(members)}, one a model", f"{len(shapes)}", "give each model's state shape"
            )
        self.shapes = None if shapes is None else [tuple(shape) for shape in shapes]
        held = [getattr(given, "model", given) for given in members]
        self.held = nn.ModuleList([each for each in held if isinstance(each, nn.Module)])

    def step(
        self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch m"]
    ) -> Float[Tensor, "*batch n"]:
        """Return the concatenated next states (..., Σ n_k) for states (..., Σ n_k) and actions (..., m).

        Arguments
            state: (..., Σ n_k), the models' states side by side.
            action: (..., m), shared by the models.
        """
        axes = state.ndim - 1
        parts = zip(self.members, self.split(state), strict=True)
        return torch.cat([model.step(part, action).flatten(axes) for model, part in parts], dim=-1)

    @checked
    def stack(self, states: Sequence[Tensor]) -> Float[Tensor, "B n"]:
        """Return the concatenated states (B, Σ n_k) of K states (B, *S_k).

        Arguments
            states: K tensors (B, *S_k), one for each model.

        Raises
            DTypeError, ParameterError: states that are no tensors.
            ShapeError: another number of states, or shapes other than the models'.
        """
        if len({each.shape[:1] for each in states}) > 1:
            raise ShapeError(
                "states", "as many rows for each model", f"{[tuple(each.shape) for each in states]}",
                "pass states of the same B problems",
            )  # fmt: skip
        found = [tuple(each.shape[1:]) for each in states]
        wanted = self.shapes if self.shapes is not None else [found[0] if found else ()] * len(self.members)
        if found != wanted:
            raise ShapeError(
                "states", f"states (B, *S) with S = {wanted}", f"{found}", "pass one state for each model"
            )
        return torch.cat([each.flatten(1) for each in states], dim=-1)

    @checked
    def split(self, states: Float[Tensor, "*batch n"]) -> tuple[Tensor, ...]:
        """Return the K models' states (..., *S_k) of concatenated states (..., Σ n_k).

        Arguments
            states: (..., Σ n_k), the models' states side by side.

        Raises
            DTypeError: no tensor of floating-point numbers.
            ShapeError: the length is not that of the models' states together.
        """
        length, count = states.shape[-1], len(self.members)
        shapes = self.shapes if self.shapes is not None else [(length // count,)] * count
        sizes = [prod(shape) for shape in shapes]
        if sum(sizes) != length:
            raise ShapeError(
                "states",
                f"{sum(sizes)} components, {sizes} for the models",
                f"{length}",
                "make states with `stack`",
            )
        parts = torch.split(states, sizes, dim=-1)
        return tuple(
            part.reshape(*states.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True)
        )

    def goal_distance(self, *distances: Function) -> Callable[[Tensor, Tensor], Float[Tensor, " N"]]:
        """Return the `goal_distance` of a problem that adds the models' own: Σ_k d_k(s^k, g^k).

        Arguments
            distances: (states (N, *S_k), goals (N, *S_k)) -> (N,), one for all models or one for each, in units that they share.

        Raises
            ParameterError: another number of functions.
        """
        each = self._for_each("distances", distances)

        def distance(states: Tensor, goals: Tensor) -> Float[Tensor, " N"]:
            parts = zip(each, self.split(states), self.split(goals), strict=True)
            return torch.stack([far(state, goal) for far, state, goal in parts]).sum(0)

        return distance

    def reached(
        self, *reached: Function, at_least: int | None = None
    ) -> Callable[[Tensor, Tensor], Bool[Tensor, " N"]]:
        """Return the `reached` of a problem that says whether all models believe.

        Arguments
            reached: (states (N, *S_k), goals (N, *S_k)) -> (N,) booleans, one for all models or one for each.
            at_least: how many models must believe; None: all.

        Raises
            ParameterError: another number of functions, or more than there are models.
        """
        count, each = len(self.members), self._for_each("reached", reached)
        needed = count if at_least is None else at_least
        if not 1 <= needed <= count:
            raise ParameterError("at_least", f"from 1 to {count}", f"{needed}", "as many as must believe")

        def believed(states: Tensor, goals: Tensor) -> Bool[Tensor, " N"]:
            parts = zip(each, self.split(states), self.split(goals), strict=True)
            return torch.stack([says(state, goal) for says, state, goal in parts]).sum(0) >= needed

        return believed

    def _for_each(self, argument: str, functions: Sequence[Function]) -> Sequence[Function]:
        count = len(self.members)
        if len(functions) not in (1, count):
            raise ParameterError(
                argument, f"one function or {count}", f"{len(functions)} functions", "give one for each model"
            )
        return list(functions) * count if len(functions) == 1 else functions
