"""Small eigenvalues found by counting eigenvalues below a shift, in ball arithmetic.

By Haynsworth's additivity, eliminating blocks of S = K − cI one after the other counts the negative eigenvalues
of S, which are the eigenvalues of K below c.  For K = MMᵀ of the lifted problem, which is block tridiagonal,
node t carries A_tA_tᵀ [t > 0] + B_tB_tᵀ + I [t < T−1] and the edge from t−1 to t carries −A_t.  A stretch of
nodes whose interior is eliminated is summarised by what it adds to the nodes at its ends, and two stretches
that meet in a node join by eliminating that node: an associative operation.

The eigenvalues of MMᵀ are squares: at κ(H_L) = 1e16 float64 has lost the smallest one.  Balls lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat

from linear_systems.errors import PrecisionLossError
from linear_systems.exact.balls import ball_matrix, identity, negative_eigenvalues
from linear_systems.exact.composition import compose
from linear_systems.rounding import EPS
from linear_systems.system import AnySystem, LinearSystem

RESOLUTION = 2.0**-44
"""Default width in log₂ at which the bisection for an eigenvalue stops: a relative error of 4e-14."""
FIRST_STRIDE = math.e * 8.0
"""First step down in log₂; no simple number, since a shift must not hit an eigenvalue exactly."""
GAP = 20.0
"""Least distance in log₂ between the eigenvalues counted as zero and the smallest of the others."""


def log2_smallest(
    below: Callable[[arb], int], null: int, log2_upper: float, resolution: float = RESOLUTION
) -> float:
    """Return log₂ of the smallest eigenvalue that is not among the `null` lowest, of a semidefinite matrix.

    Arguments
        below: c ↦ how many eigenvalues are below c.
        null: how many count as zero.
        log2_upper: log₂ of an upper bound of the eigenvalue sought.
        resolution: width in log₂ at which the bisection stops.

    Raises
        PrecisionLossError if those counted as zero are not separated from the others by GAP.
        Unresolved.
    """
    high, stride = log2_upper, FIRST_STRIDE
    while below(_power_of_two(high - stride)) > null:
        high, stride = high - stride, 2.0 * stride
    low = high - stride
    while high - low > max(resolution, 4.0 * EPS * abs(low)):
        middle = (low + high) / 2.0
        if below(_power_of_two(middle)) > null:
            high = middle
        else:
            low = middle
    if null and below(_power_of_two(low - GAP)) < null:
        raise PrecisionLossError(
            f"{null} eigenvalue(s) should be zero but exceed 2^-{GAP:.0f} of the next: a direction that only rounding "
            "errors in A or B reach has grown. Try: a shorter horizon, or make that direction exactly unreachable."
        )
    return (low + high) / 2.0


def residual_gram_counter(system: AnySystem, horizon: int) -> Callable[[arb], int]:
    """Return c ↦ how many eigenvalues of MMᵀ are below c, with the matrices at the precision of the call.

    Raises
        Unresolved, ZeroDivisionError from the counter if its precision does not decide.
    """
    A, B = system.matrices(horizon)
    alike = isinstance(system, LinearSystem)
    kept = 1 if alike else horizon
    transitions = [ball_matrix(np.asarray(a)) for a in A[:kept]]
    inputs = [ball_matrix(np.asarray(b)) for b in B[:kept]]
    eye = identity(system.state_dim)
    zero = eye * 0
    couplings = [a * -1 for a in transitions]
    own = [a * a.transpose() + b * b.transpose() + eye for a, b in zip(transitions, inputs, strict=True)]
    own_first = inputs[0] * inputs[0].transpose() + eye

    def below(shift: arb) -> int:
        def edge(t: int) -> _Stretch:
            step = 0 if alike else t + 1
            return _Stretch(zero, couplings[step], own[step] - eye * shift, 0)

        # The first node is a stretch whose coupling to anything earlier is zero.
        chain = _Stretch(zero, zero, own_first - eye * shift, 0)
        if horizon > 1:
            chain = _join(chain, compose(_join, edge, horizon - 1, alike=alike))
        # The last residual has no free state s_T.
        return chain.negative + negative_eigenvalues(chain.last - eye)

    return below


@dataclass(frozen=True)
class _Stretch:
    """A stretch of nodes after its interior is eliminated.

    Arguments
        first: what is added to the diagonal block of the first node.
        coupling: the block in the row of the last node and the column of the first.
        last: what is added to the diagonal block of the last node, with that node's own block.
        negative: how many negative eigenvalues the interior had.
    """

    first: arb_mat
    coupling: arb_mat
    last: arb_mat
    negative: int


def _join(before: _Stretch, after: _Stretch) -> _Stretch:
    """Eliminate the node in which two stretches meet."""
    node = before.last + after.first
    left, right = before.coupling, after.coupling.transpose()
    solved_left, solved_right = node.solve(left), node.solve(right)
    return _Stretch(
        before.first - left.transpose() * solved_left,
        after.coupling * solved_left * -1,
        after.last - after.coupling * solved_right,
        before.negative + after.negative + negative_eigenvalues(node),
    )


def _power_of_two(exponent: float) -> arb:
    whole = math.floor(exponent)
    return arb(math.exp2(exponent - whole)) * arb((1, whole))
