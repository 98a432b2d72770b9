"""Losses on the torus, given on a uniform grid and smoothed exactly by the fast Fourier transform.

`PeriodicLoss` is the trigonometric polynomial through its grid values, of period P along each axis.  Its
Gaussian smoothing on R^d is again periodic and multiplies the Fourier coefficient of wave vector k by
e^{−σ²‖k‖²/2}, so nothing but rounding separates the computed L_σ from the true one.  The norms are taken
over one cell.  Theorem 4 holds for them with the same constants, as periodised kernels have the same or a
smaller L¹ norm; and a gain found on the torus is a lower bound on the one in R^d: multiply L by a wide Gaussian
(L^p of both sides then grows like the mean over a cell).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from grasp_theory.smoothing.norms import Measured, exponent
from grasp_theory.smoothing.quadrature import Function
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, PrecisionLossError, ShapeError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, positive_integer, real_array

GRID_LIMIT = {1: 2**16, 2: 2**9}
"""The largest number of grid points per axis, by dimension."""
DEFAULT_TOLERANCE = 1e-9
NORM_TOLERANCE = 1e-6
"""A norm's grid is refined until the error of its logarithm is at most this."""


@checked
@dataclass(frozen=True, eq=False)
class PeriodicLoss:
    """A trigonometric polynomial L on the torus (R/PZ)^d, d = 1 or 2.

    Arguments
        values: L at the grid points (i_1, ..., i_d) P/N, shape (N,) or (N, N), N even, N ≥ 4.  The Nyquist
            coefficient is dropped: its derivative is not determined by the grid.
        period: P, in units of s.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError.
    """

    values: NDArray[np.float64]
    period: float

    def __init__(self, values: ArrayLike, period: float) -> None:
        array = real_array("values", values)
        n = array.shape[0] if array.ndim else 0
        if array.ndim not in GRID_LIMIT or set(array.shape) != {n} or n < 4 or n % 2:
            raise ShapeError(
                "values", "shape (N,) or (N, N), N even, N >= 4", f"{array.shape}", "sample a square"
            )
        object.__setattr__(self, "period", positive_float("period", period))
        spectrum = fft.fftn(array)
        for axis in range(array.ndim):
            np.moveaxis(spectrum, axis, 0)[n // 2] = 0.0
        kept = np.asarray(fft.ifftn(spectrum).real)
        kept.setflags(write=False)
        object.__setattr__(self, "values", kept)

    @classmethod
    def sample(
        cls, function: Function, dim: int, period: float, tolerance: float = DEFAULT_TOLERANCE
    ) -> PeriodicLoss:
        """Return the loss through samples of `function` on the cell [−P/2, P/2)^d, dense enough for `tolerance`.

        A function on R^d belongs here once it has decayed at the cell's edge: a jump there between the two
        ends raises, as any other jump does.

        Arguments
            function: L, a function of points (..., d) that returns (...).
            dim: d, 1 or 2.
            period: P, in units of s.
            tolerance: largest difference allowed between the interpolant and the samples of the next finer grid,
                relative to the largest sample.

        Raises
            ParameterError, ShapeError, DTypeError, NonFiniteError, PrecisionLossError.
        """
        d = positive_integer("dim", dim)
        if d not in GRID_LIMIT:
            raise ParameterError(
                "dim", "1 or 2", repr(dim), "use closed forms or RadialLoss in higher dimensions"
            )
        length, allowed = positive_float("period", period), positive_float("tolerance", tolerance)
        coarse, difference = cls._sampled(function, d, length, 16), math.inf
        while 2 * coarse.values.shape[0] <= GRID_LIMIT[d]:
            fine = cls._sampled(function, d, length, 2 * coarse.values.shape[0])
            size = float(np.max(np.abs(fine.values)))
            difference = float(np.max(np.abs(coarse._refined(2) - fine.values)))
            if difference <= allowed * size:
                return fine
            coarse = fine
        raise PrecisionLossError(
            f"a trigonometric polynomial with {GRID_LIMIT[d]} points per axis still misses the function by "
            f"{difference:.1e}: it has a corner or a jump, or has not decayed at the edge of the cell. "
            "Try: a larger period, a smoother function, a closed form, or a larger tolerance."
        )

    @classmethod
    def _sampled(cls, function: Function, dim: int, period: float, count: int) -> PeriodicLoss:
        axis = period * (np.arange(count) / count - 0.5)
        points = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1)
        values = real_array("function", function(points))
        if values.shape != points.shape[:-1]:
            expected = f"a function returning shape {points.shape[:-1]}"
            raise ShapeError("function", expected, f"shape {values.shape}", "vectorise it")
        return cls(values, period)

    @property
    def dim(self) -> int:
        """The dimension d."""
        return self.values.ndim

    @property
    def differentiable(self) -> bool:
        """True: a trigonometric polynomial is smooth."""
        return True

    def smoothed(self, sigma: float) -> PeriodicLoss:
        """Return L_σ.

        Arguments
            sigma: σ > 0 of the kernel, in units of the argument.
        """
        exponents = -0.5 * positive_float("sigma", sigma) ** 2 * sum(k**2 for k in self.wave_vectors())
        return replace(self, values=fft.ifftn(fft.fftn(self.values) * np.exp(exponents)).real)

    def gradient(self) -> Float[np.ndarray, "d ..."]:
        """Return ∇L at the grid points."""
        return self._gradient_of(fft.fftn(self.values))

    def log_norm(self, p: float) -> Measured:
        """Return log of ‖L‖_p over one cell; see `log_gradient_norm` for its error.

        Arguments
            p: the exponent, in [1, ∞].
        """
        return self._refine(lambda factor: np.abs(self._refined(factor)), exponent(p), 1.0)

    def log_gradient_norm(self, p: float) -> Measured:
        """Return log of ‖∇L‖_p over one cell.

        For p < ∞ the error is the change from the next coarser grid and a bound on the effect of zeros.
        """

        def lengths(factor: int) -> NDArray[np.float64]:
            return np.asarray(np.linalg.norm(replace(self, values=self._refined(factor)).gradient(), axis=0))

        # Differentiation multiplies the rounding errors of L by up to the largest wave number.
        largest = np.pi * self.values.shape[0] / self.period
        slope = float(lengths(1).max())
        amplification = float(np.max(np.abs(self.values))) * largest / slope if slope else 1.0
        return self._refine(lengths, exponent(p), max(amplification, 1.0))

    def wave_vectors(self) -> list[NDArray[np.float64]]:
        """Return the d coordinates of the wave vectors, each broadcastable to the grid of `scipy.fft.fftn`."""
        n = self.values.shape[0]
        axis = 2.0 * np.pi * fft.fftfreq(n, self.period / n)
        return list(np.meshgrid(*[axis] * self.dim, indexing="ij", sparse=True))

    def _gradient_of(self, spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.stack([fft.ifftn(1j * k * spectrum).real for k in self.wave_vectors()])

    def _refined(self, factor: int) -> NDArray[np.float64]:
        """Return the values on a grid `factor` times finer along each axis (zero padding of the spectrum)."""
        if factor == 1:
            return self.values
        n = self.values.shape[0]
        spectrum = fft.fftshift(fft.fftn(self.values))
        before = (factor - 1) * n // 2
        padded = np.pad(spectrum, (before, (factor - 1) * n - before))
        return np.asarray(fft.ifftn(fft.ifftshift(padded)).real * factor**self.dim)

    def _refine(
        self, magnitude: Callable[[int], NDArray[np.float64]], p: float, condition: float
    ) -> Measured:
        factor, n = 1, self.values.shape[0]
        value, error = self._log_norm_of(magnitude(1), p), math.inf
        while error > NORM_TOLERANCE and 2 * factor * n <= GRID_LIMIT[self.dim]:
            factor *= 2
            current = magnitude(factor)
            previous, value = value, self._log_norm_of(current, p)
            if value == -math.inf:  # the zero function
                return Measured(value, 0.0)
            change = abs(value - previous)
            error = _log_overshoot(current) if math.isinf(p) else change + _kink_error(current, p)
        return Measured(value, error + rounding_allowance(1.0, 8, condition))

    def _log_norm_of(self, magnitudes: NDArray[np.float64], p: float) -> float:
        peak = float(magnitudes.max())
        if peak == 0.0:
            return -math.inf
        if math.isinf(p):
            return math.log(peak)
        mean = float(np.mean((magnitudes / peak) ** p))
        return math.log(peak) + (math.log(mean) + self.dim * math.log(self.period)) / p


def _log_overshoot(magnitudes: NDArray[np.float64]) -> float:
    """Return how far, as a logarithm, the maximum between grid points may exceed the largest grid value.

    A smooth function exceeds its value at the nearest grid point by at most an eighth of its second difference
    along each axis.
    """
    bend = sum(np.abs(_second_difference(magnitudes, axis)) for axis in range(magnitudes.ndim))
    return math.log(float(np.max(magnitudes + bend / 8.0)) / float(magnitudes.max()))


def _kink_error(magnitudes: NDArray[np.float64], p: float) -> float:
    """Return a bound on the error, as a logarithm of the norm, that zeros of the function bring to the mean of m^p.

    Away from zeros m^p is smooth and the mean over the grid converges faster than any power, so the last change
    bounds the error.  Near a zero m^p has a kink, whose error comes with either sign and may cancel between two
    grids; per cell and axis it is at most an eighth of the second differences at the cell's ends, with equality for
    |x| in the middle of a cell.
    """
    powers = (magnitudes / magnitudes.max()) ** p
    near = np.zeros(magnitudes.shape, dtype=bool)
    for axis in range(magnitudes.ndim):
        for shift in (-1, 1):
            # A value below its change over one cell is next to a zero.
            near |= magnitudes <= np.abs(np.roll(magnitudes, shift, axis) - magnitudes)
    total = 0.0
    for axis in range(magnitudes.ndim):
        touched = near | np.roll(near, 1, axis) | np.roll(near, -1, axis)
        total += float(np.mean(np.where(touched, np.abs(_second_difference(powers, axis)), 0.0))) / 8.0
    return total / (p * float(np.mean(powers)))


def _second_difference(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(np.roll(values, 1, axis) - 2.0 * values + np.roll(values, -1, axis))
