"""Figures 1–7: what each shows, checked where a table or a small model fixes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import sympy as sp

from grasp_theory.paper_tables import SUCCESS, TIME, TRIALS
from grasp_theory.statistics.proportions import wald_coverage
from paper_checks.claims.ours.counts import COMMAND, OurExperiments, Share, load
from paper_checks.claims.ours.replication import NON_GREEDY, claim
from paper_checks.claims.ours.rules import Majorities, Outcome, judged
from paper_checks.claims.printed.comparisons import BASELINES, LONG, OURS, figure
from paper_checks.engine.records import Claim, Evidence, Far, Grade
from paper_checks.engine.run import Run

H50 = LONG[1]
"""The setting of Figure 5."""


# Figure 5, as far as Table 1 fixes its curves


def _ahead(claim: tuple[str, str]) -> Evidence:
    """Judge whether a planner's curve is above all others at its own median success time.

    By its median success time half of a planner's successes have come.  A planner whose median is later has
    at most half of its own by then, and one whose median is not later at most all of them.
    """
    planner, setting = claim
    time, share = figure(planner, setting, TIME).value, figure(planner, setting, SUCCESS).value / 2
    most = {}
    for name in (*BASELINES, OURS):
        if name != planner and figure(name, setting, TIME).has_value:
            later = figure(name, setting, TIME).value > time
            most[name] = figure(name, setting, SUCCESS).value * (Fraction(1, 2) if later else 1)
    lead = float(share - max(most.values()))
    summary = (
        f"at {float(time):g} s {planner} has solved at least {float(share):.1f}% of the tasks, the others at "
        "most " + ", ".join(f"{name} {float(value):.1f}%" for name, value in most.items())
    )
    return Evidence(Grade.REPORTED, lead > 0, summary, {"lead (points)": lead})


def _undercovers(rate: float) -> Evidence:
    """Judge whether the 95% Wald interval covers a rate with less than 90%."""
    coverage = wald_coverage(rate, TRIALS)
    summary = f"at a true rate of {rate:.1%} the 95% Wald interval of {TRIALS} trials covers {coverage:.1%}"
    return Evidence(Grade.NUMERICAL, coverage < 0.9, summary, {"coverage": coverage})


def check_figure_5(run: Run) -> None:
    """At H = 50 GRASP's curve must be ahead where Table 1 fixes the curves."""
    run.examine(
        "at H = 50, by GRASP's median success time GRASP has solved more tasks than any baseline",
        _ahead,
        (OURS, H50),
        false_variants={"GD by its own": ("GD", H50), "GRASP at H = 40": (OURS, LONG[0])},
    )
    run.caveat(
        "The shaded 95% Wald intervals are too narrow where a curve is near zero, as at its start.",
        _undercovers,
        1 / TRIALS,
        false_variants={
            "GRASP's final rate at H = 50": Far(
                float(figure(OURS, H50, SUCCESS).value) / 100,
                "the intervals fail only near 0 and 1, and get better gradually",
            )
        },
    )


# Figure 7: a local minimum of Eq. (4) that is no trajectory


@dataclass(frozen=True)
class _Trap:
    """A scalar model F(s, a), and a point (s_1, a_0, a_1) of Eq. (4) with T = 2, s_0 = 0, s_2 = g = -10.

    Arguments
        model: F as an expression in s and a.
        point: the values of s_1, a_0 and a_1.
    """

    model: sp.Expr
    point: tuple[int, int, int]


_S, _A = sp.symbols("s a", real=True)
_FOLDED = _S + _A**3 - 3 * _A
"""A step whose size is not monotone in the action: beyond a = -1 and a = 1 it turns back."""


def _bad_minimum(trap: _Trap) -> Evidence:
    """Judge, in exact arithmetic, whether the point is a strict local minimum of (4) that is not global."""
    state, first, second = variables = sp.symbols("s_1 a_0 a_1", real=True)
    start, goal = 0, -10
    residuals = [
        trap.model.subs({_S: start, _A: first}, simultaneous=True) - state,
        trap.model.subs({_S: state, _A: second}, simultaneous=True) - goal,
    ]
    loss = sum((residual**2 for residual in residuals), sp.Integer(0))
    here = dict(zip(variables, trap.point, strict=True))
    gradient = sp.Matrix([loss]).jacobian(variables).subs(here)
    hessian = sp.hessian(loss, variables).subs(here)
    # A feasible point: both steps halve the way, with a real root of F(s, a) = s + g/2.
    step = sp.Poly(trap.model.subs(_S, 0) - sp.Rational(goal, 2), _A)
    feasible = sp.Integer(step.count_roots()) > 0
    value = loss.subs(here)
    strict = gradient.is_zero_matrix and all(hessian[:k, :k].det() > 0 for k in range(1, 4))
    summary = (
        f"F = {trap.model} at (s_1, a_0, a_1) = {trap.point}: loss {value}, residuals "
        f"{[residual.subs(here) for residual in residuals]}, gradient {list(gradient)}, Hessian "
        f"{hessian.tolist()}; {step.count_roots()} real actions make half of the way exactly"
    )
    instance = (
        "import sympy as sp\ns, a, b = sp.symbols('s_1 a_0 a_1')\nF = lambda s, a: s + a**3 - 3*a\nloss = "
        "(F(0, a) - s)**2 + (F(s, b) + 10)**2\nhere = {s: -5, a: 1, b: 1}\nprint(loss.subs(here), "
        "[loss.diff(x).subs(here) for x in (s, a, b)], sp.hessian(loss, (s, a, b)).subs(here))"
    )
    return Evidence(Grade.SYMBOLIC, bool(strict and value > 0 and feasible), summary, {}, instance)


def _cannot_stop(zero: str) -> Evidence:
    """Judge whether a stationary point of (4) excludes r_1 != 0 with the residual before or after it zero.

    T = 3, r_t = F(s_t, a_t) - s_{t+1}, F any differentiable scalar model; in several dimensions the slope is
    the transposed Jacobian and nothing else changes.
    """
    model, slope = sp.Function("F"), sp.Symbol("F_s", real=True)
    states, actions = sp.symbols("s_0:3 g", real=True), sp.symbols("a_0:3", real=True)
    steps = [model(state, action) for state, action in zip(states, actions, strict=False)]
    residuals = [step - after for step, after in zip(steps, states[1:], strict=True)]
    between, other = (states[2], 2) if zero == "after" else (states[1], 0)
    derivative = sum((residual**2 for residual in residuals), sp.Integer(0)).diff(between)
    derivative = derivative.replace(lambda term: isinstance(term, sp.Derivative), lambda _: slope)
    derivative = derivative.subs(steps[other], states[other + 1])
    # Stationarity forces r_1 = 0 iff what is left is a nonzero number times r_1, whatever the slope.
    factor = sp.cancel(derivative / residuals[1])
    summary = (
        f"with the residual {zero} the middle one zero, stationarity in the state between them requires "
        f"{sp.factor(derivative)} = 0"
    )
    return Evidence(Grade.SYMBOLIC, bool(factor.is_number and factor != 0), summary)


def check_figure_7(run: Run) -> None:
    """The relaxed problem (4) must have strict local minima that violate the dynamics."""
    trap = _Trap(_FOLDED, (-5, 1, 1))
    run.examine(
        "some model gives (4) a strict local minimum, in states and actions together, with nonzero "
        "residuals though a feasible plan exists",
        _bad_minimum,
        trap,
        false_variants={
            "a linear model": replace(trap, model=_S + _A),
            "the same model at a_0 = a_1 = -1, a saddle": replace(trap, point=(-5, -1, -1)),
        },
    )
    run.caveat(
        "Such a residual cannot stop at 'the middle transition' of the figure: in a local minimum of (4) a "
        "zero residual after a state forces the one before it to be zero, so all later ones are nonzero "
        "too.",
        _cannot_stop,
        "after",
        false_variants={"a zero residual before the middle one": "before"},
    )


# Figures 1, 3 and 4, by what our own figures of our models count

_COUNTED = {
    1: (r"figure1/distances/\w+/GRASP/latent/above_start", r"figure1/landscapes/\w+/rougher/gd than ours"),
    3: (r"figure3/adversarial/.+/nearby",),
    4: (r"figure4/virtual_states/\w+/feasible",),
}
"""The shares by which a figure is judged, fixed before they were measured.

1: of GRASP's successful plans, those whose latent distance to the goal is at some time above that at the start; and
problems around whose final plans gradient descent's loss has more local minima than GRASP's.  3: states from which a
step of less than half the way fakes the goal, for each model.  4: final plans that are feasible in the environment.
"""


def _measured(
    number: int, ours: OurExperiments, *, title: str, source: str, statement: str, missing: str
) -> Claim:
    """Return a figure's claim: judged by the shares counted for our figure of that number, if they decide it.

    The claim replicates if each of them is more than one half (*most*, in `paper_checks.claims.ours.rules`).
    """
    make = partial(Claim, f"figure{number}", title, source, statement, figures=(number,))
    patterns = _COUNTED[number]
    shares = {
        name: share
        for name, share in ours.figures.items()
        if share.n and any(re.fullmatch(pattern, name) for pattern in patterns)
    }
    if not all(any(re.fullmatch(pattern, name) for name in shares) for pattern in patterns):
        return make(missing=f"{missing} Made by `python -m experiments figure-data`, then `{COMMAND}`.")
    found = Majorities(shares)
    if found.outcome is Outcome.INCONCLUSIVE:
        return make(missing=f"Problems enough to decide. Our experiment is {found.text}.", ours=True)
    return make(
        check=partial(_check_most, found=found),
        assumptions=("On our models, not on the paper's.",),
        ours=True,
    )


def _check_most(run: Run, found: Majorities) -> None:
    needed = found.needed(100)

    def made_up(happened: int) -> Majorities:
        return Majorities(dict.fromkeys(found.shares, Share(happened, 100)))

    run.examine(
        "each of these happens on most problems",
        judged,
        found,
        false_variants={"on one problem of 100 too few to be called most": made_up(needed - 1)},
        true_variants={"on as few problems of 100 as are called most": made_up(needed)},
    )


_OURS = load()

CLAIMS = (
    _measured(
        1,
        _OURS,
        title="Figure 1: difficulty of the planning problem",
        source="Figure 1; Section 2",
        statement=(
            "Successful trajectories first move away from the goal in L2 distance, so greedy strategies "
            "fail; the loss of rollout planners at convergence is jagged, GRASP's is smooth (Push-T, H = "
            "50)."
        ),
        missing=(
            "Measurements on our models. Experiments that would show it: the latent and the true distance "
            "to the goal along successful plans (share that first rises) and slices of (3) and (10) along "
            "two random orthogonal action directions at each planner's final plan, on WallSingle with a "
            "door off the straight line."
        ),
    ),
    Claim(
        id="figure2",
        title=(
            "Figure 2: diagram of serial rollouts and of the lifted states (depicts the setup of (3) and "
            "(8)–(10))"
        ),
        source="Figure 2",
        statement="A diagram: nothing is measured or asserted beyond Eq. (3) and (8)–(10).",
        figures=(2,),
    ),
    _measured(
        3,
        _OURS,
        title="Figure 3: state gradients of a world model are exploitable",
        source="Figure 3; Sections 3.1 and 3.3",
        statement=(
            "For states far from the goal, in or out of distribution, a small step along the state gradient "
            "finds a nearby state whose prediction under the zero action is the goal."
        ),
        missing=(
            "Measurements on our models. The experiment that would show it: on held-out states of a "
            "learned model, the smallest state perturbation (relative to the spread of the data) that "
            "brings the one-step prediction within the success radius of the goal, against the same for the "
            "action, and against a true simulator."
        ),
    ),
    replace(
        _measured(
            3,
            _OURS,
            title="State gradients of learned models can be exploited",
            source="Section 3.3, Eq. (7); Figure 3",
            statement=(
                "Minimising ‖y − F(s, a)‖² over s finds a nearby s + δ, ‖δ‖ ≪ 1, with F(s + δ, a) ≈ y, "
                "whatever the start s."
            ),
            missing=(
                "Measurements on our models.  The statement is about their state Jacobian: ‖δ‖ ≥ ‖y − F(s, a)‖ over the "
                "Lipschitz constant of F in s, so it can hold only where that constant is large."
            ),
        ),
        id="state-sensitivity",
        figures=(),
        definitions={7: "the objective in question; the claim about it is empirical"},
    ),
    _measured(
        4,
        _OURS,
        title="Figure 4: virtual states become realistic, non-greedy paths",
        source="Figure 4; Section 4",
        statement=(
            "Optimised states find realistic, non-greedy paths at horizon 50 in all three environments."
        ),
        missing=(
            "Measurements on our models. The experiment that would show it: over iterations of "
            "GRASP, the dynamics residual of the virtual states and their decoded distance to walls, with "
            "the share of final plans that are feasible in the environment."
        ),
    ),
    Claim(
        id="figure5",
        title="Figure 5: success over time at H = 50",
        source="Figure 5; Section 4.3; Table 1",
        statement="Most of GRASP's plans converge at an earlier time than the baselines'.",
        check=check_figure_5,
        figures=(5,),
        assumptions=(
            "The curves are those of Table 1's trials, of which it fixes the end and the half-way time.",
        ),
    ),
    claim(NON_GREEDY, _OURS, figures=(6,)),
    Claim(
        id="figure7",
        title="Figure 7: bad local minima of the relaxed dynamics",
        source="Figure 7; Sections 3.1 and 3.2",
        statement=(
            "With the dynamics constraint relaxed into a penalty, states and actions can be at a local "
            "minimum although the dynamics of the middle transition are violated."
        ),
        latex=r"\min_{\mathbf{s}, \mathbf{a}} \sum_{t=0}^{T-1} \|F_\theta(s_t, a_t) - s_{t+1}\|_2^2",
        check=check_figure_7,
        figures=(7,),
        assumptions=("Shown on an explicit scalar model; how often a learned model does it is not checked.",),
    ),
)
