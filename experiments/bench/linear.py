"""`python -m experiments bench linear`: accuracy, speed, growth and memory of the linear theory.

Every accuracy row takes the worst case over the kinds of `linear_systems.examples.random_systems` (stable, unstable, complex,
defective, non-normal to 1e6, rank deficient), time-varying systems included; every ratio is against dense
LAPACK in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from scipy.linalg import eigvalsh
from scipy.optimize import minimize_scalar

from experiments.bench.measurement import Row, growth_exponent, in_fresh_process, seconds, table, write_json
from grasp_theory.command_line import expect_writable
from linear_systems import AnySystem, LinearSystem, TimeVaryingLinearSystem, certificates, lifted, shooting
from linear_systems.examples.random_systems import KINDS, Kind, random_system, random_time_varying_system
from linear_systems.rounding import rounding_allowance

STATES, ACTIONS = 8, 4
"""Dimensions n and m of every timing."""
LINEAR_GROWTH = 1.1
"""Largest fitted exponent that counts as "no faster than T": 1 and the noise of timings."""
GIGABYTE = 1e9
LOG_WIDTH = 150
"""Columns used where the output is not a terminal."""


@dataclass(frozen=True)
class Sizes:
    """How large the measurements are: horizons, and how many systems of each kind."""

    systems: int
    shooting_dense: tuple[int, ...]
    lifted_dense: tuple[int, ...]
    lifted_long: int
    lifted_growth: tuple[int, ...]
    varying_growth: tuple[int, ...]
    condition: int


FULL = Sizes(
    5,
    (1, 5, 20, 60),
    (2, 30, 100, 300),
    100_000,
    (100, 1000, 10_000, 100_000),
    (250, 500, 1000, 2000),
    2000,
)
QUICK = Sizes(1, (1, 20, 60), (2, 30), 10_000, (100, 1000, 10_000), (100, 200, 400), 300)


def bench_linear(
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file too.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller sizes: seconds instead of minutes.")
    ] = False,
) -> None:
    """Measure linear_systems.conditioning.shooting and linear_systems.conditioning.lifted against their requirements.

    Exit status: 0 if every requirement is met, 1 if not.
    """
    expect_writable(json)
    probe = Console()
    console = probe if probe.is_terminal else Console(width=LOG_WIDTH)
    rows: list[Row] = []
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar as progress:
        task = progress.add_task("starting", total=len(MEASUREMENTS))
        for measure in MEASUREMENTS:
            progress.update(task, description=measure.__name__.strip("_").replace("_", " "))
            rows.extend(measure(QUICK if quick else FULL))
            progress.advance(task)
    console.print(table(f"linear systems, n = {STATES}, m = {ACTIONS} where not stated", rows))
    if json is not None:
        write_json(json, rows)
    raise typer.Exit(0 if all(row.met for row in rows) else 1)


# Accuracy


def _drawn(count: int, horizon: int, kinds: tuple[Kind, ...] = KINDS) -> Iterator[AnySystem]:
    """Yield `count` systems of each kind, and as many time-varying ones, of random sizes n <= 6, m <= 8."""
    rng = np.random.default_rng([count, horizon])
    for _ in range(count):
        n, m = int(rng.integers(1, 7)), int(rng.integers(1, 9))
        yield from (random_system(rng, n, m, kind) for kind in kinds)
        yield random_time_varying_system(rng, n, m, horizon)


def _relative(value: float, reference: float) -> float:
    return abs(value - reference) / reference if reference else abs(value)


def _product_hessian(system: AnySystem, horizon: int) -> NDArray[np.float64]:
    """Return H_S with C_T formed by float64 products, as a reader would write it."""
    A, B = system.matrices(horizon)
    blocks: list[NDArray[np.float64]] = []
    for a, b in zip(A, B, strict=True):
        blocks = [a @ block for block in blocks] + [b]
    C = np.hstack(blocks)
    return np.asarray(2.0 * C.T @ C)


def _shooting_accuracy(sizes: Sizes) -> Iterator[Row]:
    horizons = sizes.shooting_dense
    normal = tuple(kind for kind in KINDS if kind != "non_normal")

    def worst(dense: Callable[[AnySystem, int], NDArray[np.float64]], kinds: tuple[Kind, ...]) -> float:
        return max(
            _relative(shooting.lipschitz(system, T), float(np.linalg.eigvalsh(dense(system, T))[-1]))
            for T in horizons
            for system in _drawn(sizes.systems, T, kinds)
        )

    title = f"shooting.lipschitz, relative error, T <= {max(horizons)}"
    yield Row(f"{title}: dense H_S from exact C_T", worst(shooting.hessian, KINDS), "", 1e-10)
    yield Row(
        f"{title}: dense H_S from float64 products, not non-normal",
        worst(_product_hessian, normal),
        "",
        1e-10,
    )
    non_normal = max(
        _relative(float(np.linalg.eigvalsh(_product_hessian(system, T))[-1]), shooting.lipschitz(system, T))
        for T in horizons
        for system in _drawn(sizes.systems, T, ("non_normal",))
    )
    yield Row("  (error of the float64 products themselves where A is non-normal)", non_normal)
    exact = 0.0
    for system in _drawn(sizes.systems, 20):
        if np.any(system.B):
            lower, upper = certificates.spectral_bounds(certificates.gramian(system, 20))
            exact = max(exact, _relative(shooting.lipschitz(system, 20), float(lower + upper)))
    yield Row("shooting.lipschitz, relative error, T = 20: exact rational Gramian", exact, "", 1e-10)


def _dense_gram(system: AnySystem, horizon: int) -> NDArray[np.float64]:
    M = lifted.residual_matrix(system, horizon)
    return np.asarray((M @ M.T).toarray())


def _largest(matrix: NDArray[np.float64]) -> float:
    last = len(matrix) - 1
    return float(eigvalsh(matrix, subset_by_index=(last, last))[0])


def _lifted_accuracy(sizes: Sizes) -> Iterator[Row]:
    horizons = sizes.lifted_dense
    worst = max(
        _relative(lifted.lipschitz(system, T), 2.0 * _largest(_dense_gram(system, T)))
        for T in horizons
        for system in _drawn(1, T)
    )
    yield Row(f"lifted.lipschitz, relative error, T <= {max(horizons)}: dense MMᵀ", worst, "", 1e-8)


def _worst_frequency(system: LinearSystem) -> float:
    """Return 2 max λmax(Φ(ω)) by a fine grid and a local search around its best points."""

    def top(omega: float) -> float:
        factor = np.exp(1j * omega) * np.eye(system.state_dim) - system.A
        return float(np.linalg.eigvalsh(factor @ factor.conj().T + system.B @ system.B.T)[-1])

    grid = np.linspace(0.0, np.pi, 2001)
    values = np.array([top(omega) for omega in grid])
    best = float(values.max())
    for k in np.argsort(values)[-5:]:
        around = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
        best = max(
            best, -float(minimize_scalar(lambda omega: -top(omega), bounds=around, method="bounded").fun)
        )
    return 2.0 * best


def _limit_accuracy(sizes: Sizes) -> Iterator[Row]:
    drawn = [s for s in _drawn(sizes.systems, 1) if isinstance(s, LinearSystem)]
    limits = [lifted.lipschitz_limit(system) for system in drawn]
    worst = max(
        _relative(limit, _worst_frequency(system)) for system, limit in zip(drawn, limits, strict=True)
    )
    yield Row("lifted.lipschitz_limit, relative error: fine grid with local searches", worst, "", 1e-8)
    excess = max(
        lifted.lipschitz(system, T) / limit - 1.0
        for system, limit in zip(drawn, limits, strict=True)
        for T in (1, 2, 10, 100, 1000)
    )
    yield Row("L_L(T) / limit − 1, largest, T = 1 to 1000", excess, "", 0.0)


def _dense_condition(matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Return κ on the row space by singular values, and the relative error that float64 leaves in it."""
    s = np.linalg.svd(matrix, compute_uv=False)
    s = s[s > rounding_allowance(float(s[0]), max(matrix.shape))]
    if len(s) == 0:
        return np.inf, np.inf
    return float(s[0] / s[-1]) ** 2, 2.0 * rounding_allowance(1.0, max(matrix.shape), float(s[0] / s[-1]))


def _condition_accuracy(sizes: Sizes) -> Iterator[Row]:
    for name, matrix, function in (
        ("shooting", shooting.controllability_matrix, shooting.condition_number),
        ("lifted", lambda s, T: lifted.residual_matrix(s, T).toarray(), lifted.condition_number),
    ):
        worst, compared, drawn = 0.0, 0, 0
        for T in (1, 3, 10, 30):
            for system in _drawn(sizes.systems, T):
                reference, error = _dense_condition(matrix(system, T))
                drawn += 1
                if error < 1e-8:
                    compared += 1
                    worst = max(worst, _relative(function(system, T), reference))
        title = f"{name}.condition_number, relative error, T <= 30: dense singular values"
        yield Row(f"{title} ({compared} of {drawn} where they have 8 digits)", worst, "", 2e-8)


# Speed and memory


def _stable() -> LinearSystem:
    return random_system(np.random.default_rng(0), STATES, ACTIONS, "stable")


def _constant(system: LinearSystem, length: int) -> TimeVaryingLinearSystem:
    return TimeVaryingLinearSystem(
        np.broadcast_to(system.A, (length, *system.A.shape)),
        np.broadcast_to(system.B, (length, *system.B.shape)),
    )


def _timed_lipschitz(horizon: int, varying: bool) -> float:
    """Return the seconds that lifted.lipschitz takes; runs in its own process."""
    system: AnySystem = _constant(_stable(), horizon) if varying else _stable()
    lifted.lipschitz(system, 10)  # load what is loaded once
    start = time.perf_counter()
    lifted.lipschitz(system, horizon)
    return time.perf_counter() - start


def _long_lifted_horizon(sizes: Sizes) -> Iterator[Row]:
    T = sizes.lifted_long
    for name, varying in (("", False), (" time-varying", True)):
        taken, peak = in_fresh_process(_timed_lipschitz, T, varying)
        yield Row(f"lifted.lipschitz{name}, T = {T:,}", taken, "s", 30.0)
        yield Row(
            f"lifted.lipschitz{name}, T = {T:,}, peak memory of its process", peak / GIGABYTE, "GB", 1.0
        )


def _shooting_speed(sizes: Sizes) -> Iterator[Row]:
    systems = [random_system(np.random.default_rng(1), STATES, ACTIONS, kind) for kind in KINDS]
    stable = _stable()
    yield Row(
        "shooting.lipschitz, T = 1,000,000", seconds(lambda: shooting.lipschitz(stable, 10**6)), "s", 0.1
    )
    for T, required in ((10**6, 0.1), (10**9, None)):
        worst = max(seconds(lambda s=s, T=T: shooting.log_lipschitz(s, T)) for s in systems)  # type: ignore[misc]
        yield Row(f"shooting.log_lipschitz, T = {T:,}, slowest kind", worst, "s", required)
    exponent = growth_exponent(lambda T: shooting.lipschitz(stable, T), [10**k for k in range(3, 10)])
    yield Row("shooting.lipschitz, growth exponent over T, T = 1e3 to 1e9", exponent, "", 0.2)
    varying = random_time_varying_system(np.random.default_rng(2), STATES, ACTIONS, max(sizes.varying_growth))
    exponent = growth_exponent(lambda T: shooting.log_lipschitz(varying, T), sizes.varying_growth)
    title = f"shooting.log_lipschitz time-varying, growth exponent, {_span(sizes.varying_growth)}"
    yield Row(title, exponent, "", LINEAR_GROWTH)


def _lifted_speed(sizes: Sizes) -> Iterator[Row]:
    stable, horizons = _stable(), sizes.lifted_growth
    exponent = growth_exponent(lambda T: lifted.lipschitz(stable, T), horizons)
    yield Row(f"lifted.lipschitz, growth exponent over T, {_span(horizons)}", exponent, "", LINEAR_GROWTH)
    varying = random_time_varying_system(np.random.default_rng(3), STATES, ACTIONS, max(sizes.varying_growth))
    exponent = growth_exponent(lambda T: lifted.lipschitz(varying, T), sizes.varying_growth)
    title = f"lifted.lipschitz time-varying, growth exponent, {_span(sizes.varying_growth)}"
    yield Row(title, exponent, "", LINEAR_GROWTH)
    yield Row("lifted.lipschitz_limit", seconds(lambda: lifted.lipschitz_limit(stable)), "s")


def _condition_speed(sizes: Sizes) -> Iterator[Row]:
    T = sizes.condition
    systems: dict[str, AnySystem] = {
        "slowest kind": _stable(),
        "time-varying": random_time_varying_system(np.random.default_rng(4), STATES, ACTIONS, T),
        "time-varying, κ > 1e10": _constant(
            random_system(np.random.default_rng(5), STATES, ACTIONS, "non_normal"), T
        ),
    }
    kinds = [random_system(np.random.default_rng(1), STATES, ACTIONS, kind) for kind in KINDS]
    for name, function in (
        ("shooting.log_", shooting.log_condition_number),
        ("lifted.", lifted.condition_number),
    ):
        for title, system in systems.items():
            tried = kinds if title == "slowest kind" else [system]
            worst = max(seconds(lambda s=s, f=function: f(s, T)) for s in tried)  # type: ignore[misc]
            yield Row(f"{name}condition_number, T = {T:,}, {title}", worst, "s")


def _against_dense(sizes: Sizes) -> Iterator[Row]:
    stable = _stable()
    T = max(sizes.shooting_dense)
    dense = seconds(lambda: np.linalg.eigvalsh(_product_hessian(stable, T)))
    yield Row(
        f"dense LAPACK time / shooting.lipschitz time, T = {T}",
        dense / seconds(lambda: shooting.lipschitz(stable, T)),
    )
    T = max(sizes.lifted_dense)
    dense = seconds(lambda: _largest(_dense_gram(stable, T)))
    yield Row(
        f"dense LAPACK time / lifted.lipschitz time, T = {T}",
        dense / seconds(lambda: lifted.lipschitz(stable, T)),
    )
    dense = seconds(lambda: np.linalg.eigvalsh(_dense_gram(stable, T)))
    yield Row(
        f"dense LAPACK time / lifted.condition_number time, T = {T}",
        dense / seconds(lambda: lifted.condition_number(stable, T)),
    )


def _span(horizons: tuple[int, ...]) -> str:
    return f"T = {min(horizons):,} to {max(horizons):,}"


MEASUREMENTS: tuple[Callable[[Sizes], Iterator[Row]], ...] = (
    _long_lifted_horizon,  # first: see in_fresh_process
    _shooting_accuracy,
    _lifted_accuracy,
    _limit_accuracy,
    _condition_accuracy,
    _shooting_speed,
    _lifted_speed,
    _condition_speed,
    _against_dense,
)
