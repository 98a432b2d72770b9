"""Typed errors raised at the boundary: which argument, what was expected, what was found, what to try."""

from __future__ import annotations


class InvalidInputError(ValueError):
    """An argument cannot be used.

    Arguments
        argument: the name of the offending argument.
        expected: what the function needs.
        found: what it was given.
        hint: what the caller may try instead.
    """

    def __init__(self, argument: str, expected: str, found: str, hint: str) -> None:
        self.argument = argument
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(f"{argument}: expected {expected}, found {found}. Try: {hint}.")

    def __reduce__(self) -> tuple[type[InvalidInputError], tuple[str, str, str, str]]:
        # An exception is pickled by its message; this one has four parts, and must come back from other processes.
        return type(self), (self.argument, self.expected, self.found, self.hint)


class ShapeError(InvalidInputError):
    """An array has the wrong number of axes or the wrong lengths."""


class DTypeError(InvalidInputError):
    """An array is not of a real floating-point type that widens to float64 without loss."""


class NonFiniteError(InvalidInputError):
    """An array contains NaN or infinity."""


class EmptySystemError(InvalidInputError):
    """A system has no state, no action or no time step."""


class HorizonError(InvalidInputError):
    """A horizon is not a positive integer, or exceeds the length of a time-varying system."""


class StepSizeError(InvalidInputError):
    """A step size is not positive and finite, or lies outside the range where the result exists."""


class ParameterError(InvalidInputError):
    """A scalar parameter (noise level, goal weight, tolerance, count) lies outside its domain."""


class RankError(InvalidInputError):
    """A matrix does not have the rank that the result needs."""


class UnstableSystemError(InvalidInputError):
    """A stationary quantity was asked of a system that has none."""


class NotSymmetricError(InvalidInputError):
    """A matrix that must be exactly symmetric is not."""


class PathError(InvalidInputError, OSError):
    """A file cannot be read or written: the path leads nowhere, or the disk refuses."""


class MissingPackageError(InvalidInputError, ModuleNotFoundError):
    """A package that an optional part needs is missing, or has a version that does not fit."""


class FloatOverflowError(OverflowError):
    """The result exceeds the range of float64; the message names the version on a log scale."""


class PrecisionLossError(ArithmeticError):
    """Float64 cannot resolve the result; the message says what was lost and what to use instead."""


class UndecidedError(ArithmeticError):
    """An exact certificate could not be completed; nothing is claimed either way."""


class DisprovedError(UndecidedError):
    """More than undecided: exact arithmetic shows the statement to be false."""
