"""The text's claim that lifting conditions the problem better (Sections 2, 3 and A.1), by condition numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linear_systems import LinearSystem, benchmarks, certificates, lifted, shooting
from linear_systems.errors import UndecidedError
from paper_checks.engine.inspection import real_systems
from paper_checks.engine.records import Claim, Curve, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

ROUNDING = 1e-8
"""Relative error allowed to a condition number: `lifted.CONDITION_TOLERANCE` with a margin of ten."""
Statement = Callable[[int, int], bool]
"""Judges in how many cases the lifted Hessian is the better conditioned one, and in how many it is not."""
Pairs = dict[str, dict[int, tuple[float, float]]]
"""(κ_L, κ_S) of each benchmark system, by name and horizon."""


def check_conditioning(run: Run) -> None:
    """Examine whether the lifted Hessian is better conditioned where shooting's is bad, and where it is not."""
    pairs = _benchmark_pairs(run)
    run.examine(
        "the lifted problem is better conditioned than shooting on some benchmark systems and horizons",
        lambda statement: _inspect_everywhere(pairs, statement),
        _somewhere,
        false_variants={"on every one": _always, "on none": _never},
    )
    run.caveat(
        "not for every system: on most benchmark systems and horizons shooting is the better conditioned one",
        lambda statement: _inspect_everywhere(pairs, statement),
        _seldom,
        false_variants={"on all of them": _never},
    )
    run.caveat(
        "on the double integrator shooting is the better conditioned one at every horizon 2..80, the paper's (T ≤ 16) among "
        "them",
        lambda wanted: _inspect_double_integrator(run, wanted),
        "shooting better everywhere",
        false_variants={"the lifted problem is at some": "lifted better somewhere"},
    )
    run.caveat(
        "for the double integrator at T = 10, κ_L > κ_S, in exact arithmetic",
        _inspect_exactly,
        "greater",
        false_variants={"κ_L < κ_S": "less"},
    )
    _record_curves(run, pairs)


def _always(better: int, worse: int) -> bool:
    return worse == 0


def _never(better: int, worse: int) -> bool:
    return better == 0


def _somewhere(better: int, worse: int) -> bool:
    return better > 0


def _seldom(better: int, worse: int) -> bool:
    return 0 < better < worse


def _benchmark_pairs(run: Run) -> Pairs:
    """Return the condition numbers of the benchmark systems; in a quick run at fewer horizons, up to n = 12."""
    horizons = (10, 80) if run.quick else (2, 10, 40, 80)
    return {
        name: {
            T: (lifted.condition_number(system, T), shooting.condition_number(system, T)) for T in horizons
        }
        for name, system in real_systems()
        if system.state_dim <= 12 or not run.quick
    }


def _inspect_everywhere(pairs: Pairs, statement: Statement) -> Evidence:
    cases = [(name, T, *pair) for name, by_horizon in pairs.items() for T, pair in by_horizon.items()]
    worse = [(name, T) for name, T, lift, shoot in cases if lift >= shoot]
    better = len(cases) - len(worse)
    return Evidence(
        Grade.NUMERICAL,
        statement(better, len(worse)),
        f"κ of both Hessians on their row spaces, {len(pairs)} systems, horizons {tuple(next(iter(pairs.values())))}: the "
        f"lifted one is the better conditioned in {better} of {len(cases)} cases",
        {
            "lifted better in": better,
            "not better in": len(worse),
            **{
                f"{name}, T={T}: κ_L/κ_S": float(f"{lift / shoot:.4g}")
                for name, T, lift, shoot in cases
                if T == 80
            },
        },
        as_code(dict(real_systems())[worse[0][0]], horizon=worse[0][1]) if worse else "",
    )


def _inspect_double_integrator(run: Run, wanted: str) -> Evidence:
    system = double_integrator()
    horizons = range(2, 81, run.size(1, 6))
    ratios = [lifted.condition_number(system, T) / shooting.condition_number(system, T) for T in horizons]
    passed = {
        "lifted better somewhere": min(ratios) < 1.0,
        "shooting better everywhere": min(ratios) > 1.0,
    }[wanted]
    return Evidence(
        Grade.NUMERICAL,
        passed,
        f"κ_L/κ_S for the double integrator at {len(ratios)} horizons from 2 to 80: from {min(ratios):.3g} to "
        f"{max(ratios):.3g}",
        {"smallest κ_L/κ_S": min(ratios), "largest κ_L/κ_S": max(ratios)},
        as_code(system, horizon=80),
    )


def double_integrator() -> LinearSystem:
    """Return the benchmark of this name."""
    system = benchmarks.load("double_integrator").system
    if not isinstance(system, LinearSystem):
        raise TypeError("the double integrator is time-invariant")
    return system


def _inspect_exactly(relation: str) -> Evidence:
    """Compare certified enclosures of both condition numbers."""
    system, T = double_integrator(), 10
    lift = _certified_condition(lifted.residual_matrix(system, T).toarray())
    shoot = _certified_condition(shooting.controllability_matrix(system, T))
    passed = {"greater": lift[0] > shoot[1], "less": lift[1] < shoot[0]}[relation]
    return Evidence(
        Grade.CERTIFIED,
        passed,
        f"κ_L in [{lift[0]:.6g}, {lift[1]:.6g}], κ_S in [{shoot[0]:.6g}, {shoot[1]:.6g}], from rational arithmetic on the "
        "float matrices M and C_T",
        {"κ_L at least": lift[0], "κ_S at most": shoot[1]},
        as_code(system, horizon=T),
    )


def _certified_condition(factor: np.ndarray) -> tuple[float, float]:
    """Return a certified enclosure of κ(F Fᵀ) for F of full row rank: λ_max(G) λ_max(G⁻¹), G⁻¹ exact."""
    gram = certificates.gram(factor.T)
    try:
        top = certificates.spectral_bounds(gram)
        bottom = certificates.spectral_bounds(gram.inv())
    except ZeroDivisionError as error:
        raise UndecidedError("the factor has no full row rank; nothing is claimed") from error
    return float(top[0] * bottom[0]), float(top[1] * bottom[1])


def _record_curves(run: Run, pairs: Pairs) -> None:
    series = {
        name: (list(by_horizon), [float(np.log10(lift / shoot)) for lift, shoot in by_horizon.values()])
        for name, by_horizon in pairs.items()
    }
    run.curve(
        Curve(
            "Which Hessian is better conditioned",
            "horizon T (model steps)",
            "log₁₀ κ_L / κ_S",
            series,
            log_x=True,
            note="Above 0 shooting is better conditioned, below 0 lifting is.",
        )
    )


CLAIMS = (
    Claim(
        id="conditioning",
        title="Lifting leads to better conditioning",
        source="Section 2 (last paragraph), Section 3, Appendix A.1 (interpretation)",
        statement=(
            "Optimising over states as well “leads to faster convergence and better conditioning”; shooting is hard “due to "
            "the poor conditioning arising from repeated applications of F”.  Read as: there are systems and horizons "
            "for which κ(H_L) < κ(H_S) on the row spaces; which ones is not said."
        ),
        latex=r"\kappa(H_L) < \kappa(H_S)",
        check=check_conditioning,
    ),
)
