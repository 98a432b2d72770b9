"""Figures as a person reads them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_checks.report.numerals import in_prose, raised, readable

POWER = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "1/3"),
        (-2 / 3, "−2/3"),
        (1 - 1 / 7, "6/7"),
        (1 / 13, "0.07692"),
        (55 / 3, "18.33"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (0.1 + 0.2, "0.3"),
        (1.0200000000000002, "1.02"),
        (0.9999999983820143, "1.000"),
        (0.123456, "0.1235"),
        (9999.96, "10,000"),
        (123456.7, "123,457"),
        (757214880.01, "7.572 · 10⁸"),
        (1e-9, "10⁻⁹"),
        (-1e-9, "−10⁻⁹"),
        (-2.5e12, "−2.5 · 10¹²"),
        (5e-324, "4.941 · 10⁻³²⁴"),
        (7, "7"),
        (75264, "75,264"),
        (10**30, "10³⁰"),
        (True, "yes"),
        (float("nan"), "nan"),
        (float("-inf"), "−inf"),
        ("inf", "inf"),
        (np.float64(0.25), "0.25"),
    ],
)
def test_numbers_are_written_for_reading(value: float | int | str, text: str) -> None:
    assert readable(value) == text


def test_fewer_digits() -> None:
    assert [readable(value, 3) for value in (0.99951, 0.2, 12345.0)] == ["1.00", "0.2", "12,345"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_the_number_to_four_digits(value: float) -> None:
    text = readable(value).replace("−", "-").replace(",", "")
    over, _, under = text.partition("/")
    mantissa, _, power = over.rpartition("10") if set(over) & set("⁻⁰¹²³⁴⁵⁶⁷⁸⁹") else (over, "", "")
    sign = {"": 1.0, "-": -1.0}
    head = mantissa.removesuffix(" · ")
    number = sign[head] if head in sign else float(head)
    read = number / float(under or 1) * np.longdouble(10) ** int(power.translate(POWER) or 0)
    assert abs(read - np.longdouble(value)) <= 5.001e-4 * abs(np.longdouble(value))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("η = (0.3333333333333333, 0.1): ρ", "η = (1/3, 0.1): ρ"),
        ("det = -3.61e-07 at 1e+06", "det = −3.61 · 10⁻⁷ at 10⁶"),
        ("between 0.999975 and 1.000000", "between 0.999975 and 1.000000"),
        ("version 3.13.2e, x1e5, 10^9 and 2026-11-29", "version 3.13.2e, x1e5, 10^9 and 2026-11-29"),
        ("error -1.4210854715202004e-14.", "error −1.421 · 10⁻¹⁴."),
        ("T = 1 to 80", "T = 1 to 80"),
        ("weights (01e54513) and 1e16", "weights (01e54513) and 1e16"),
    ],
)
def test_only_raw_floats_and_exponents_change_in_a_text(text: str, read: str) -> None:
    assert in_prose(text) == read


def test_an_exponent_is_raised() -> None:
    assert raised(-320) == "⁻³²⁰"
