"""The cross-entropy method, plain and improved (iCEM)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.planners.loop.evaluations import sample_losses
from grasp_theory.planners.loop.planner import Planner
from grasp_theory.planners.loop.rows import NormalStream, Rows
from grasp_theory.planners.loop.search import Incumbents, Search
from grasp_theory.planners.loop.settings import check_numbers
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer


@checked
@dataclass(frozen=True, kw_only=True)
class CEM(Planner):
    """The cross-entropy method: sample plans, keep the elites, refit a Gaussian to them.

    Each iteration samples N plans around the mean with a standard deviation for each time and action entry,
    ranks them by their losses, Eq. (3), and moves mean and standard deviation to those of the elites.  Samples
    whose rollout is not finite rank last; a row with fewer finite samples than elites has diverged.
    Source: Rubinstein and Kroese (2004); the defaults are those of DINO-WM.

    Budget: strong with the default 300 samples × 30 iterations, about 9,000 T evaluations.  Of the four kinds of problem of
    `experiments/scripts/tune_planner_defaults.py` (144 of each) it reaches 77%, with half the iterations 69%.

    Arguments
        samples: N.
        elites: how many of them are kept.
        initial_std: standard deviation of the first samples, in units of the actions.
        min_std: floor of the standard deviation.
        momentum: in [0, 1); what is kept of the former mean and standard deviation.
        noise_exponent: β of the power spectrum 1/f^β of the samples' noise along time; 0 is white noise.
        kept_elites: fraction of the elites that is sampled again in the next iteration.
        population_decay: >= 1; N is divided by it in every iteration, down to twice the elites.

    Raises
        ParameterError: a value outside its domain.
    """

    iterations: int = 30
    samples: int = 300
    elites: int = 30
    initial_std: float = 1.0
    min_std: float = 0.0
    momentum: float = 0.0
    noise_exponent: float = 0.0
    kept_elites: float = 0.0
    population_decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_integer("elites", self.elites, minimum=2)
        positive_integer("samples", self.samples, minimum=self.elites)
        check_numbers(self, positive=("initial_std",))
        check_numbers(self, not_negative=("min_std", "momentum", "noise_exponent", "kept_elites"))
        for name, below in (("momentum", 1.0), ("kept_elites", 1.0)):
            if getattr(self, name) >= below:
                raise ParameterError(
                    name, f"a number in [0, {below:g})", repr(getattr(self, name)), "pass less"
                )
        if not self.population_decay >= 1:
            raise ParameterError("population_decay", "a number >= 1", repr(self.population_decay), "pass 1")

    def population(self, iteration: int) -> int:
        """Return the number of samples of an iteration."""
        least = min(self.samples, 2 * self.elites)
        return max(least, int(self.samples * self.population_decay**-iteration))

    def _search(self, rows: Rows) -> Search:
        return CEMSearch(self, rows)


@checked
@dataclass(frozen=True, kw_only=True)
class ICEM(CEM):
    """iCEM: CEM with noise that is correlated in time, remembered elites and a shrinking population.

    Source: Pinneri et al., Sample-efficient cross-entropy method for real-time planning (2021).  Momentum and
    kept fraction are those of their released settings, which have 10 elites of 40 samples, decay 1.25 and, by
    task, β = 0.25 to 3.

    Budget: 300 samples × 30 iterations; the population shrinks, so that this is about 3,400 T evaluations.  On the problems
    named at `CEM` it reaches 80%, with half the iterations 71%.
    """

    elites: int = 20
    momentum: float = 0.1
    noise_exponent: float = 2.0
    kept_elites: float = 0.3
    population_decay: float = 1.1


class CEMSearch(Search):
    """CEM at work; `improve` is where a hybrid refines the elites."""

    def __init__(self, options: CEM, rows: Rows) -> None:
        super().__init__(rows, rows.actions.clone())
        self.options = options
        self.std = torch.full_like(self.actions, options.initial_std)
        self.noise: NormalStream = rows.noise(options.samples, *self.actions.shape[1:])
        self.memory = self.actions.new_zeros(len(rows), 0, *self.actions.shape[1:])
        """(rows, kept, T, m), elites of the last iteration."""

    def cost(self, iteration: int) -> int:
        """Return the samples, the elites that are sampled again and the look at the best elite, T steps each."""
        last = iteration == self.options.iterations - 1
        return (self.options.population(iteration) + self.memory.shape[1] + last + 1) * self.actions.shape[1]

    def step(self, iteration: int, incumbents: Incumbents) -> None:
        """Sample, rank, refit."""
        options, rows = self.options, self.rows
        noise = self.noise.draw()[:, : options.population(iteration)]
        plans = self.actions.unsqueeze(1) + self.std.unsqueeze(1) * coloured(noise, options.noise_exponent)
        plans = torch.cat([rows.problem.project(plans), self.memory], dim=1)
        if iteration == options.iterations - 1:
            plans = torch.cat([plans, self.actions.unsqueeze(1)], dim=1)
        best, order = sample_losses(rows, plans).topk(options.elites, dim=1, largest=False)
        self.poison.add_(best[:, -1], alpha=0.0)
        elites = self.improve(_pick(plans, order), incumbents)
        self.memory = elites[:, : round(options.kept_elites * options.elites)]
        keep = options.momentum
        # The mean of plans at the edge of the action set may lie beyond it by a rounding.
        self.actions = rows.problem.project(keep * self.actions + (1 - keep) * elites.mean(1))
        self.std = (keep * self.std + (1 - keep) * elites.std(1)).clamp(min=options.min_std)

    def improve(
        self, elites: Float[Tensor, "rows elites T m"], incumbents: Incumbents
    ) -> Float[Tensor, "rows elites T m"]:
        """Show the best elite (they come best first) and return the elites to refit to."""
        self.show(elites[:, 0], incumbents)
        return elites


def coloured(white: Float[Tensor, "rows N T m"], exponent: float) -> Float[Tensor, "rows N T m"]:
    """Return noise of unit variance and power spectrum 1/f^exponent along time, filtered from white noise.

    The filter is f^(−exponent/2) on the discrete frequencies, with that of the lowest at f = 0.
    """
    horizon = white.shape[2]
    if exponent == 0.0 or horizon == 1:
        return white
    frequencies = torch.fft.rfftfreq(horizon, device=white.device, dtype=white.dtype)
    frequencies[0] = frequencies[1]
    gains = frequencies ** (-exponent / 2)
    # The variance of filtered white noise is the mean of the squared gains over all T frequencies.
    weights = torch.full_like(gains, 2.0)
    weights[0] = 1.0
    if horizon % 2 == 0:
        weights[-1] = 1.0
    gains = gains / ((weights * gains.square()).sum() / horizon).sqrt()
    spectrum = torch.fft.rfft(white, dim=2) * gains.view(1, 1, -1, 1)
    filtered: Tensor = torch.fft.irfft(spectrum, n=horizon, dim=2)
    return filtered


def refine_around(
    rows: Rows,
    actions: Float[Tensor, "rows T m"],
    spread: Float[Tensor, "rows T m"],
    noise: Float[Tensor, "rows N T m"],
) -> tuple[Float[Tensor, "rows T m"], Float[Tensor, "rows T m"]]:
    """Return mean and standard deviation of the best tenth of N plans around `actions`, itself among them."""
    plans = rows.problem.project(actions.unsqueeze(1) + spread.unsqueeze(1) * noise)
    plans = torch.cat([actions.unsqueeze(1), plans], dim=1)
    order = sample_losses(rows, plans).topk(noise.shape[1] // 10, dim=1, largest=False).indices
    elites = _pick(plans, order)
    return rows.problem.project(elites.mean(1)), elites.std(1)


def _pick(plans: Float[Tensor, "rows N T m"], order: Tensor) -> Float[Tensor, "rows elites T m"]:
    return plans.take_along_dim(order[:, :, None, None], dim=1)
