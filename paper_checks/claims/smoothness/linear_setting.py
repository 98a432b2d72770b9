"""The setting of Appendix A.1: rollouts and objectives in matrix form, Eq. (16)–(22)."""

from __future__ import annotations

import numpy as np
import sympy as sp

from linear_systems import lifted
from paper_checks.engine.inspection import drawn_systems, identity
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run


def check_setting(run: Run) -> None:
    """Examine the rollout formula, the quadratic forms and the rows of M."""
    run.examine(
        "the rollout is A^T s_0 + Σ A^{T−1−t} B a_t",
        _inspect_rollout_formula,
        1,
        false_variants={"exponent T−t in place of T−1−t": 0},
        equations=(17, 21),
    )
    run.examine(
        "J_S = ‖C_T a − (g − A^T s_init)‖² with Hessian 2 C_Tᵀ C_T",
        _inspect_shooting_hessian,
        2,
        false_variants={"Hessian without the factor 2": 1},
        equations=(22,),
    )
    run.examine(
        "J_L = ‖M z − b‖² with Hessian 2 MᵀM, whichever sign each row is written with",
        lambda signs: _inspect_row_signs(run, signs),
        (-1.0, 1.0, -1.0),
        false_variants={"the sign of s_{t+1} alone flipped in the middle rows": (-1.0, np.nan, -1.0)},
    )


def _inspect_rollout_formula(offset: int) -> Evidence:
    """Compare T applications of s ↦ As + Ba with the closed form, in non-commuting symbols (any n, m)."""
    A, B, start = sp.symbols("A B s_0", commutative=False)
    differences, state = [], start
    for T in range(1, 7):
        actions = sp.symbols(f"a_0:{T}", commutative=False)
        state = start
        for action in actions:
            state = sp.expand(A * state + B * action)
        closed = A**T * start + sum(A ** (T - offset - t) * B * actions[t] for t in range(T))
        differences.append(sp.expand(state - closed))
    scope = "matrices of every size as non-commuting symbols, T = 1..6; each further step multiplies by A and adds B a_T"
    return identity(differences, "Eq. (17) and (21)", scope)


def _inspect_shooting_hessian(factor: int) -> Evidence:
    n, m, T = 2, 1, 3
    A = sp.Matrix(n, n, sp.symbols("A:4"))
    B = sp.Matrix(n, m, sp.symbols("B:2"))
    start, goal = sp.Matrix(sp.symbols("s:2")), sp.Matrix(sp.symbols("g:2"))
    actions = sp.Matrix(sp.symbols("a:3"))
    state = start
    for t in range(T):
        state = A * state + B * actions[t * m : (t + 1) * m, :]
    loss = ((state - goal).T * (state - goal))[0]
    C = sp.Matrix.hstack(*[A ** (T - 1 - t) * B for t in range(T)])
    residual = C * actions - (goal - A**T * start)
    differences = [sp.expand(loss - (residual.T * residual)[0])]
    hessian = sp.hessian(loss, list(actions)) - factor * C.T * C
    return identity(
        [*differences, *hessian.applyfunc(sp.expand)],
        "J_S and its Hessian as polynomials in the entries of A, B, s_init, g, a",
        "n = 2, m = 1, T = 3; for every size it is the Hessian of a composition of a square with an affine map",
    )


def _inspect_row_signs(run: Run, signs: tuple[float, float, float]) -> Evidence:
    """Rebuild M from the paper's list of rows; `signs` multiplies the first, the middle and the last row.

    A NaN flips only the block of s_{t+1}, which is an error and no sign convention.
    """
    rng = run.rng("rows")
    mismatch, count = 0.0, run.size(60, 20)
    for system in drawn_systems(rng, count):
        T, n = int(rng.integers(3, 12)), system.state_dim
        reference = lifted.residual_matrix(system, T).toarray()
        written = reference.copy()
        for t in range(T):
            rows = slice(t * n, (t + 1) * n)
            sign = signs[0] if t == 0 else signs[2] if t == T - 1 else signs[1]
            if np.isnan(sign):
                written[rows, t * n : (t + 1) * n] *= -1.0
            else:
                written[rows] *= sign
        scale = np.linalg.norm(reference, 2) ** 2
        mismatch = max(mismatch, float(np.abs(written.T @ written - reference.T @ reference).max() / scale))
    return Evidence(
        Grade.NUMERICAL,
        mismatch == 0.0,
        "MᵀM with the paper's row signs (−, +, −) equals MᵀM with r_t = A s_t + B a_t − s_{t+1} throughout, bit for "
        "bit: a sign matrix D on the left is orthogonal, (DM)ᵀ(DM) = MᵀM; the list's signs differ but do not matter",
        {"systems": count, "largest relative difference": mismatch},
    )


CLAIMS = (
    Claim(
        id="setting",
        title="Shooting and lifted objectives in matrix form",
        source="Appendix A.1, Eq. (16)–(22) and the list of rows of M",
        statement=(
            "With s_{t+1} = A s_t + B a_t the rollout is A^T s_0 + Σ A^{T−1−t} B a_t, so J_S(a) = ‖C_T a − (g − A^T s_init)‖² "
            "with Hessian 2 C_Tᵀ C_T, and J_L(z) = ‖M z − b‖² with Hessian 2 MᵀM, M sparse and block-banded."
        ),
        latex=r"s_T = A^T s_{\mathrm{init}} + \mathcal{C}_T \mathbf{a}, \quad \mathcal{C}_T = [A^{T-1}B, \ldots, B]",
        equations=(17, 21, 22),
        definitions={
            16: "defines the linear dynamics",
            18: "defines the shooting objective",
            19: "defines the lifted objective",
            20: "states the boundary conditions of the lifted objective",
        },
        check=check_setting,
    ),
)
