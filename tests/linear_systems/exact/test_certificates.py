"""Certificates prove what is true, refuse what is false by one part in 10^12, and agree with other routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from flint import fmpq, fmpq_mat, fmpz, fmpz_mat
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import hadamard, hilbert
from scipy.sparse import csr_array
from system_strategies import random_system, systems, time_varying_systems

from linear_systems import certificates as cert
from linear_systems.errors import (
    DTypeError,
    EmptySystemError,
    HorizonError,
    NonFiniteError,
    NotSymmetricError,
    ParameterError,
    ShapeError,
)
from linear_systems.exact import definiteness as definite
from linear_systems.rounding import rounding_allowance
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

PART = Fraction(1, 10**12)
"""The relative shift of a bound that must change the answer."""
DIGITS = 60
"""Decimal digits of the reference eigenvalues, far beyond PART."""


def reference(H: fmpq_mat) -> Fraction:
    """Return λmax(H) to DIGITS digits by mpmath (implicit QR), which shares no code with ours."""
    with mpmath.workdps(DIGITS):
        rows = [[mpmath.mpf(int(x.numerator)) / int(x.denominator) for x in row] for row in H.tolist()]
        largest = max(mpmath.eigsy(mpmath.matrix(rows), eigvals_only=True))
        mantissa, exponent = int(largest.man), int(largest.exp)
        return (-1 if largest < 0 else 1) * Fraction(mantissa) * Fraction(2) ** exponent


def proves_at_most(H: cert.Matrix, c: object) -> bool:
    try:
        certificate = cert.prove_at_most(H, c)
    except cert.DisprovedError:
        return False
    assert certificate.verify()
    assert certificate.relation == "<="
    return True


def proves_at_least(H: cert.Matrix, c: object) -> bool:
    try:
        certificate = cert.prove_at_least(H, c)
    except cert.DisprovedError:
        return False
    assert certificate.verify()
    assert certificate.relation == ">="
    return True


def clustered(spacing: float) -> fmpq_mat:
    """Return an exact Q D Qᵀ, Q a Hadamard matrix / 4, whose five largest eigenvalues lie `spacing` apart."""
    Q = cert.exact_matrix(hadamard(16) / 4.0)
    D = cert.exact_matrix(np.diag([1.0 - spacing * i if i < 5 else 0.5 / i for i in range(16)]))
    return Q * D * Q.transpose()


def wilkinson() -> NDArray[np.float64]:
    """Return Wilkinson's W21+, whose two largest eigenvalues agree to about 14 digits."""
    return np.diag(np.abs(np.arange(-10.0, 11.0))) + np.eye(21, k=1) + np.eye(21, k=-1)


def lifted_rows(A: NDArray[np.float64], B: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Return [I − shift ⊗ A, −I ⊗ B]: rows s_{t+1} − A s_t − B a_t with free states s_1..s_T."""
    n, eye = A.shape[0], np.eye(horizon)
    return np.hstack([np.eye(n * horizon) - np.kron(np.eye(horizon, k=-1), A), -np.kron(eye, B)])


def structured() -> dict[str, cert.Matrix]:
    rng = np.random.default_rng(0)
    grcar = np.eye(12) - np.eye(12, k=-1) + sum(np.eye(12, k=k) for k in (1, 2, 3))
    integrator = lifted_rows(np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[0.0], [0.1]]), 8)
    return {
        "hilbert": hilbert(12),
        "wilkinson": wilkinson(),
        "clustered within 1e-14": clustered(1e-14),
        "clustered within 1e-6": clustered(1e-6),
        "low rank": cert.gram(rng.standard_normal((3, 10))),
        "grcar": cert.gram(grcar),
        "lifted double integrator": cert.gram(integrator.T),
        "huge": 1e150 * hilbert(6),
        "tiny": 1e-300 * hilbert(6),
        "graded": cert.gram(np.diag(np.geomspace(1.0, 1e-120, 8)) + np.eye(8, k=1)),
        "negative definite": -hilbert(6),
        "indefinite without a diagonal": np.eye(6, k=1) + np.eye(6, k=-1),
        "scalar": [[0.1]],
    }


@pytest.mark.parametrize("name", structured())
def test_a_bound_moved_by_one_part_in_1e12_changes_the_answer(name: str) -> None:
    H = cert.exact_matrix(structured()[name])
    largest = reference(H)
    shift = PART * abs(largest)
    assert proves_at_most(H, largest + shift)
    assert not proves_at_most(H, largest - shift)
    assert proves_at_least(H, largest - shift)
    assert not proves_at_least(H, largest + shift)


@given(seed=st.integers(0, 2**32 - 1), order=st.integers(1, 9), rank=st.integers(1, 12))
def test_random_gram_matrices_on_both_sides(seed: int, order: int, rank: int) -> None:
    H = cert.gram(np.random.default_rng(seed).standard_normal((rank, order)))
    largest = reference(H)
    assert proves_at_most(H, largest * (1 + PART))
    assert not proves_at_most(H, largest * (1 - PART))
    assert proves_at_least(H, largest * (1 - PART))
    assert not proves_at_least(H, largest * (1 + PART))


SMALL_INTEGERS = st.integers(-3, 3)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(SMALL_INTEGERS, min_size=n * n, max_size=n * n)),
    st.integers(-9, 9),
)
def test_small_integer_matrices_against_counting_roots(entries: list[int], c: int) -> None:
    """Ties, zeros and degenerate blocks abound here; the reference counts the roots of the characteristic
    polynomial above c by Sturm's theorem (sympy)."""
    from sympy import Poly, symbols

    n = int(np.sqrt(len(entries)))
    M = fmpz_mat(n, n, entries)
    H = M + M.transpose()
    x = symbols("x")
    coefficients = [int(a) for a in reversed(H.charpoly().coeffs())]
    polynomial = Poly(coefficients, x)
    at_c = polynomial.eval(c) == 0
    above = polynomial.count_roots(c, None) - at_c
    assert proves_at_most(H, c) == (above == 0)
    assert proves_at_least(H, c) == (above > 0 or at_c)


@pytest.mark.parametrize("order", [1, 2, 8, 16])
def test_the_exact_largest_eigenvalue_is_proved_from_both_sides_and_nothing_beyond(order: int) -> None:
    rng = np.random.default_rng(order)
    diagonal = rng.integers(-5, 6, size=order).astype(np.float64)
    Q = hadamard(order).astype(np.float64)
    for H, largest in (
        (np.diag(diagonal), diagonal.max()),
        (np.full((order, order), 3.0), 3.0 * order),
        (7.0 * np.eye(order), 7.0),
        # Q diag Qᵀ is integer-valued, so float64 holds it exactly; QQᵀ = order · I.
        (Q @ np.diag(diagonal) @ Q.T, order * diagonal.max()),
    ):
        c = Fraction(largest)
        assert proves_at_most(H, c)
        assert proves_at_least(H, c)
        assert not proves_at_most(H, c - Fraction(1, 10**40))
        assert not proves_at_least(H, c + Fraction(1, 10**40))
        assert not proves_at_most(H, c - abs(c) * PART - PART)


def test_a_singular_gap_needs_integers_and_says_so() -> None:
    H = cert.gram(np.random.default_rng(1).standard_normal((4, 9)))
    upper = cert.prove_at_most(-H, 0)
    assert upper.method == "LDLᵀ in integers"
    assert len(upper.pivots) == 4
    lower = cert.prove_at_least(-H, 0)
    assert lower.vector is not None
    assert not H * lower.vector


@pytest.mark.parametrize(
    ("c", "exact"),
    [
        (0.1, Fraction(3602879701896397, 2**55)),
        (np.float32(0.1), Fraction(13421773, 2**27)),
        (5, Fraction(5)),
        (np.int64(2), Fraction(2)),
        (Fraction(1, 3), Fraction(1, 3)),
        (fmpq(7, 3), Fraction(7, 3)),
        (fmpz(-4), Fraction(-4)),
    ],
)
def test_the_bound_is_taken_at_its_exact_value(c: object, exact: Fraction) -> None:
    H = fmpq_mat(1, 1, [fmpq(exact.numerator, exact.denominator)])
    assert cert.prove_at_most(H, c).bound == exact
    assert cert.prove_at_least(H, c).bound == exact
    assert not proves_at_most(H, exact - Fraction(1, 10**30))


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_balls_too_coarse_to_tell_fall_back_on_integers(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    H = cert.gram(np.random.default_rng(2).standard_normal((6, 6)))
    c = reference(H) * (1 + shift * PART)
    expected = definite.definiteness(gap(H, c))
    monkeypatch.setattr(definite, "BALL_BITS", 4)
    monkeypatch.setattr(definite, "BALL_BITS_PER_PIVOT", 0)
    found = definite.definiteness(gap(H, c))
    assert expected.method.startswith("LDLᵀ in balls")
    assert found.method == "LDLᵀ in integers"
    assert found.sign == expected.sign
    assert all(
        ball <= exact for ball, exact in zip(sorted(expected.pivots), sorted(found.pivots), strict=True)
    )


def gap(H: fmpq_mat, c: Fraction) -> fmpq_mat:
    """Return cI − H, built apart from the module."""
    identity = fmpq_mat(fmpz_mat(np.eye(H.nrows(), dtype=int).tolist()))
    return identity * fmpq(c.numerator, c.denominator) - H


@pytest.mark.parametrize(
    ("rows", "sign"),
    [
        ([[0, 1], [1, 0]], -1),
        ([[0, -1], [-1, 0]], -1),
        # Eliminating the first row leaves a zero diagonal with an entry beside it.
        ([[1, 1, 1], [1, 1, 2], [1, 2, 1]], -1),
        ([[1, 1, 1], [1, 1, 0], [1, 0, 1]], -1),
        ([[0, 0], [0, 0]], 0),
        ([[1, 1], [1, 1]], 0),
        ([[0, 0], [0, 5]], 0),
        ([[2, 1], [1, 2]], 1),
    ],
)
@pytest.mark.parametrize("in_integers", [False, True])
def test_definiteness_and_its_direction(
    rows: list[list[int]], sign: int, in_integers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_integers:
        monkeypatch.setattr(definite, "_IN_BALLS", definite._IN_INTEGERS)
        monkeypatch.setattr(definite, "arb", fmpz)
    S = fmpq_mat(rows) / 3
    found = definite.definiteness(S)
    assert found.sign == sign
    if sign <= 0:
        v = definite.nonpositive_direction(S, found)
        value = (v.transpose() * S * v)[0, 0]
        assert v
        assert (value < 0) if sign < 0 else not S * v


def test_pivots_multiply_to_the_determinant_of_the_gap() -> None:
    H = cert.gram(np.random.default_rng(3).standard_normal((5, 5)))
    certificate = cert.prove_at_most(H, 100)
    determinant = gap(H, Fraction(100)).det()
    product = Fraction(1)
    for pivot in certificate.pivots:
        product *= pivot
    exact = Fraction(int(determinant.numerator), int(determinant.denominator))
    assert product <= exact <= product * (1 + PART)


# Vectors


def test_a_given_vector_proves_no_more_than_it_does() -> None:
    H = np.diag([3.0, 1.0])
    certificate = cert.prove_at_least(H, 2, vector=[1.0, 1.0])
    assert certificate.verify()
    assert certificate.method == "given vector"
    with pytest.raises(cert.UndecidedError, match="proves nothing") as undecided:
        cert.prove_at_least(H, Fraction(2) + Fraction(1, 10**30), vector=[1.0, 1.0])
    assert not isinstance(undecided.value, cert.DisprovedError)


def test_a_vector_of_fractions_or_of_a_certificate_is_accepted() -> None:
    H = np.array([[Fraction(1, 3), Fraction(0)], [Fraction(0), Fraction(0)]], dtype=object)
    vector = np.array([Fraction(1, 7), Fraction(0)], dtype=object)
    certificate = cert.prove_at_least(H, Fraction(1, 3), vector=vector)
    assert cert.prove_at_least(H, Fraction(1, 3), vector=certificate.vector).verify()


@pytest.mark.parametrize(
    ("vector", "error"),
    [
        ([0.0, 0.0], ParameterError),
        ([1.0, 0.0, 0.0], ShapeError),
        ([[1.0], [0.0]], ShapeError),
        ([1, 0], DTypeError),
        ([np.nan, 0.0], NonFiniteError),
        (fmpq_mat(2, 2, [1, 0, 0, 1]), ShapeError),
    ],
)
def test_a_bad_vector_has_its_own_error(vector: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="vector"):
        cert.prove_at_least(np.eye(2), 0, vector=vector)


# Certificates


def test_a_tampered_certificate_does_not_verify() -> None:
    H = cert.gram(np.random.default_rng(4).standard_normal((6, 6)))
    largest = reference(H)
    upper, lower = cert.prove_at_most(H, largest * (1 + PART)), cert.prove_at_least(H, largest * (1 - PART))
    assert not replace(upper, bound=largest * (1 - PART)).verify()
    assert not replace(lower, bound=largest * (1 + PART)).verify()
    assert not replace(lower, vector=None).verify()
    assert not replace(lower, vector=fmpq_mat(6, 1)).verify()
    assert not replace(lower, vector=fmpq_mat(6, 1, [1, 0, 0, 0, 0, 0])).verify()
    skewed = fmpq_mat(H)
    skewed[0, 1] += 1
    assert not replace(upper, matrix=skewed).verify()
    assert not replace(lower, matrix=skewed).verify()


def test_a_certificate_owns_its_matrix() -> None:
    H = fmpq_mat(2, 2, [1, 0, 0, 1])
    certificate = cert.prove_at_most(H, 1)
    H[0, 0] = 5
    assert certificate.verify()
    assert certificate.size == 2


def test_the_statement_names_the_bound_exactly_or_says_that_it_is_rounded() -> None:
    assert cert.prove_at_most(np.eye(3), Fraction(4, 3)).statement == (
        "λmax(H) <= 4/3 for a rational symmetric H of order 3"
    )
    assert "(rounded)" in cert.prove_at_most(np.eye(3), 1 + Fraction(1, 3**5000)).statement
    # 2^k has k + 1 bits above the line and one below; 128 are printed.
    assert str(2**126) in cert.prove_at_most(np.eye(3), 2**126).statement
    assert "(rounded)" in cert.prove_at_most(np.eye(3), 2**127).statement


# Enclosures


@given(seed=st.integers(0, 2**32 - 1), digits=st.integers(3, 40))
def test_spectral_bounds_enclose_the_truth_as_tightly_as_asked(seed: int, digits: int) -> None:
    M = np.random.default_rng(seed).standard_normal((4, 5))
    H = cert.exact_matrix(M @ M.T - 3.0 * np.eye(4) if seed % 2 else -(M @ M.T))
    lower, upper = cert.spectral_bounds(H, Fraction(1, 10**digits))
    largest_entry = max(abs(Fraction(int(x.numerator), int(x.denominator))) for x in H.entries())
    assert lower <= reference(H) <= upper
    assert upper - lower <= largest_entry * Fraction(1, 10**digits)
    assert proves_at_least(H, lower)
    assert proves_at_most(H, upper)


@pytest.mark.parametrize("name", structured())
def test_spectral_bounds_of_structured_matrices(name: str) -> None:
    H = cert.exact_matrix(structured()[name])
    lower, upper = cert.spectral_bounds(H)
    assert lower <= reference(H) + PART * PART * abs(lower)
    assert reference(H) <= upper + PART * PART * abs(upper)
    assert proves_at_least(H, lower)
    assert proves_at_most(H, upper)


def test_spectral_bounds_recover_from_a_useless_float_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    H = np.diag([1.0, 2.0, 1000.0])
    monkeypatch.setattr(cert, "_leading_eigenvector", lambda _: fmpq_mat(3, 1, [1, 0, 0]))
    lower, upper = cert.spectral_bounds(H, 1e-12)
    assert lower <= 1000 <= upper
    assert cert.prove_at_least(H, 1000).verify()


def test_spectral_bounds_of_zero() -> None:
    assert cert.spectral_bounds(np.zeros((3, 3))) == (0, 0)


@given(systems())
def test_norm_squared_bounds_agree_with_the_singular_value(system: LinearSystem) -> None:
    for matrix in (system.A, system.B):
        lower, upper = cert.norm_squared_bounds(matrix)
        assert upper - lower <= Fraction(1e-15) * upper
        norm = float(np.linalg.norm(matrix, 2))
        # LAPACK's largest singular value is backward stable: its relative error is a few eps times the size.
        assert abs(norm**2 - float(upper)) <= rounding_allowance(float(upper), sum(matrix.shape))


# Exact matrices


def fractions(M: NDArray[np.float64]) -> NDArray[np.object_]:
    return np.vectorize(Fraction, otypes=[object])(M)


def as_fractions(M: fmpq_mat) -> list[list[Fraction]]:
    return [[Fraction(int(x.numerator), int(x.denominator)) for x in row] for row in M.tolist()]


def test_gram_is_exact() -> None:
    M = np.random.default_rng(5).standard_normal((3, 4)) * np.geomspace(1e-9, 1e9, 4)
    expected = fractions(M).T.dot(fractions(M)) * 2
    assert as_fractions(cert.gram(M)) == expected.tolist()
    assert cert.gram(csr_array(M)) == cert.gram(M)
    assert cert.gram(fractions(M)) == cert.gram(M)
    assert cert.gram(cert.exact_matrix(M), scale=Fraction(1, 2)) * 4 == cert.gram(M)


def test_a_rounded_gram_matrix_would_be_judged_otherwise() -> None:
    """Why `gram` exists: rounding 2MᵀM moves λmax by more than a certificate lets pass."""
    M = np.random.default_rng(6).standard_normal((8, 8))
    exact, rounded = cert.gram(M), cert.exact_matrix(np.tril(2.0 * M.T @ M) + np.tril(2.0 * M.T @ M, -1).T)
    lower, upper = cert.spectral_bounds(exact, Fraction(1, 10**25))
    assert not (proves_at_least(rounded, lower) and proves_at_most(rounded, upper))


@given(systems(max_n=4, max_m=3), st.integers(1, 6))
def test_gramian_is_the_exact_product_of_the_controllability_matrix(
    system: LinearSystem, horizon: int
) -> None:
    A, B = system.matrices(horizon)
    assert as_fractions(cert.gramian(system, horizon)) == exact_gramian(A, B)


@given(time_varying_systems(max_n=3, max_m=3, max_length=5))
def test_gramian_of_time_varying_systems(system: TimeVaryingLinearSystem) -> None:
    assert as_fractions(cert.gramian(system, len(system.A))) == exact_gramian(system.A, system.B)


def exact_gramian(A: NDArray[np.float64], B: NDArray[np.float64]) -> list[list[Fraction]]:
    """Return C_T C_Tᵀ with C_T = [A_{T-1}…A_1 B_0, ..., B_{T-1}] multiplied out in Fractions."""
    blocks = []
    for t in range(len(A)):
        block = fractions(B[t])
        for later in A[t + 1 :]:
            block = fractions(later).dot(block)
        blocks.append(block)
    C = np.hstack(blocks)
    return C.dot(C.T).tolist()


def test_gramian_checks_its_horizon() -> None:
    with pytest.raises(HorizonError):
        cert.gramian(random_system(np.random.default_rng(0), 2, 1, "stable"), 0)


@pytest.mark.parametrize(
    ("H", "error"),
    [
        (np.array([[1.0, 2.0], [2.0 + 1e-15, 1.0]]), NotSymmetricError),
        (np.ones((2, 3)), ShapeError),
        (np.ones(3), ShapeError),
        (np.zeros((0, 0)), EmptySystemError),
        (np.ones((2, 2), dtype=np.int64), DTypeError),
        (np.ones((2, 2), dtype=np.complex128), DTypeError),
        (np.array([["a"]], dtype=object), DTypeError),
        (np.array([[np.inf]], dtype=object), NonFiniteError),
        (np.array([Fraction(1)], dtype=object), ShapeError),
        ([[1.0, 2.0], [3.0]], ShapeError),
        (np.array([[np.nan]]), NonFiniteError),
    ],
)
@pytest.mark.parametrize(
    "prove", [cert.prove_at_most, cert.prove_at_least, lambda H, _: cert.spectral_bounds(H)]
)
def test_a_bad_matrix_has_its_own_error(H: Any, error: type[Exception], prove: Callable[..., object]) -> None:
    with pytest.raises(error, match="H"):
        prove(H, 1)


@pytest.mark.parametrize(
    ("c", "error"),
    [
        (np.nan, NonFiniteError),
        (np.inf, NonFiniteError),
        ("1", ParameterError),
        (True, ParameterError),
        (1j, ParameterError),
    ],
)
def test_a_bad_bound_has_its_own_error(c: object, error: type[Exception]) -> None:
    for prove in (cert.prove_at_most, cert.prove_at_least):
        with pytest.raises(error, match="c: expected"):
            prove(np.eye(2), c)
    with pytest.raises(error, match="relative"):
        cert.spectral_bounds(np.eye(2), c)


@pytest.mark.parametrize("relative", [0, -1e-3])
def test_a_width_must_be_positive(relative: float) -> None:
    with pytest.raises(ParameterError, match="relative"):
        cert.norm_squared_bounds(np.eye(2), relative)


# Size


@pytest.mark.parametrize("kind", ["stable", "unstable", "non_normal"])
def test_lifted_hessians_of_order_60_are_decided(kind: str) -> None:
    system = random_system(np.random.default_rng(7), 6, 2, kind)
    H = cert.gram(lifted_rows(system.A, system.B, 10).T)
    assert H.nrows() == 60
    lower, upper = cert.spectral_bounds(H)
    assert proves_at_most(H, upper)
    assert not proves_at_most(H, lower * (1 - PART))
    assert proves_at_least(H, lower)
    assert not proves_at_least(H, upper * (1 + PART))
    assert proves_at_most(-H, 0)


@given(st.fractions(min_value=Fraction(1, 10**30), max_value=10**30))
def test_the_grid_is_no_coarser_than_asked_for_and_four_times_finer_at_most(x: Fraction) -> None:
    power = cert._power_of_two_at_most(x)
    assert x / 4 < power <= x
    assert {power.numerator.bit_count(), power.denominator.bit_count()} == {1}
