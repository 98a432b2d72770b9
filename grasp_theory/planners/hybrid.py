"""CEM whose best elites are refined by gradient steps before the refit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.planners.cem import CEM, CEMSearch
from grasp_theory.planners.loop.evaluations import rollout_gradient, sample_losses
from grasp_theory.planners.loop.optimizers import Adam
from grasp_theory.planners.loop.rows import GRADIENT, Rows
from grasp_theory.planners.loop.search import Incumbents, Search
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_float, positive_integer


@checked
@dataclass(frozen=True, kw_only=True)
class CEMGD(CEM):
    """CEM with gradient refinement: the best elites take Adam steps on their loss, Eq. (3), before the refit.

    A refined plan replaces its elite only where it is better.  Sources: Bharadhwaj et al., Model-predictive
    control via cross-entropy and gradient-based optimization (2020); Huang et al., CEM-GD (2021).

    Arguments
        refined: how many of the elites are refined, at most all.
        gradient_steps: Adam steps for each of them in every iteration.
        gradient_lr: their step size, in units of an action's entry.

    Raises
        ParameterError: a value outside its domain.
    """

    samples: int = 100
    elites: int = 10
    refined: int = 5
    gradient_steps: int = 5
    gradient_lr: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_integer("refined", self.refined)
        positive_integer("gradient_steps", self.gradient_steps)
        positive_float("gradient_lr", self.gradient_lr)
        if self.refined > self.elites:
            raise ParameterError(
                "refined", f"at most the {self.elites} elites", str(self.refined), "refine fewer"
            )

    def _search(self, rows: Rows) -> Search:
        return _CEMGDSearch(self, rows)


class _CEMGDSearch(CEMSearch):
    options: CEMGD

    def cost(self, iteration: int) -> int:
        options = self.options
        refinement = GRADIENT * options.gradient_steps * options.refined + options.refined + options.elites
        return super().cost(iteration) + refinement * self.actions.shape[1]

    def improve(
        self, elites: Float[Tensor, "rows elites T m"], incumbents: Incumbents
    ) -> Float[Tensor, "rows elites T m"]:
        options, rows = self.options, self.rows
        chosen = elites[:, : options.refined]
        plans, optimizer = chosen.flatten(0, 1), Adam(options.gradient_lr)
        for _ in range(options.gradient_steps):
            gradient, _ = rollout_gradient(rows, plans)
            plans = plans.clone()
            optimizer.step(plans, gradient)
            plans = rows.problem.project(plans)
        refined = plans.view_as(chosen)
        both = torch.cat([refined, elites], dim=1)
        losses = sample_losses(rows, both)
        ahead = losses[:, : options.refined] < losses[:, options.refined : 2 * options.refined]
        best = torch.where(ahead[:, :, None, None], refined, chosen)
        improved = torch.cat([best, elites[:, options.refined :]], dim=1)
        first = losses.argmin(1)
        self.show(both[torch.arange(len(both), device=both.device), first], incumbents)
        return improved
