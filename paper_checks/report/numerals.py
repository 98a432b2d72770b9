"""Figures as a person reads them: 1/3 and not 0.3333333333333333, 10⁻⁹ and not 1e-09."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

DIGITS = 4
"""Significant digits of a measured figure."""
LARGEST_PART = 12
"""Largest numerator and denominator of a fraction that is written as one."""
NOISE = 1e-12
"""How far, relatively, a float may be from what is written for it and still count as that very number."""
WHOLE_BELOW = 10**6
"""Below this, whole numbers are written out, in groups of three digits."""
RAW_DIGITS = 10
"""From this many digits on, a number in a text is taken for a float that was printed as it is."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NUMERAL = re.compile(r"(?<![\w.])([-−]?)(\d+(?:\.\d+)?)(?:[eE]([-+]\d+))?(?!\w|\.\d)")


def readable(value: float | int | str | bool, digits: int = DIGITS) -> str:
    """Return a measured figure for reading; a text stays as it is.

    Zeros at the end say that a figure was rounded: 1.000 is nearly 1, and 1 is 1.

    Arguments
        value: the figure.
        digits: how many significant digits a float gets.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) < 10**9:
        return _signed(f"{value:,}")
    if isinstance(value, float) and not math.isfinite(value):
        return _signed(str(value))
    if fraction := _fraction(value, digits):
        return fraction
    number = Decimal(value)
    rounded = Decimal(f"{number:.{digits - 1}e}")
    power = rounded.adjusted()
    if digits <= power and abs(number) < WHOLE_BELOW:
        return _signed(f"{number:,.0f}")
    if abs(rounded - number) <= Decimal(NOISE) * abs(number):
        rounded = rounded.normalize()
    if value == 0 or -5 < power < digits:
        return _signed(f"{abs(rounded) if value == 0 else rounded:f}")
    return _scaled(f"{rounded.scaleb(-power):f}", power)


def in_prose(text: str) -> str:
    """Return a text with its floats that were printed as they are rounded, and its exponents as powers of ten."""
    return NUMERAL.sub(_rewritten, text)


def raised(exponent: int) -> str:
    """Return an integer in superscript digits."""
    return str(exponent).translate(SUPERSCRIPTS)


def _rewritten(match: re.Match[str]) -> str:
    sign, digits, exponent = match.groups()
    if len(digits.replace(".", "").lstrip("0")) >= RAW_DIGITS and "." in digits:
        return _signed(sign) + readable(float(f"{digits}e{exponent or 0}"))
    return match[0] if exponent is None else _scaled(sign + digits, int(exponent))


def _fraction(value: float, digits: int) -> str:
    """Return a fraction of small numbers that is no short decimal, or an empty text."""
    near = Fraction(value).limit_denominator(LARGEST_PART)
    parts = abs(near.numerator), near.denominator
    if not 0 < parts[0] <= LARGEST_PART or abs(near - Fraction(value)) > NOISE * abs(value):
        return ""
    short = Fraction(f"{value:.{digits}g}")
    return "" if short == near else _signed(f"{near.numerator}/{near.denominator}")


def _scaled(mantissa: str, power: int) -> str:
    """Return mantissa · 10^power, without a mantissa of one."""
    sign, size = ("−", mantissa[1:]) if mantissa[0] in "-−" else ("", mantissa)
    return f"{sign}10{raised(power)}" if size == "1" else f"{sign}{size} · 10{raised(power)}"


def _signed(text: str) -> str:
    return text.replace("-", "−")
