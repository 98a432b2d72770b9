"""The text's claim that lifting conditions the problem better (Sections 2, 3 and A.1), by condition numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from linear_systems import LinearSystem, benchmarks, certificates, lifted, shooting
from linear_systems.errors import UndecidedError
from paper_checks.engine.inspection import real_systems
from paper_checks.engine.records import Claim, Curve, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

BLOCK_HORIZONS = (100, 200)
"""Horizons between which the growth with an unreachable Jordan block is fitted."""
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


<<<<<<< HEAD
def weakly_actuated(growth: float, gain: float) -> LinearSystem:
    """Return a system with an unstable mode λ = `growth` driven with `gain`, and a stable mode 0.5 driven with 1."""
    return LinearSystem(np.diag([growth, 0.5]), np.array([[gain], [1.0]]))


def _reachable_on_circle(system: LinearSystem) -> bool:
    """Return whether every mode of modulus 1 is reachable: rank [λI − A, B] = n at each such eigenvalue λ."""
    n = system.state_dim
    for eigenvalue in np.linalg.eigvals(system.A):
        if abs(abs(eigenvalue) - 1.0) < 1e-8:
            pencil = np.hstack([eigenvalue * np.eye(n) - system.A, system.B])
            if np.linalg.matrix_rank(pencil, tol=1e-8) < n:
                return False
    return True


def _boundedness_cases() -> dict[str, LinearSystem]:
    rotation = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    return {
        "double integrator, dt = 1": LinearSystem([[1.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]]),
        "driven rotation": LinearSystem(rotation, [[0.0], [0.5]]),
        "unstable and stable mode, both driven": weakly_actuated(1.2, 0.1),
        "unstable mode not driven": LinearSystem(np.diag([1.2, 0.5]), [[0.0], [1.0]]),
        "stable mode not driven": LinearSystem(np.diag([0.7, 0.5]), [[0.0], [1.0]]),
        "mode λ = 1 not driven": LinearSystem(np.diag([1.0, 0.5]), [[0.0], [1.0]]),
        "mode λ = −1 not driven": LinearSystem(np.diag([-1.0, 0.5]), [[0.0], [1.0]]),
        "Jordan block of two at λ = 1 not driven": _unreachable_block(2, 1.0),
        "rotation not driven": LinearSystem(
            np.block([[rotation, np.zeros((2, 1))], [np.zeros((1, 2)), 0.5]]), [[0.0], [0.0], [1.0]]
        ),
    }


def _unreachable_block(size: int, eigenvalue: float) -> LinearSystem:
    """Return a Jordan block that no action reaches, beside a driven stable state."""
    A = np.diag([eigenvalue] * size + [0.5]) + np.diag([1.0] * (size - 1) + [0.0], 1)
    return LinearSystem(A, np.eye(size + 1)[:, -1:])


@cache
def _unreachable_slope(size: int, eigenvalue: float) -> float:
    """Return the slope of log κ_L over log T between the two horizons."""
    system = _unreachable_block(size, eigenvalue)
    logs = np.log([lifted.condition_number(system, T) for T in BLOCK_HORIZONS])
    return float((logs[1] - logs[0]) / np.log(2.0))


def _inspect_unreachable_blocks(exponent: float) -> Evidence:
    """Rows of the block alone have the symbol |e^{iω} − λ|^{2j} in determinant: a zero of order 2j, so λ_min ~ T^{−2j}."""
    blocks = [(1, 1.0), (2, 1.0), (2, -1.0), (3, 1.0)]
    slopes = {block: _unreachable_slope(*block) for block in blocks}
    worst = max(abs(slope - exponent * size) / size for (size, _), slope in slopes.items())
    # κ_L = c T^{2j}(1 + O(1/T)).
    tolerance = 3.0 / BLOCK_HORIZONS[0]
    return Evidence(
        Grade.NUMERICAL,
        worst <= tolerance,
        f"slope of log κ_L over log T between T = {BLOCK_HORIZONS[0]} and {BLOCK_HORIZONS[1]}, tolerance {tolerance:.2f} j",
        {
            **{
                f"j = {size}, λ = {eigenvalue:+.0f}": round(slope, 4)
                for (size, eigenvalue), slope in slopes.items()
            },
            "largest deviation over j": worst,
        },
        as_code(_unreachable_block(2, 1.0), horizon=BLOCK_HORIZONS[1]),
    )


def _inspect_boundedness(run: Run, rule: Callable[[LinearSystem], bool]) -> Evidence:
    """Compare the rule's answer with the growth of κ_L between T and 2T: bounded gives 1, the other cases 4 or more."""
    T = run.size(400, 150)
    wrong, ratios, code = 0, {}, ""
    for name, system in _boundedness_cases().items():
        ratio = lifted.condition_number(system, 2 * T) / lifted.condition_number(system, T)
        ratios[f"κ_L({2 * T})/κ_L({T}), {name}"] = round(ratio, 4)
        # An unreachable mode on the circle leaves a path-graph Laplacian, whose κ grows like T²: the ratio is 4, and 4^j for a
        # Jordan block of size j.
        if rule(system) != (ratio < 2.0):
            wrong, code = wrong + 1, as_code(system)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"{len(ratios)} systems; doubling T multiplies κ_L by about 1 (bounded) or 4^j (an unreachable Jordan block of size j); "
        f"{wrong} contradict the rule.  Boundedness: MMᵀ is a section of the Toeplitz operator with symbol "
        "(e^{iω}I−A)(e^{iω}I−A)* + BBᵀ, singular on the circle exactly where the Hautus test fails",
        ratios,
        code,
    )


def _inspect_unstable_growth(multiple: float) -> Evidence:
    """Fit d log κ_S / dT between T = 60 and 90, past the crossing of the two modes."""
    growth = 1.2
    system = weakly_actuated(growth, 1e-2)
    logs = np.log([shooting.condition_number(system, T) for T in (60, 90)])
    slope = float((logs[1] - logs[0]) / 30.0)
    # κ_S = c λ^{2T} (1 + o(1)); one factor 2 over the 30 steps covers the rest, four times less than log λ.
    tolerance = np.log(2.0) / 30.0
    return Evidence(
        Grade.NUMERICAL,
        abs(slope - multiple * np.log(growth)) <= tolerance,
        f"log κ_S grows by {slope / np.log(growth):.4f} log|λ| a step (λ = {growth}, tolerance "
        f"{tolerance / np.log(growth):.3f})",
        {"slope over log|λ|": slope / np.log(growth), "κ_L at T = 90": lifted.condition_number(system, 90)},
        as_code(system, horizon=90),
    )


def _inspect_integrator_growth(exponent: Callable[[int], int]) -> Evidence:
    worst, fitted = 0.0, {}
    horizons = (400, 800)
    for j in (1, 2, 3):
        B = np.zeros((j, 1))
        B[-1, 0] = 1.0
        system = LinearSystem(np.eye(j) + np.diag(np.ones(j - 1), 1), B)
        logs = np.log([shooting.condition_number(system, T) for T in horizons])
        slope = float((logs[1] - logs[0]) / np.log(2.0))
        fitted[f"{j} integrators"] = round(slope, 4)
        worst = max(worst, abs(slope - exponent(j)))
    # W_T is T^{2j−1} D K D with D = diag(T^{−i}) and K fixed, up to O(1/T): the slope is off by O(1/T), constant 10.
    tolerance = 10.0 * j / horizons[0]
    return Evidence(
        Grade.NUMERICAL,
        worst <= tolerance,
        f"slope of log κ_S over log T between T = {horizons[0]} and {horizons[1]}, tolerance {tolerance:.3f}",
        {**fitted, "largest deviation": worst},
    )


def crossing_horizon(system: LinearSystem, limit: int = 5_000) -> int | None:
    """Return the first horizon of a doubling-and-bisection search from which κ_L < κ_S; None if not by `limit`."""

    def lifting_wins(T: int) -> bool:
        return lifted.condition_number(system, T) < shooting.condition_number(system, T)

    high = 2
    while not lifting_wins(high):
        high *= 2
        if high > limit:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if lifting_wins(middle) else (middle, high)
    return high


def _inspect_crossing(threshold: int) -> Evidence:
    system = _double_integrator()
    crossing = crossing_horizon(system)
    return Evidence(
        Grade.NUMERICAL,
        crossing is not None and crossing > threshold,
        f"κ_L < κ_S for the double integrator from T = {crossing}",
        {"crossing horizon": crossing or "none"},
        as_code(system, horizon=crossing or 0),
    )


def _inspect_units(scale: float) -> Evidence:
    """Compare the double integrator with the same system whose actions are measured in other units."""
    system, T = _double_integrator(), 40
    scaled = LinearSystem(system.A, scale * system.B)
    lift = lifted.condition_number(scaled, T) / lifted.condition_number(system, T)
    shoot = shooting.condition_number(scaled, T) / shooting.condition_number(system, T)
    crossings = crossing_horizon(system), crossing_horizon(scaled)
    return Evidence(
        Grade.NUMERICAL,
        abs(shoot - 1.0) <= ROUNDING < abs(lift - 1.0) and crossings[0] != crossings[1],
        f"double integrator, B times {scale:g}, T = {T}: κ_L times {lift:.4g}, κ_S times {shoot:.4g}; lifting wins from T = "
        f"{crossings[1]} and not from T = {crossings[0]}",
        {
            "κ_L ratio": lift,
            "κ_S ratio": shoot,
            "crossing before": crossings[0] or 0,
            "after": crossings[1] or 0,
        },
        as_code(scaled, horizon=T),
    )


def _inspect_stable_pair(smaller: str) -> Evidence:
    system, T = LinearSystem([[0.5]], [[0.1]]), 2000
    lift, shoot = lifted.condition_number(system, T), shooting.condition_number(system, T)
    passed = shoot < lift if smaller == "shooting" else lift < shoot
    return Evidence(
        Grade.NUMERICAL,
        passed,
        f"s' = 0.5 s + 0.1 a at T = {T}: κ_L = {lift:.4g}, κ_S = {shoot:.4g}",
        {"κ_L": lift, "κ_S": shoot},
        as_code(system, horizon=T),
    )


=======
>>>>>>> main
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
