"""Nonlinear noisy rollouts, Eq. (102) and (104), and the tube of Theorem 7 around a centre that moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from grasp_theory.dynamics import rollout
from linear_systems.rounding import rounding_allowance
from paper_checks.engine.inspection import identity
from paper_checks.engine.orders import pooled_order
from paper_checks.engine.records import Claim, Curve, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network

NODES = 12
"""Gauss–Hermite nodes for each dimension, exact to degree 23: the remainder is (σ‖W‖)²⁴ small."""
SIGMAS = tuple(0.4 * 0.5**k for k in range(5))
"""Noise levels over which orders are measured."""
ORDER_TOLERANCE = 0.15
"""An observed order this close to an even integer counts as that integer: expansions go in σ²."""
STRONG = {"keep": 0.2, "gain": 2.5}
"""A network curved enough that the drift of the mean shows in a simulation."""


def check_nonlinear_rollouts(run: Run) -> None:
    """Examine the mean identity and the moment expansion for nonlinear models, and what noise does to the mean."""
    run.examine(
        "(104) is exact for F quadratic in s, whatever the law of s_t",
        _inspect_quadratic,
        (2, sp.Rational(1, 2)),
        false_variants={"F cubic": (3, sp.Rational(1, 2)), "without the factor 1/2": (2, sp.Integer(1))},
        equations=(104,),
    )
    run.examine(
        "on random networks the error of (104) along a noisy rollout is of order 4 in σ_env",
        lambda expansion: _inspect_expansion(run, expansion),
        Expansion(),
        false_variants={
            "without the Hessian term": Expansion(hessian=0.0),
            "with the Hessian term doubled": Expansion(hessian=2.0),
            "expanded at the deterministic rollout μ_t": Expansion(at_mean=False),
        },
        equations=(104,),
    )
    level = run.level()
    run.examine(
        "simulated rollouts of a nonlinear model have the means m_{t+1} = E[F(s_t, a_t)]",
        lambda means: _inspect_simulated_means(run, means, level),
        "expectation",
        false_variants={"m_{t+1} = F(m_t, a_t), the deterministic rollout": "deterministic"},
    )
    run.examine(
        "the mean of a nonlinear rollout leaves the deterministic rollout, to order 2 in σ_env",
        lambda affine: _inspect_drift(run, affine),
        False,
        false_variants={"affine F": True},
    )
    _record_rollout_caveats(run)
    _record_curve(run)


def _record_rollout_caveats(run: Run) -> None:
    run.caveat(
        "the proof expands around μ_t and lets the first-order term vanish in expectation, which needs "
        "m_t: at the deterministic rollout that term is of order σ², as large as the Hessian term",
        lambda expansion: _inspect_expansion(run, expansion),
        Expansion(at_mean=False, order=2),
        false_variants={"at m_t": Expansion(order=2)},
    )
    run.caveat(
        "for (105) the point does not matter to the order: with G_t at the deterministic rollout or at "
        "m_t the error of Σ_{t+1} is of order 4",
        lambda variant: _inspect_covariance(run, *variant),
        (True, 4),
        false_variants={"the Jacobian of the step before": (False, 4)},
    )
    level = run.level()
    run.caveat(
        "noisy rollouts need not drift or spread: if F is Lipschitz in s with L < 1, E‖s_t − μ_t‖² ≤ "
        "nσ²/(1 − L²) for every t, μ_t the deterministic rollout: a tube in model time",
        lambda shape: _inspect_contractive(run, shape, level),
        (0.3, 0.4),
        false_variants={"an expanding model, held to the bound of the contractive one": (1.2, 0.1)},
    )


@dataclass(frozen=True)
class Moments:
    """Exact means and covariances m_t, Σ_t of a noisy rollout for t = 1, 2, 3, by Gauss–Hermite quadrature."""

    means: tuple[Tensor, ...]
    covariances: tuple[Tensor, ...]


def _gauss_hermite(dimension: int) -> tuple[Float[Tensor, "count dimension"], Float[Tensor, " count"]]:
    """Return nodes and weights for E[f(ζ)], ζ ~ N(0, I), on the tensor grid."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    grids = np.meshgrid(*([nodes] * dimension), indexing="ij")
    products = np.meshgrid(*([weights / weights.sum()] * dimension), indexing="ij")
    points = np.stack([grid.ravel() for grid in grids], axis=1)
    return torch.from_numpy(points), torch.from_numpy(np.prod([p.ravel() for p in products], axis=0))


def _moments(network: SmoothNetwork, start: Tensor, actions: Tensor, sigma: float) -> Moments:
    """Integrate s_1 = F(s_0)+σζ_0, s_2 = F(s_1)+σζ_1 over (ζ_0, ζ_1), the last noise of each step in closed form."""
    n = len(start)
    identity_matrix = sigma**2 * torch.eye(n, dtype=torch.float64)
    means, covariances = [network.step(start, actions[0])], [identity_matrix]
    for t in (1, 2):
        zeta, weights = _gauss_hermite(t * n)
        states = start.expand(len(zeta), n)
        for k in range(t):
            noise = sigma * zeta[:, k * n : (k + 1) * n]
            states = network.step(states, actions[k].expand(len(zeta), -1)) + noise
        predictions = network.step(states, actions[t].expand(len(zeta), -1))
        mean = weights @ predictions
        centered = predictions - mean
        means.append(mean)
        covariances.append(torch.einsum("k,ki,kj->ij", weights, centered, centered) + identity_matrix)
    return Moments(tuple(means), tuple(covariances))


def drawn_problems(
    rng: np.random.Generator, count: int, *, keep: float = 0.5, gain: float = 1.0
) -> Iterator[tuple[SmoothNetwork, Float[Tensor, " n"], Float[Tensor, "three one"]]]:
    """Draw networks (n = 1 and 2 in turn) with s_0 and a_0, a_1, a_2."""
    for index in range(count):
        n = 1 + index % 2
        network = random_network(rng, n, 1, keep=keep, gain=gain)
        yield network, torch.tensor(rng.standard_normal(n)), torch.tensor(rng.standard_normal((3, 1)))


@dataclass(frozen=True)
class Expansion:
    """A variant of (104).

    Arguments
        hessian: factor of the term ½ Hess : Σ_t.
        at_mean: whether it is expanded at m_t or at the deterministic rollout.
        order: the order in σ that its error must show.
    """

    hessian: float = 1.0
    at_mean: bool = True
    order: int = 4


def _inspect_quadratic(variant: tuple[int, sp.Rational]) -> Evidence:
    """Compare E[F] with F(m) + factor · Hess : Σ for a generic polynomial and a generic law on three points."""
    degree, factor = variant
    x, y, p, q = sp.symbols("x y p q")
    atoms = sp.symbols("x_1 y_1 x_2 y_2 x_3 y_3")
    points = list(zip(atoms[::2], atoms[1::2], strict=True))
    weights = (p, q, 1 - p - q)
    monomials = [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    F = sum(c * monomial for c, monomial in zip(sp.symbols(f"c:{len(monomials)}"), monomials, strict=True))

    def mean(expression: sp.Expr) -> sp.Expr:
        return sum(
            w * expression.subs({x: a, y: b}, simultaneous=True)
            for w, (a, b) in zip(weights, points, strict=True)
        )

    center = {x: mean(x), y: mean(y)}
    covariance = [[mean((u - center[u]) * (v - center[v])) for v in (x, y)] for u in (x, y)]
    trace = sum(
        F.diff(u, v).subs(center) * covariance[i][j]
        for i, u in enumerate((x, y))
        for j, v in enumerate((x, y))
    )
    return identity(
        [sp.expand(mean(F) - F.subs(center) - factor * trace)],
        "E[F(s)] = F(m) + ½ Hess F(m) : Σ, generic F of degree 2 on R², generic law on three points",
        "both sides are linear in the law's first and second moments, which three points realise "
        "generically; each output of F separately",
    )


def _expansion_error(
    network: SmoothNetwork, actions: Tensor, moments: Moments, track: Tensor, expansion: Expansion
) -> list[float]:
    """Return the errors of (104) for the steps from t = 1 and t = 2; `track` is the deterministic rollout."""
    errors = []
    for t in (1, 2):
        point = moments.means[t - 1] if expansion.at_mean else track[t]
        hessian = network.state_hessian(point, actions[t])
        second = 0.5 * torch.einsum("ijk,jk->i", hessian, moments.covariances[t - 1])
        stated = network.step(point, actions[t]) + expansion.hessian * second
        errors.append(float((moments.means[t] - stated).norm()))
    return errors


def _inspect_expansion(run: Run, expansion: Expansion) -> Evidence:
    errors, code = [], ""
    for network, start, actions in drawn_problems(run.rng("expansion"), run.size(6, 3)):
        track = rollout(network, start, actions)
        moments = [_moments(network, start, actions, sigma) for sigma in SIGMAS]
        errors.append([_expansion_error(network, actions, at, track, expansion) for at in moments])
        code = network.as_code()
    # At t = 1 the mean is still the deterministic state, so only t = 2 tells the two points apart.
    times = (1, 2) if expansion.at_mean else (2,)
    orders = {f"order from t = {t}": pooled_order(SIGMAS, np.array(errors)[:, :, t - 1]) for t in times}
    return Evidence(
        Grade.NUMERICAL,
        all(abs(order - expansion.order) <= ORDER_TOLERANCE for order in orders.values()),
        f"root mean square error over {len(SIGMAS)} halvings of σ_env from {SIGMAS[0]} on {len(errors)} random networks "
        f"(n = 1, 2), exact moments by Gauss–Hermite quadrature; expected order {expansion.order} ± {ORDER_TOLERANCE}",
        orders,
        code,
    )


def _inspect_covariance(run: Run, same_step: bool, order: int) -> Evidence:
    """Fit the order of Σ_3 − G Σ_2 Gᵀ − σ²I for G at m_2 and at the deterministic rollout."""
    errors: dict[str, list[list[float]]] = {"G at m_t": [], "G at the deterministic rollout": []}
    for network, start, actions in drawn_problems(run.rng("covariance"), run.size(6, 3)):
        track = rollout(network, start, actions)
        moments = [_moments(network, start, actions, sigma) for sigma in SIGMAS]
        for name, points in (
            ("G at m_t", [at.means[1] for at in moments]),
            ("G at the deterministic rollout", [track[2]] * 5),
        ):
            along = []
            for sigma, at, point in zip(SIGMAS, moments, points, strict=True):
                jacobian, _ = (
                    network.jacobians(point, actions[2])
                    if same_step
                    else network.jacobians(track[1], actions[1])
                )
                stated = jacobian @ at.covariances[1] @ jacobian.T
                stated += sigma**2 * torch.eye(len(start), dtype=torch.float64)
                along.append(float((at.covariances[2] - stated).norm()))
            errors[name].append(along)
    orders = {name: pooled_order(SIGMAS, values) for name, values in errors.items()}
    return Evidence(
        Grade.NUMERICAL,
        all(abs(found - order) <= ORDER_TOLERANCE for found in orders.values()),
        f"order in σ_env of the root mean square error of (105) from t = 2; expected {order} ± {ORDER_TOLERANCE}",
        orders,
    )


def _inspect_drift(run: Run, affine: bool) -> Evidence:
    """Fit the order of m_3 − s_3 (deterministic), and count where it vanishes to rounding."""
    drifts, none, code = [], 0, ""
    for network, start, actions in drawn_problems(run.rng("drift"), run.size(6, 3)):
        if affine:
            network = SmoothNetwork(
                1.1, 0.0 * network.readout, network.state_weights, network.action_weights, network.bias
            )
        track = rollout(network, start, actions)
        means = [_moments(network, start, actions, sigma).means[2] for sigma in SIGMAS]
        drifts.append([float((mean - track[3]).norm()) for mean in means])
        none += drifts[-1][-1] <= rounding_allowance(float(track.abs().max()) + 1.0, NODES**2)
        code = network.as_code()
    order = np.nan if none else pooled_order(SIGMAS, drifts)
    return Evidence(
        Grade.NUMERICAL,
        abs(order - 2.0) <= ORDER_TOLERANCE,
        f"‖m_3 − deterministic s_3‖ over {len(SIGMAS)} halvings of σ_env on {len(drifts)} models: zero to rounding in "
        f"{none}; order of the root mean square expected 2 ± {ORDER_TOLERANCE}",
        {"no drift": none, "order": order},
        code,
    )


def _inspect_simulated_means(run: Run, means: str, level: float) -> Evidence:
    """Test the sample means of s_2 and s_3 against quadrature or the deterministic rollout."""
    rng = run.rng("simulated means")
    count, sigma = run.size(200_000, 100_000), 0.4
    tests = []
    for network, start, actions in drawn_problems(run.rng("simulated networks"), 2, **STRONG):
        noise = torch.from_numpy(sigma * rng.standard_normal((count, 3, len(start))))
        plans = actions.expand(count, *actions.shape)
        states = rollout(network, start.expand(count, -1), plans, noise=noise).numpy()
        moments, track = _moments(network, start, actions, sigma), rollout(network, start, actions)
        for t in (2, 3):
            stated = (moments.means[t - 1] if means == "expectation" else track[t]).numpy()
            error = states[:, t].std(axis=0, ddof=1) / np.sqrt(count)
            tests += list(np.abs(states[:, t].mean(axis=0) - stated) / error)
    threshold = float(stats.norm.isf(level / (2 * len(tests))))
    # |z| exceeds the threshold with probability 1 − level once the shift is twice the threshold.
    return Evidence(
        Grade.STATISTICAL,
        max(tests) <= threshold,
        f"z tests of {len(tests)} sample means, {count} simulated rollouts, σ_env = {sigma}, level "
        f"{level:.1e} in all (|z| ≤ {threshold:.2f}); power 1 − {level:.1e} against shifts of "
        f"{2 * threshold:.1f} standard errors",
        {"largest |z|": float(max(tests))},
    )


def _inspect_contractive(run: Run, shape: tuple[float, float], level: float) -> Evidence:
    """Simulate 100 steps of a network with the given κ and ‖W‖ against the bound for L = 0.3 + 0.4."""
    rng = run.rng("contractive")
    count, sigma, horizon, n = run.size(4000, 1500), 0.3, 100, 2
    network = random_network(rng, n, 1, keep=shape[0], gain=shape[1])
    lipschitz = 0.3 + 0.4
    bound = n * sigma**2 / (1.0 - lipschitz**2)
    start, actions = torch.tensor(rng.standard_normal(n)), torch.tensor(rng.standard_normal((horizon, 1)))
    noise = torch.from_numpy(sigma * rng.standard_normal((count, horizon, n)))
    states = rollout(network, start.expand(count, -1), actions.expand(count, horizon, 1), noise=noise)
    squared = (states - rollout(network, start, actions)).square().sum(-1).numpy()
    excess = (squared.mean(axis=0) - bound) / np.maximum(squared.std(axis=0, ddof=1), 1e-300) * np.sqrt(count)
    threshold = float(stats.norm.isf(level / (horizon + 1)))
    return Evidence(
        Grade.STATISTICAL,
        float(excess.max()) <= threshold,
        f"mean squared distance to the deterministic rollout at t = 0..{horizon}, {count} rollouts, "
        f"against nσ²/(1 − L²) with L = {lipschitz}: the model's own constant is at most "
        f"{network.state_lipschitz:.2f}; one-sided z, level {level:.1e}, power 1 − {level:.1e} against "
        f"a mean {2 * threshold:.1f} standard errors above",
        {"largest mean squared distance over the bound": float(squared.mean(axis=0).max() / bound)},
        network.as_code(),
    )


def _record_curve(run: Run) -> None:
    network, start, actions = next(drawn_problems(run.rng("curve"), 1, **STRONG))
    track = rollout(network, start, actions)
    drift, remainder = [], []
    for sigma in SIGMAS:
        moments = _moments(network, start, actions, sigma)
        drift.append(float((moments.means[2] - network.step(moments.means[1], actions[2])).norm()))
        remainder.append(_expansion_error(network, actions, moments, track, Expansion())[1])
    run.curve(
        Curve(
            "Mean of a nonlinear noisy rollout, one step from m_2",
            "noise σ_env",
            "distance from E[F(s_2, a_2)]",
            {"F(m_2, a_2)": (SIGMAS, drift), "with ½ Hess : Σ, Eq. (104)": (SIGMAS, remainder)},
            log_x=True,
            log_y=True,
            note="Slopes 2 and 4: the Hessian term removes the leading error.",
        )
    )


CLAIMS = (
    Claim(
        id="thm9-nonlinear",
        title="Mean of noisy rollouts of nonlinear models",
        source="Appendix A.4, Theorem 9, Eq. (102), (104)",
        statement=(
            "m_{t+1} = E[F(s_t, a_t)] ≈ F(m_t, a_t) + ½ Hess_s F(m_t, a_t) : Σ_t, so the mean "
            "generally does not follow the deterministic rollout."
        ),
        latex=r"m_{t+1} \approx F_\theta(m_t,a_t) + \tfrac12 (\mathrm{Hess}_s F_\theta(m_t,a_t)) : \Sigma_t",
        assumptions=("F twice differentiable in s", "the expansion is to second order in σ_env"),
        equations=(104,),
        check=check_nonlinear_rollouts,
    ),
)
