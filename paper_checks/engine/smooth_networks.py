"""Random smooth world models whose derivatives have known bounds, for checks beyond linear dynamics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linear_systems.validation import positive_float

TANH_CURVATURE = 4.0 / (3.0 * np.sqrt(3.0))
"""The largest |tanh''|."""


@dataclass(frozen=True, eq=False)
class SmoothNetwork:
    """F(s, a) = κ s + V tanh(W s + U a + b), float64.

    Arguments
        keep: κ.
        readout: (n, h), V; state_weights: (h, n), W; action_weights: (h, m), U; bias: (h,), b.
    """

    keep: float
    readout: Tensor
    state_weights: Tensor
    action_weights: Tensor
    bias: Tensor

    def step(
        self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch m"]
    ) -> Float[Tensor, "*batch n"]:
        """Return F(s, a) for states (..., n) and actions (..., m)."""
        return self.keep * state + self._hidden(state, action) @ self.readout.T

    def jacobians(
        self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch m"]
    ) -> tuple[Float[Tensor, "*batch n n"], Float[Tensor, "*batch n m"]]:
        """Return ∇_s F = κI + V diag(1 − h²) W and ∇_a F = V diag(1 − h²) U by hand, h the hidden layer."""
        slopes = (1.0 - self._hidden(state, action).square()).unsqueeze(-1)
        identity = torch.eye(len(self.readout), dtype=state.dtype)
        of_state = self.keep * identity + self.readout @ (slopes * self.state_weights)
        return of_state, self.readout @ (slopes * self.action_weights)

    def state_hessian(
        self, state: Float[Tensor, " n"], action: Float[Tensor, " m"]
    ) -> Float[Tensor, "n n n"]:
        """Return ∂²F_i/∂s_j∂s_k = Σ_h V_ih (−2 h (1 − h²)) W_hj W_hk by hand."""
        hidden = self._hidden(state, action)
        curvatures = -2.0 * hidden * (1.0 - hidden.square())
        return torch.einsum(
            "ih,h,hj,hk->ijk", self.readout, curvatures, self.state_weights, self.state_weights
        )

    @property
    def state_lipschitz(self) -> float:
        """A Lipschitz constant in s: |κ| + ‖V‖‖W‖, as |tanh'| <= 1."""
        return abs(self.keep) + _norm(self.readout) * _norm(self.state_weights)

    @property
    def action_curvature(self) -> float:
        """A bound on ‖∂²F/∂a²[d, d]‖ over unit d: ‖V‖ max|tanh''| ‖U‖², as ‖x²‖₂ <= ‖x‖₂²."""
        return _norm(self.readout) * float(TANH_CURVATURE) * _norm(self.action_weights) ** 2

    def as_code(self) -> str:
        """Return Python code that rebuilds the network exactly."""
        fields = ", ".join(
            f"{name}=torch.tensor({getattr(self, name).tolist()}, dtype=torch.float64)"
            for name in ("readout", "state_weights", "action_weights", "bias")
        )
        return f"F = SmoothNetwork(keep={self.keep!r}, {fields})"

    def _hidden(self, state: Tensor, action: Tensor) -> Tensor:
        return torch.tanh(state @ self.state_weights.T + action @ self.action_weights.T + self.bias)


def random_network(
    rng: np.random.Generator, n: int, m: int, *, hidden: int = 8, keep: float = 0.5, gain: float = 1.0
) -> SmoothNetwork:
    """Draw a network with ‖V‖ = ‖U‖ = 1 and ‖W‖ = `gain`, so that it is Lipschitz in s with |κ| + gain.

    Arguments
        n, m, hidden: state, action and hidden dimensions.
        keep: κ.
        gain: ‖W‖ > 0.
    """
    readout, state_weights, action_weights = (
        _unit(rng.standard_normal(shape)) for shape in ((n, hidden), (hidden, n), (hidden, m))
    )
    bias = torch.tensor(0.5 * rng.standard_normal(hidden))
    return SmoothNetwork(keep, readout, positive_float("gain", gain) * state_weights, action_weights, bias)


def _unit(matrix: Float[np.ndarray, "rows columns"]) -> Tensor:
    return torch.tensor(matrix / np.linalg.norm(matrix, 2))


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))
