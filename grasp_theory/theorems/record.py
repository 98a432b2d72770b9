"""What evaluating a theorem on one instance returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class TheoremCheck:
    """A theorem evaluated on one instance.

    Arguments
        computed: the quantity that the theorem speaks of.
        bound: what the theorem says of it.
        relation: how `computed` relates to `bound` ("=", "<=" or ">=").
        allowance: the absolute rounding allowance, derived from an error bound.
        assumptions: each assumption that an instance can violate, and whether this one meets it.
        quantities: further figures that a reader may want, by name.
    """

    computed: float
    bound: float
    relation: Literal["=", "<=", ">="]
    allowance: float
    assumptions: Mapping[str, bool]
    quantities: Mapping[str, float] = field(default_factory=dict)

    @property
    def assumptions_hold(self) -> bool:
        """Whether the instance lies inside the theorem."""
        return all(self.assumptions.values())

    @property
    def slack(self) -> float:
        """Distance to violation: bound - computed for "<=", computed - bound for ">=", -|difference| for "="."""
        # Equal infinities (the logarithm of zero on both sides) are equal, where their difference is NaN.
        difference = 0.0 if self.computed == self.bound else self.bound - self.computed
        return {"<=": difference, ">=": -difference, "=": -abs(difference)}[self.relation]

    @property
    def holds(self) -> bool:
        """Whether the relation holds up to the rounding allowance (whatever the assumptions say)."""
        return bool(self.slack >= -self.allowance)
