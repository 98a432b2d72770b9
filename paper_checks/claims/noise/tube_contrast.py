"""The text that sets the tube of Theorem 7 against noisy rollouts."""

from __future__ import annotations

import numpy as np

from linear_systems import LinearSystem, noise, state_chain
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.noise.planner_chain import ETA, SIGMA
from paper_checks.engine.inspection import drawn_systems, refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def check_contrast(run: Run) -> None:
    """Examine the text that sets tubes against noisy rollouts."""
    run.examine(
        "with s̄_t frozen, as Theorem 7 has it, the spread of the lifted states does not accumulate over the horizon, and that of "
        "noisy rollouts does",
        _inspect_contrast,
        (False, 1.1),
        false_variants={"with s̄_t live, as in the method": (True, 1.1)},
    )
    run.caveat(
        "with s̄_t live it accumulates: each state is driven by the one before it",
        refuted(_inspect_contrast),
        (True, 1.1),
        false_variants={"with s̄_t frozen": (False, 1.1)},
    )
    run.caveat(
        "with s̄_t live and η_s = 1/2 the stationary covariance of each lifted state is that of the noisy rollout's with "
        "σ_env = σ",
        lambda factor: _inspect_equality(run, factor),
        1.0,
        false_variants={"1.01 times that": 1.01},
    )
    run.caveat(
        "this is true of the marginals only: at η_s = 1/2 the states of one iteration are independent over time, and those of "
        "a rollout are not (Cov(s_{t+1}, s_t) = AΣ_t)",
        lambda step_size: _inspect_independence(run, step_size),
        0.5,
        false_variants={"at η_s = 0.49": 0.49},
    )


def _inspect_contrast(variant: tuple[bool, float]) -> Evidence:
    """Compare the spread of the last state at T = 40 with that at T = 10: accumulates if it grows 2 times."""
    live, growth = variant
    system = LinearSystem([[growth]], [[1.0]])
    # With s̄ frozen the predictions do not see the noise: to the noise, A is zero.
    coupled = system if live else LinearSystem([[0.0]], [[1.0]])
    variances = state_chain.stationary_law(coupled, 40, ETA, SIGMA).states[:, 0, 0]
    rollout = noise.rollout_covariance(system, 40, SIGMA), noise.rollout_covariance(system, 10, SIGMA)
    lifted_growth = float(variances[39] / variances[9])
    rollout_growth = float(rollout[0][0, 0] / rollout[1][0, 0])
    return Evidence(
        Grade.NUMERICAL,
        lifted_growth < 2.0 < rollout_growth,
        f"A = {system.A[0, 0]}, η_s = {ETA}: from t = 10 to t = 40 the variance of the lifted states grows {lifted_growth:.4g} "
        f"times, that of noisy rollouts {rollout_growth:.4g} times",
        {"growth, lifted": lifted_growth, "growth, rollout": rollout_growth},
        as_code(system, horizon=40, step_size=ETA, sigma=SIGMA),
    )


def _inspect_equality(run: Run, factor: float) -> Evidence:
    worst, code, count = 0.0, "", 0
    for system in drawn_systems(run.rng("equality"), run.size(40, 15), max_n=4):
        T = 8
        chain = state_chain.stationary_law(system, T, 0.5, SIGMA).states[-1]
        rollout = noise.rollout_covariance(system, T, SIGMA)
        gap = float(np.abs(chain - factor * rollout).max()) / float(np.abs(rollout).max())
        allowance = rounding_allowance(1.0, system.state_dim * T, _amplification(system, T))
        if gap / allowance > worst:
            worst, code = gap / allowance, as_code(system, horizon=T, step_size=0.5, sigma=SIGMA)
        count += 1
    return Evidence(
        Grade.NUMERICAL,
        worst <= 1.0,
        f"largest |Cov(chain) − {factor:g} Σ_T| over {count} systems is {worst:.2g} times the rounding allowance",
        {"gap / allowance": worst},
        code,
    )


def _amplification(system: LinearSystem, T: int) -> float:
    powers = [np.linalg.norm(np.linalg.matrix_power(system.A, k), 2) for k in range(T)]
    return max(1.0, float(np.linalg.norm(system.A, 2) * max(powers)) ** 2)


def _inspect_independence(run: Run, step_size: float) -> Evidence:
    """Iterate the covariance of (s_1, …, s_T) of the chain s⁺_{t+1} = (1−2η) s_{t+1} + 2η A s_t + σξ from 0."""
    worst, rollouts, code, count = 0.0, [], "", 0
    for system in drawn_systems(run.rng("independence"), run.size(40, 15), max_n=3):
        n, T = system.state_dim, 6
        chain = np.kron(np.eye(T), (1 - 2 * step_size) * np.eye(n)) + np.kron(
            np.eye(T, k=-1), 2 * step_size * system.A
        )
        covariance = np.zeros((n * T, n * T))
        for _ in range(40):  # at 1/2 stationary after T of them, and near it else
            covariance = chain @ covariance @ chain.T + SIGMA**2 * np.eye(n * T)
        blocks = covariance.reshape(T, n, T, n)
        across = max(float(np.abs(blocks[t, :, t - 1]).max()) for t in range(1, T))
        gap = across / float(np.abs(covariance).max())
        if gap >= worst:
            worst, code = gap, as_code(system, horizon=T, step_size=step_size, sigma=SIGMA)
        rollouts.append(float(np.abs(system.A).max()))  # Cov(s_2, s_1) = σ² A
        count += 1
    return Evidence(
        Grade.NUMERICAL,
        worst == 0.0 < min(rollouts),
        f"{count} systems, η_s = {step_size:g}: largest covariance of neighbouring lifted states {worst:.2g} of the largest "
        f"variance; of a rollout's s_1 and s_2, σ²A, at least {min(rollouts):.2g} σ²",
        {"largest covariance over time, lifted": worst, "smallest, rollout (σ²)": min(rollouts)},
        code,
    )


CLAIMS = (
    Claim(
        id="tube-contrast",
        title="Lifted states keep a local tube, while noisy rollouts accumulate noise",
        source="Appendix A.4, text before Theorem 9 and after its proof",
        statement=(
            "“Unlike the stopgrad lifted-state dynamics (Theorem 7), the rollout distribution is not contracted toward the "
            "current rollout, but instead noise accumulates”; lifted states form a tube, “keeping exploration local”.  Read as: "
            "with the actions and the states that enter the model frozen, the spread of the lifted states does not grow with t."
        ),
        check=check_contrast,
    ),
)
