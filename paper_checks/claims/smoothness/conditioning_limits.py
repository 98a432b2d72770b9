"""The same claim read asymptotically: what both condition numbers do as the horizon grows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from linear_systems import LinearSystem, lifted, shooting
from paper_checks.claims.smoothness.conditioning import ROUNDING, double_integrator
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

BLOCK_HORIZONS = (100, 200)
"""Horizons between which the growth with an unreachable Jordan block is fitted."""


def check_asymptotics(run: Run) -> None:
    """Examine the other reading: what happens to both condition numbers as T grows."""
    run.examine(
        "κ_L stays bounded as T grows exactly when no mode on |z| = 1 is unreachable (Hautus test on the unit circle)",
        lambda rule: _inspect_boundedness(run, rule),
        _reachable_on_circle,
        false_variants={
            "exactly when A is stable": lambda system: bool(np.abs(np.linalg.eigvals(system.A)).max() < 1.0),
            "always": lambda system: True,
        },
    )
    run.examine(
        "an unreachable Jordan block of size j with |λ| = 1 makes κ_L grow like T^{2j}: T² for a mode, T⁴ for a block of two",
        _inspect_unreachable_blocks,
        2.0,
        false_variants={"like T^{2.1 j}": 2.1, "like T^{1.9 j}": 1.9},
    )
    run.examine(
        "κ_S grows without bound where a mode with |λ| > 1 is driven beside a stable one: like |λ|^{2T}",
        _inspect_unstable_growth,
        2.0,
        false_variants={
            name: Far(power, "exponents are whole numbers")
            for name, power in (("bounded", 0.0), ("like |λ|^T", 1.0), ("like |λ|^{4T}", 4.0))
        },
    )
    run.examine(
        "for a chain of j integrators κ_S grows like T^{2j−2}",
        _inspect_integrator_growth,
        lambda j: 2 * j - 2,
        false_variants={"T^{2j}": lambda j: 2 * j, "T^{2j−1}, like L_S": lambda j: 2 * j - 1},
    )
    run.caveat(
        "the horizon from which lifting wins can be far beyond the paper's (T = H/5 ≤ 16): for the double integrator it "
        "lies above T = 80",
        _inspect_crossing,
        80,
        false_variants={"above T = 5,000": 5_000},
    )
    run.caveat(
        "for stable, reachable systems both condition numbers stay bounded, and shooting's may be the smaller one forever",
        lambda wanted: _inspect_stable_pair(wanted),
        "shooting",
        false_variants={"lifting's is smaller": "lifting"},
    )
    run.caveat(
        "an unstable mode alone is not enough: where all modes have one modulus, at least 1, and no Jordan block, κ_S stays "
        "bounded too, and shooting may be the better conditioned one forever",
        _inspect_one_modulus,
        1.0,
        false_variants={"a second mode of 0.96 times the modulus": 0.96},
    )
    run.caveat(
        "κ_L depends on the units: measuring actions in units c times smaller multiplies B by c and changes κ_L, and with it "
        "the horizon from which lifting wins; κ_S does not change",
        _inspect_units,
        10.0,
        false_variants={"units unchanged": Far(1.0, "only equal units leave κ_L as it is")},
    )
    _record_map(run)


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
    system = double_integrator()
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
    system, T = double_integrator(), 40
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


def _inspect_one_modulus(second: float) -> Evidence:
    """Compare κ_S at T = 80 and 160, and with κ_L, for one mode and for two of moduli 1.2 and 1.2 · `second`.

    W_T = A^{T−1} (Σ_j A^{−j} B Bᵀ A^{−jᵀ}) A^{(T−1)ᵀ}.  If A is similar to a multiple of a unitary matrix, κ(A^{T−1}) is bounded,
    and with a modulus above 1 the sum converges to a positive definite matrix: so κ_S is bounded.
    """
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    systems = {
        "λ = 1": LinearSystem([[1.0]], [[1.0]]),
        "λ = 1.2": LinearSystem([[1.2]], [[1.0]]),
        "1.2 times a rotation": LinearSystem(1.2 * turn, [[0.0], [0.5]]),
        f"λ = 1.2 and {-1.2 * second:g}": LinearSystem(np.diag([1.2, -1.2 * second]), [[1.0], [1.0]]),
    }
    shown: dict[str, float] = {}
    wrong, code = 0, ""
    for name, system in systems.items():
        before, shoot = (shooting.condition_number(system, T) for T in (80, 160))
        lift = lifted.condition_number(system, 160)
        shown |= {f"κ_S(160), {name}": shoot, f"κ_L(160), {name}": lift}
        # After T = 80 the sum changes by about 1.2^{−160} = 2·10⁻¹³ of itself; for one mode κ_S is 1 whatever λ is.
        if not (abs(shoot / before - 1.0) <= ROUNDING and shoot < lift):
            wrong, code = wrong + 1, as_code(system, horizon=160)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"{len(systems)} systems: κ_S the same at T = 80 and 160 to {ROUNDING:g}, and below κ_L, on all but {wrong}",
        shown,
        code,
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


def _record_map(run: Run) -> None:
    T = 40
    growths = np.linspace(0.55, 1.5, run.size(20, 6))
    series = {}
    for gain in (1e-3, 1e-2, 1e-1, 1.0):
        systems = [weakly_actuated(float(growth), gain) for growth in growths]
        ratios = [lifted.condition_number(s, T) / shooting.condition_number(s, T) for s in systems]
        series[f"gain {gain:g}"] = (list(growths), [float(np.log10(ratio)) for ratio in ratios])
    run.curve(
        Curve(
            f"Regimes of conditioning: modes λ and 0.5, T = {T}",
            "λ, the first mode's eigenvalue (gain as in the legend; the second mode has gain 1)",
            "log₁₀ κ_L / κ_S",
            series,
            note="Lifting wins (below 0) where an unstable or a weakly driven mode makes shooting ill-conditioned.",
        )
    )


CLAIMS = (
    Claim(
        id="conditioning-asymptotic",
        title="Lifting leads to better conditioning, as T grows",
        source="Section 2 (last paragraph), Section 3, Appendix A.1 (interpretation)",
        statement=(
            "Read asymptotically: κ(H_L) stays bounded over T while κ(H_S) grows, exponentially with an unstable mode beside a "
            "slower one and polynomially with two or more integrators."
        ),
        latex=r"\sup_T \kappa(H_L) < \infty, \quad \kappa(H_S) \to \infty",
        check=check_asymptotics,
    ),
)
