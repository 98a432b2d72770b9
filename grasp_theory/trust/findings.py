"""Every number of a diagnosis in words: what it is, what it means for planning, and which theorem says so."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_theory.planners.grasp import GRASP
from grasp_theory.trust.measured import Measured
from grasp_theory.trust.settings import USEFUL, iterations_to

INFINITE = "∞"
COLUMNS = 100
"""Of what is printed."""
HELD = "\xa0"
"""A space at which no line is broken."""
SHORTCUT = 0.5
"""A change of the state shorter than this part of the way to the goal that fakes the goal is called a shortcut."""


@dataclass(frozen=True)
class Finding:
    """One number.

    Arguments
        name: what it is, short.
        value: as it is printed; "median (5% to 95%)" where it differs between plans.
        meaning: for planning, in a sentence.
        source: the theorem or equation of the paper, or the theorem U of docs/theory.
    """

    name: str
    value: str
    meaning: str
    source: str


@dataclass(frozen=True)
class Section:
    """Findings on one question."""

    title: str
    findings: Sequence[Finding]


def findings(found: Measured) -> Sequence[Section]:
    """Return every number with its meaning and source."""
    return (
        Section("Is the problem smooth and well conditioned?", _smoothness(found)),
        Section("Does the iteration converge, and how fast?", _rates(found)),
        Section("How much noise on the virtual states?", _tube(found)),
        Section("How far ahead can the model see?", _drift(found)),
        Section("What do inputs do?", _reach(found)),
    )


def recommendation(found: Measured) -> Sequence[str]:
    """Return what to do, most important first."""
    lines = [_steps_advice(found)]
    growth = _typical(found.smoothness.gradient_growth)
    horizon = found.linear.horizon
    total = growth ** (horizon - 1)
    if total > 10.0:
        lines.append(
            f"Gradients through the rollout grow {number(total)}-fold from the last action to the first: "
            "keep gradients in time short (GRASP with syncs, or shorter horizons)."
        )
    elif total < 0.1:
        lines.append(
            f"Gradients through the rollout fade {number(1.0 / total if total else math.inf)}-fold from the last action to the first: "
            "plain gradient descent hardly moves early actions."
        )
    lines.extend(_drift_advice(found))
    reach = found.reach
    if float(np.median(reach.out_of_reach)) > 0.5:
        lines.append(
            "Most of the way to the goal is out of reach of the actions along these plans: look for other plans or goals."
        )
    elif float(np.median(reach.left_by_set)) > 0.5:
        lines.append(
            "The least actions that reach the goal are mostly outside the action set: if no others reach it, the horizon is too short."
        )
    if _typical(reach.faking) < SHORTCUT:
        lines.append(
            f"A change of the state by {number(_typical(reach.faking))} of the way fakes the goal: "
            "keep stop_state_gradient=True."
        )
    if reach.idle:
        lines.append(
            f"{reach.idle} of {found.problem.batch} problems need no action: leave them out of success rates."
        )
    return lines


def screen(found: Measured) -> str:
    """Return the diagnosis as text."""
    linear, problem = found.linear, found.problem
    lines = [
        f"Diagnosis of {linear.plans} {'planned' if found.planned else 'given'} trajectories of {linear.horizon} steps "
        f"({problem.batch} problems; {linear.state_dim} state entries, {linear.action_dim} action entries, {problem.goal.dtype})"
    ]
    for section in findings(found):
        lines.append(section.title)
        for each in section.findings:
            source = f"[{each.source}]".replace(" ", HELD)
            lines.append(f"  {each.name:<23} {each.value:<20}  {each.meaning} {source}")
    lines.append("Recommendation")
    lines.extend(f"  {line}" for line in recommendation(found))
    chosen = ", ".join(f"{name}={_shown(each.value)}" for name, each in found.settings.items())
    lines.append(f"  GRASP({chosen})")
    return "\n".join(_folded(lines))


def _folded(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines of at most `COLUMNS`; what is left of one goes below its meaning, or is indented."""
    for line in lines:
        indent = 48 if line.endswith("]") else 4
        for part in textwrap.wrap(line, COLUMNS, subsequent_indent=" " * indent, break_on_hyphens=False):
            yield part.replace(HELD, " ")


def spread(values: ArrayLike) -> str:
    """Return "median (5% to 95%)" of figures of several plans, one number where they agree."""
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[~np.isnan(array)]
    if not array.size:
        return "not known"
    with np.errstate(invalid="ignore"):
        low, middle, high = (float(np.quantile(array, q, method="nearest")) for q in (0.05, 0.5, 0.95))
    if number(low) == number(high):
        return number(middle)
    return f"{number(middle)} ({number(low)} to {number(high)})"


def share(values: ArrayLike) -> str:
    """Return `spread` of figures in [0, 1], rounded to a thousandth."""
    return spread(np.round(np.asarray(values, dtype=np.float64), 3))


def number(value: float) -> str:
    """Return a figure with three significant digits."""
    figure = float(value)
    if math.isnan(figure):
        return "not known"
    if math.isinf(figure):
        return INFINITE
    if 0.0 < abs(1.0 - figure) < 5e-3:
        return (
            f"{figure:.5f}"
            if abs(1.0 - figure) >= 5e-5
            else f"1 {'−' if figure < 1.0 else '+'} {abs(1.0 - figure):.1g}"
        )
    return f"{figure:.3g}"


def _typical(values: NDArray[np.float64]) -> float:
    """Return the median of what is known."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else math.nan


def _shown(value: float | int | str) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.3g}"


def _smoothness(found: Measured) -> Sequence[Finding]:
    s, far = found.smoothness, found.linear.horizon - 1
    growth = _typical(s.gradient_growth)
    shooting, lifted = (float(np.median(x)) for x in (s.shooting_lipschitz, s.lifted_lipschitz))
    largest = float(s.shooting_lipschitz.max())
    limit = number(2 / largest if largest else math.inf)
    smoother = "smoother" if lifted < shooting else "no smoother here"
    better = float(np.median(s.lifted_condition)) < float(np.median(s.shooting_condition))
    conditioned = "better conditioned here" if better else "smooth is not well conditioned"
    return (
        Finding(
            "L_S", spread(s.shooting_lipschitz), f"gradient steps on actions diverge above 2/L_S: {limit} for the largest", "Theorem 2"
        ),
        Finding("L_L", spread(s.lifted_lipschitz), f"the same with states as variables: {smoother}", "Theorem 3"),
        Finding("κ(H_S)", spread(s.shooting_condition), "so many plain steps shrink the slowest error by e", "Eq. (22)"),
        Finding("κ(H_L)", spread(s.lifted_condition), f"with states as variables: {conditioned}", "Eq. (31)"),
        Finding(
            "gradient growth", f"{spread(s.gradient_growth)} a step",
            f"the first action's is {number(growth**far)} times the last one's", "Eq. (21)",
        ),
    )  # fmt: skip


def _rates(found: Measured) -> Sequence[Finding]:
    r, worst = found.rates, float(found.rates.greedy.max())
    most = min(found.linear.by_actions.shape[2:])
    verdict = "below 1: step sizes exist with a rate free of T"
    if worst >= 1.0:
        verdict = f"{number(worst)} is not below 1: no step sizes have a rate free of T for all plans"
    tolerance = f" above {found.rank_tolerance:.2g} of the strongest" if found.rank_tolerance > 1e-6 else ""
    rows = [
        Finding(
            "directions of actions",
            spread(r.directions),
            f"of {most} possible{tolerance}; the rest never move",
            "U3",
        ),
        Finding("ρ(K), greedy loop", spread(r.greedy), verdict, "U3, U7"),
        Finding(
            f"‖K⋯K‖^(1/{r.window})",
            spread(r.greedy_windows),
            "below 1 proves it for plans of such windows",
            "U7",
        ),
    ]
    if r.step_sizes is None:
        return (*rows, Finding("(η_s, η_a)", "none", "the actions move nothing", "U3"))
    needed = number(iterations_to(float(r.rate.max()), USEFUL))
    unit = "" if r.scale == 1.0 else f", error units × {number(r.scale)} a step"
    repeated = "" if r.exact else ", plans repeated"
    adam = "its tube at β₁ = 0; its rate, β₁ > 0 and actions are open"
    return (
        *rows,
        Finding(
            "best (η_s, η_a)", f"({number(r.step_sizes[0])}, {number(r.step_sizes[1])})",
            f"plain steps, γ = {found.goal_weight:g}: least worst r{unit}", "U4",
        ),
        Finding("r at it", spread(r.rate), f"{needed} iterations to 1/100{repeated}{unit}", "U1, U7"),
        Finding("r, each plan's own", spread(r.own_rate), "what tuning for each plan would gain", "U4, U7"),
        _certificate(found),
        Finding("known of Adam", "partly", adam, "U18"),
    )  # fmt: skip


def _certificate(found: Measured) -> Finding:
    r = found.rates
    proved = [each for each in r.certificates if each is not None]
    if proved:
        slowest = max(proved, key=lambda each: each.rate)
        bound = f"errors <= S q^k, S = {number(slowest.amplification)}, q = {number(slowest.rate)}"
        return Finding("proved on windows", f"{len(proved)} of {r.tried} plans tried", bound, "U2, U7, U15")
    why = "the A_t are not formed" if not r.tried else "no power of J up to 2^17 is seen to contract"
    return Finding("proved on windows", f"0 of {r.tried} plans tried", why, "U2, U7, U15")


def _tube(found: Measured) -> Sequence[Finding]:
    t, chosen = found.tube, found.settings
    rows = [
        Finding(
            "typical step",
            number(t.step),
            f"{number(t.entry_step)} in each entry: the unit of widths",
            "plans",
        )
    ]
    if found.rates.step_sizes is not None and not math.isnan(t.frozen_sigma):
        width, live = (
            f"{t.width:g} steps wide at η_s = {number(found.rates.step_sizes[0])}",
            math.isfinite(t.live_growth),
        )
        rows += [
            Finding("σ, all else frozen", number(t.frozen_sigma), f"a tube {width}", "Theorem 7"),
            Finding(
                "σ, states live", number(t.live_sigma) if live else "not known",
                f"noise goes down the plan, {number(t.live_growth)} times as wide", "Eq. (93)",
            ),
        ]  # fmt: skip
    rate = float(chosen["state_lr"].value) if chosen["optimizer"].value == "adam" else GRASP().state_lr
    rows.append(
        Finding(
            "σ under Adam",
            number(t.adam_sigma(rate)),
            f"as wide at learning rate {number(rate)}, β₁ = 0",
            "U18",
        )
    )
    return rows


def _drift(found: Measured) -> Sequence[Finding]:
    d, horizon, step = found.drift, found.linear.horizon, found.tube.step
    if d is None:
        return (
            Finding("one-step error", "not known", "pass errors=(s, a, s') of the world, or σ", "Theorem 9"),
        )

    def steps(size: float) -> str:
        return f"{number(size / step if step else math.inf)} typical steps"

    first, last = (float(np.median(d.spread[:, t])) for t in (0, -1))
    rows = [
        Finding(
            "one-step error σ", number(d.sigma), f"an entry; {steps(first)}, {100 * d.bias_share:.0f}% bias; {d.origin}",
            "Eq. (101)",
        ),
        Finding(
            f"error after {horizon}", spread(d.spread[:, -1]),
            f"{steps(last)}, if errors are independent and like these", "Theorem 9",
        ),
    ]  # fmt: skip
    if np.isnan(d.inside).any():
        return (
            *rows,
            Finding("blind after", "not known", "no goal region: pass radius, or `reached`", "Theorem 9"),
        )
    seen = float(np.median(d.blind_after)) >= horizon
    said = "open loop sees to the end" if seen else "beyond, a believed plan is more often false"
    return (
        *rows,
        Finding("goal's radius", number(d.radius), "along such errors, median", "problem"),
        Finding("blind after", f"{spread(d.blind_after)} of {horizon}", said, "Theorem 9"),
    )


def _reach(found: Measured) -> Sequence[Finding]:
    r, problem = found.reach, found.problem
    fake = _typical(r.faking)
    if math.isnan(fake):
        honest = "the trajectories start at their goals"
    elif math.isinf(fake):
        honest = "none was found that fakes it"
    else:
        verdict = "no shortcut" if fake >= SHORTCUT else "a shortcut for state gradients"
        honest = f"of the way, {number(_typical(r.faking_steps))} typical steps: {verdict}"
    strong, weak = (float(np.median(r.action_gains[..., at])) for at in (0, -1))
    rows = [
        Finding(
            "‖∂F/∂s‖, worst time",
            spread(r.state_gain),
            "an error of a state grows by it in a step, at most",
            "Theorem 9",
        ),
        Finding("δ that fakes the goal", spread(r.faking), honest, "Theorem 5, Fig. 3"),
        Finding(
            "‖∂F/∂a‖",
            f"{number(weak)} to {number(strong)}",
            "weakest and strongest direction of actions",
            "Eq. (83)",
        ),
        Finding(
            "one action misses", share(r.out_of_step), "of the way to the goal: no action points there", "U3"
        ),
        Finding("all actions miss", share(r.out_of_reach), "of the way, along these plans", "Eq. (21)"),
        Finding("the set leaves at most", share(r.left_by_set), "of the way, to first order", "Eq. (21)"),
    ]
    idle = "not known" if r.idle is None else f"{r.idle} of {problem.batch}"
    meaning = "there is no goal region" if r.idle is None else "problems that show nothing of a planner"
    rows.append(Finding("solved by doing nothing", idle, meaning, "problem"))
    if r.least_steps is not None:
        short = int((r.least_steps > problem.horizon).sum())
        seen = (
            "" if math.isnan(r.farthest_step) else f"no step seen moves more than {number(r.farthest_step)}; "
        )
        rows.append(
            Finding(
                "least steps",
                spread(r.least_steps),
                f"{seen}{short} of {problem.batch} goals are farther than T such steps",
                "metric",
            )
        )
    return rows


def _steps_advice(found: Measured) -> str:
    r, chosen = found.rates, found.settings
    if r.step_sizes is None:
        return "The actions move nothing here: no planner can help; linearise about other trajectories."
    if chosen["optimizer"].value == "sgd":
        return (
            f"Plain gradient steps with (η_s, η_a) = ({number(r.step_sizes[0])}, {number(r.step_sizes[1])}) converge at "
            f"r = {number(r.rate.max())} at every horizon{'' if r.exact else ', of the model linearised along these plans'}: "
            "use them."
        )
    if not r.exists:
        return (
            f"No plain step sizes converge uniformly in the horizon (ρ(K) = {number(r.greedy.max())}): plan in short horizons, "
            "with Adam and syncs, or measure the goal's distance in a metric in which greedy is stable (U14)."
        )
    return (
        f"Plain gradient steps converge at every horizon, but at r = {number(r.rate.max())} too slowly to be of use: plan with Adam "
        "and syncs, for which the theory gives the tube and no rate."
    )


def _drift_advice(found: Measured) -> Sequence[str]:
    if found.drift is None:
        return ("Nothing is known of the model's errors: pass transitions of the world as `errors`.",)
    blind, horizon = float(np.median(found.drift.blind_after)), found.linear.horizon
    if math.isnan(blind):
        return ()
    if blind < horizon:
        return (
            f"Open loop is blind after {blind:.0f} of {horizon} steps: replan after {max(1, int(blind))} at the latest.",
        )
    return (
        "Errors like those on the data stay inside the goal's region to the end; plans that leave the data are not covered.",
    )
