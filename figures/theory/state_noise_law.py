"""Appendix A.3: where the noise on the states alone leads, and how near it comes to Eq. (57).

Four benchmark systems at T = 10 with noise on the states alone, over the ratio of the step sizes of actions, η_a, and
of states, η_s. (a) The Wasserstein distance W₂ of the stationary law of the residuals from the law that Eq. (57)
gives, which is that of η_a → ∞ (solid), and from the limit of η_a → 0 (dotted), both relative to the size of (57)'s.
(b) The mean energy relative to (57)'s; triangles: its limits as η_a → 0. (c) The mean rate at which flat directions,
of which there are as many as written, in the order of the legend, diffuse for ever; σ is the level of the noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.progress import track
from figures.style import COLOURS, GREY, WIDTH, house_style, ink, marked, panel_letters
from linear_systems import LinearSystem, benchmarks, lifted, noise

HORIZON, STATE_STEP, SIGMA = 10, 0.1, 0.5
RATIOS = np.geomspace(1e-4, 1e6, 21)
NAMES = ("double_integrator", "pendulum_upright", "tanks_in_series", "mujoco_reacher")


@dataclass(frozen=True, eq=False)
class Laws:
    """The stationary law of one system over RATIOS, η_a/η_s.

    Arguments
        to_suggested: (R,), Wasserstein distance of the residuals' law to that under Eq. (57), relative to the
            latter's size, the root of its mean energy.
        to_frozen: (R,), the same to the law of η_a → 0, in which the states settle while the actions rest.
        energy: (R,), mean energy E‖w‖² relative to that under Eq. (57).
        frozen_energy: its limit for η_a → 0: n(T−1) / (rank M − rank M_a).
        flat: how many flat directions diffuse for ever; then z has no stationary law.
        diffusion: (R,), their mean rate of diffusion in units of σ²/η_s.
    """

    to_suggested: Float[np.ndarray, " R"]
    to_frozen: Float[np.ndarray, " R"]
    energy: Float[np.ndarray, " R"]
    frozen_energy: float
    flat: int
    diffusion: Float[np.ndarray, " R"]


def laws(system: LinearSystem) -> Laws:
    """Compute the law at every ratio, and its distances to both limits."""
    suggested = noise.boltzmann_residual_covariance(
        system, HORIZON, noise.inverse_temperature(STATE_STEP, SIGMA)
    )
    suggested = (suggested + suggested.T) / 2
    frozen = frozen_actions_covariance(system, HORIZON)
    size = float(np.trace(suggested))
    found = [noise.ornstein_uhlenbeck(system, HORIZON, (STATE_STEP, r * STATE_STEP), SIGMA) for r in RATIOS]
    return Laws(
        np.array([noise.wasserstein2(law.residual_covariance, suggested) for law in found]) / np.sqrt(size),
        np.array([noise.wasserstein2(law.residual_covariance, frozen) for law in found]) / np.sqrt(size),
        np.array([law.mean_energy for law in found]) / size,
        float(np.trace(frozen)) / size,
        found[0].diffusing_directions.shape[1],
        np.array([law.diffusion_rates.mean() for law in found]) * STATE_STEP / SIGMA**2,
    )


def frozen_actions_covariance(system: LinearSystem, horizon: int) -> Float[np.ndarray, "nT nT"]:
    """Return the limit of the residuals' covariance for η_a → 0: σ²/(4η_s) on range(M_s), 0 elsewhere.

    The states settle as in dw = −2η_s M_s M_sᵀ w dτ + σ M_s dW, whose law this is; what is left over of w is
    not noised, and the actions take it to its minimum, however slowly.
    """
    state_part = lifted.residual_matrix(system, horizon).toarray()[:, : system.state_dim * (horizon - 1)]
    # M_s has full column rank: its blocks −I are unit lower bidiagonal with the A.
    basis = np.linalg.qr(state_part)[0]
    covariance = SIGMA**2 / (4 * STATE_STEP) * basis @ basis.T
    return np.asarray((covariance + covariance.T) / 2)


def draw(numbers: dict[str, Laws]) -> Figure:
    """Draw distances to the two limit laws, energies, and the diffusion along flat directions."""
    with house_style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 2.9))
        _draw_distances(left, numbers)
        for (name, law), style in zip(numbers.items(), _styles(numbers), strict=True):
            middle.plot(RATIOS, law.energy, **style, label=name.replace("_", " "))
            middle.plot(RATIOS[0] / 3, law.frozen_energy, ">", color=style["color"], clip_on=False)
            right.plot(RATIOS, law.diffusion, **style)
        middle.set(title="Mean energy", ylabel="energy / that of (57)", ylim=(0.9, 1.9))
        middle.axhline(1.0, color=GREY, linestyle="--", linewidth=1.0)
        middle.text(RATIOS[0], 0.99, "Eq. (57)", color=ink(GREY), va="top")
        right.set(title="Flat directions diffuse", ylabel=r"mean rate ($\sigma^2/\eta_s$)", yscale="log")
        _count(right, [law.flat for law in numbers.values()])
        for axis in (left, middle, right):
            axis.set(xscale="log", xlabel=r"$\eta_a/\eta_s$", xlim=(RATIOS[0] / 3, RATIOS[-1]))
            axis.set_xticks((1e-4, 1e-2, 1, 1e2, 1e4, 1e6))
            axis.minorticks_off()
        handles, labels = middle.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(numbers))
        panel_letters((left, middle, right))
    return figure


def _styles(numbers: dict[str, Laws]) -> Iterator[dict[str, Any]]:
    return marked(COLOURS[: len(numbers)], len(RATIOS))


def _draw_distances(axis: Axes, numbers: dict[str, Laws]) -> None:
    for law, style in zip(numbers.values(), _styles(numbers), strict=True):
        axis.plot(RATIOS, law.to_suggested, **style)
        axis.plot(RATIOS, law.to_frozen, **style, linestyle=":")
    axis.set(title="Distance to the limit laws", ylabel=r"$W_2$ / size of (57)", yscale="log", ylim=(1e-4, 3))
    axis.text(3e-4, 1.2e-4, "dotted: to that of $η_a$ → 0\nsolid: to (57), $η_a$ → ∞", color=ink(GREY))


def _count(axis: Axes, flat: Sequence[int]) -> None:
    numbers = ", ".join(map(str, flat[:-1])) + f" and {flat[-1]}"
    axis.text(
        RATIOS[-1], 2e-6, f"{numbers} directions:\nz has no stationary law", color=ink(GREY), ha="right"
    )


def make() -> tuple[Figure, dict[str, Laws]]:
    """Return the figure and its numbers."""
    found = ((name, benchmarks.load(name).system) for name in track(NAMES, "state noise: systems"))
    numbers = {name: laws(system) for name, system in found if isinstance(system, LinearSystem)}
    return draw(numbers), numbers
