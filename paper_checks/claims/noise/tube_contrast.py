"""The text that sets the tube of Theorem 7 against noisy rollouts."""

from __future__ import annotations

import numpy as np

from linear_systems import LinearSystem, noise, state_chain
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.noise.planner_chain import ETA, SIGMA
from paper_checks.engine.inspection import drawn_systems
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code


def check_contrast(run: Run) -> None:
    """Examine the text that sets tubes against noisy rollouts."""
    run.examine(
        "the spread of the lifted states does not accumulate over the horizon, as that of noisy rollouts does",
        _inspect_contrast,
        (True, 1.1),
        false_variants={"nor would it with A = 1.3 in place of A = 1.1": (True, 1.3)},
        true_variants={"with s̄_t frozen, as in Theorem 7's statement": (False, 1.1)},
    )
    run.examine(
        "at η_s = 1/2 the stationary covariance of the lifted states differs from that of a noisy rollout with σ_env = σ",
        lambda wanted: _inspect_equality(run, wanted),
        "different",
        false_variants={"they differ by a factor 2": "twice"},
        true_variants={"they are equal": "equal"},
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
        lifted_growth < 2.0,
        f"A = {system.A[0, 0]}, η_s = {ETA}: from t = 10 to t = 40 the variance of the lifted states grows {lifted_growth:.4g} "
        f"times, that of noisy rollouts {rollout_growth:.4g} times",
        {"growth, lifted": lifted_growth, "growth, rollout": rollout_growth},
        as_code(system, horizon=40, step_size=ETA, sigma=SIGMA),
    )


def _inspect_equality(run: Run, wanted: str) -> Evidence:
    worst, code, count = 0.0, "", 0
    for system in drawn_systems(run.rng("equality"), run.size(40, 15), max_n=4):
        T = 8
        chain = state_chain.stationary_law(system, T, 0.5, SIGMA).states[-1]
        rollout = noise.rollout_covariance(system, T, SIGMA)
        scale = float(np.abs(rollout).max())
        target = 2.0 * rollout if wanted == "twice" else rollout
        gap = float(np.abs(chain - target).max()) / scale
        powers = [np.linalg.norm(np.linalg.matrix_power(system.A, k), 2) for k in range(T)]
        amplification = float(np.linalg.norm(system.A, 2) * max(powers)) ** 2
        allowance = rounding_allowance(1.0, system.state_dim * T, max(1.0, amplification))
        if gap / allowance > worst:
            worst, code = gap / allowance, as_code(system, horizon=T, step_size=0.5, sigma=SIGMA)
        count += 1
    equal = worst <= 1.0
    return Evidence(
        Grade.NUMERICAL,
        not equal if wanted == "different" else equal,
        f"largest |Cov(chain) − Σ_T| over {count} systems is {worst:.2g} times the rounding allowance",
        {"gap / allowance": worst},
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
            "with the actions frozen, the spread of the lifted states does not grow with t."
        ),
        check=check_contrast,
    ),
)
