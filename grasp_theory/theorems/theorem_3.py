"""Theorem 3: the smoothness constant of the lifted problem is bounded over the horizon."""

from __future__ import annotations

from grasp_theory.theorems.record import TheoremCheck
from linear_systems import AnySystem, LinearSystem, lifted
from linear_systems.checked import checked
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import horizon_of


@checked
def lifted_smoothness(system: AnySystem, horizon: int) -> TheoremCheck:
    """Compare L_L with the horizon-free upper bound of Theorem 3.

    Setting
        J_L(a, s) = Σ_t ‖A s_t + B a_t − s_{t+1}‖² = ‖M z − b‖² with s_0, s_T fixed; L_L = λ_max(2 Mᵀ M).
    Statement
        L_L ≤ 6 (1 + ‖A‖₂² + ‖B‖₂²), for every T.
    Source
        Theorem 3, Eq. (31) and (38).
    Assumptions
        None beyond linear dynamics.  For time-varying systems ‖A‖ and ‖B‖ are maxima over t.
    Arguments
        system: time-invariant or time-varying.
        horizon: T ≥ 1, in model steps.
    Returns
        A record with computed = L_L, and in `quantities` two bounds that are valid too and never larger:
        "operator_bound" = 2 ((1 + ‖A‖)² + ‖B‖²) (see `lifted.lipschitz_bound`), and for time-invariant systems
        "limit" = lim_{T→∞} L_L = 2 max_ω λ_max((e^{iω}I − A)(e^{iω}I − A)* + B Bᵀ).
    Raises
        HorizonError.
    """
    steps = horizon_of(system, horizon)
    smoothness = lifted.lipschitz(system, steps)
    bound = lifted.theorem_3_bound(system)
    quantities = {"operator_bound": lifted.lipschitz_bound(system)}
    if isinstance(system, LinearSystem):
        quantities["limit"] = lifted.lipschitz_limit(system)
    return TheoremCheck(
        computed=smoothness,
        bound=bound,
        relation="<=",
        # Norms and the banded eigenvalue are backward stable: errors of a few eps times the block size, relatively.
        allowance=rounding_allowance(bound, 4 * system.state_dim + 2 * system.action_dim),
        assumptions={},
        quantities=quantities,
    )
