"""Every number of a diagnosis in words: what it is, what it means for planning, and which theorem says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from grasp_theory.trust.measured import Measured
from grasp_theory.trust.settings import USEFUL, iterations_to

INFINITE = "∞"


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
    growth = float(np.nanmedian(found.smoothness.gradient_growth))
    horizon = found.linear.horizon
    total = growth ** (horizon - 1)
    if total > 10.0:
        lines.append(
            f"Gradients through the rollout grow {number(total)}-fold from the last action to the first: "
            "keep gradients in time short (GRASP with syncs, or shorter horizons)."
        )
    elif total < 0.1:
        lines.append(
            f"Gradients through the rollout fade {number(1.0 / total)}-fold from the last action to the first: "
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
            "The action set leaves most of the way to the goal: a longer horizon is needed, or the plans pass walls."
        )
    if float(np.median(reach.faking)) < 0.5:
        lines.append(
            f"A change of the state by {number(np.median(reach.faking))} of the way fakes the goal: "
            "keep stop_state_gradient=True."
        )
    if reach.idle:
        lines.append(
            f"{reach.idle} of {found.problem.batch} problems need no action: leave them out of success rates."
        )
    return lines


def screen(found: Measured) -> str:
    """Return the diagnosis as one screen of text."""
    linear, problem = found.linear, found.problem
    lines = [
        f"Diagnosis of {linear.plans} {'planned' if found.planned else 'given'} trajectories of {linear.horizon} steps "
        f"({problem.batch} problems; {linear.state_dim} state entries, {linear.action_dim} action entries, {problem.goal.dtype})"
    ]
    for section in findings(found):
        lines.append(section.title)
        lines.extend(
            f"  {each.name:<24} {each.value:<21} {each.meaning} [{each.source}]" for each in section.findings
        )
    lines.append("Recommendation")
    lines.extend(f"  {line}" for line in recommendation(found))
    chosen = ", ".join(f"{name}={_shown(each.value)}" for name, each in found.settings.items())
    lines.append(f"  GRASP({chosen})")
    return "\n".join(lines)


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


def _shown(value: float | int | str) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.3g}"


def _smoothness(found: Measured) -> Sequence[Finding]:
    s = found.smoothness
    growth = float(np.nanmedian(s.gradient_growth))
    far = found.linear.horizon - 1
    shooting, lifted = (float(np.median(x)) for x in (s.shooting_lipschitz, s.lifted_lipschitz))
    smoother = "smoother" if lifted < shooting else "no smoother here"
    return (
        Finding(
            "L_S", spread(s.shooting_lipschitz),
            f"plain gradient steps on the actions diverge above 2/L_S = {number(2 / shooting if shooting else math.inf)}",
            "Theorem 2, Eq. (23)",
        ),
        Finding("L_L", spread(s.lifted_lipschitz), f"the same with states as variables: {smoother}", "Theorem 3, Eq. (31)"),
        Finding(
            "κ(H_S)", spread(s.shooting_condition), "about so many plain steps for each factor e of the rollout loss",
            "Eq. (22)–(23)",
        ),
        Finding("κ(H_L)", spread(s.lifted_condition), "the same of the lifted loss; smoothness is not conditioning", "Eq. (31)"),
        Finding(
            "gradient growth", f"{spread(s.gradient_growth)} a step",
            f"the first action's gradient is {number(growth**far)} times the last one's", "Eq. (21)",
        ),
    )  # fmt: skip


def _rates(found: Measured) -> Sequence[Finding]:
    r = found.rates
    worst = float(r.greedy.max())
    strong, most = found.linear.by_actions.shape[2:]
    verdict = (
        "below 1: some step sizes converge at a rate free of the horizon"
        if worst < 1.0
        else f"not below 1: no step sizes do; errors may grow {number(worst)}-fold a step"
    )
    rows = [
        Finding(
            "directions of actions", spread(r.directions),
            f"of {min(strong, most)}, above {found.rank_tolerance:.2g} of the strongest; the others hardly move", "U3",
        ),
        Finding("ρ(K), greedy loop", spread(r.greedy), verdict, "U3, U7"),
        Finding(
            f"‖K⋯K‖^1/{r.window}, windows", spread(r.greedy_windows),
            "below 1 proves it for every plan made of such windows", "U7",
        ),
    ]  # fmt: skip
    if r.step_sizes is None:
        return (*rows, Finding("(η_s, η_a)", "none", "the actions move nothing", "U3"))
    last = float(r.rate.max())
    unit = "" if r.scale == 1.0 else f", in units that grow {number(r.scale)}-fold a step"
    proved = [each for each in r.certificates if each is not None]
    rows += [
        Finding(
            "best (η_s, η_a)", f"({number(r.step_sizes[0])}, {number(r.step_sizes[1])})",
            f"smallest worst r found, γ = {found.goal_weight:g}{unit}; summed losses, plain steps", "U4",
        ),
        Finding(
            "r at it", spread(r.rate),
            f"{number(iterations_to(last, USEFUL))} iterations to a hundredth, at every horizon" + ("" if r.exact else " (plans repeated)"),
            "U1, U7",
        ),
        Finding("r, each plan's best", spread(r.own_rate), "what tuning for each plan alone would gain", "U4, U7"),
        _certificate(found, proved),
        Finding(
            "Adam", "partly known",
            "its tube for β₁ = 0 is; its rate, and β₁ > 0 or actions, are open: no r is claimed", "U18",
        ),
    ]  # fmt: skip
    return rows


def _certificate(found: Measured, proved: Sequence[object]) -> Finding:
    r, plans = found.rates, found.linear.plans
    bases = [each for each in r.certificates if each is not None]
    if not proved:
        why = (
            "not computed without A_t"
            if found.linear.by_states is None
            else "no power of J up to 2^17 contracts"
        )
        return Finding("proved along the plan", "nothing", why, "U7, U15")
    slowest = max(bases, key=lambda each: each.rate)
    return Finding(
        "proved along the plan", f"{len(bases)} of {plans} plans",
        f"errors stay below S = {number(slowest.amplification)} times and shrink by q = {number(slowest.rate)} in the end, "
        "for the linearisation", "U2, U7, U15",
    )  # fmt: skip


def _tube(found: Measured) -> Sequence[Finding]:
    t, adam = found.tube, found.settings["state_lr"].value
    rows = [Finding("typical step", number(t.step), f"{number(t.entry_step)} in each entry", "trajectories")]
    if not math.isnan(t.frozen_sigma):
        rows += [
            Finding(
                "σ, states frozen", number(t.frozen_sigma),
                f"a tube {t.width:g} steps wide at η_s = {number((found.rates.step_sizes or (math.nan,))[0])}", "Theorem 7, Eq. (96)",
            ),
            Finding(
                "σ, states live", number(t.live_sigma) if math.isfinite(t.live_growth) else "not known",
                f"noise travels down the plan and is {number(t.live_growth)} times as wide", "Eq. (93), state chain",
            ),
        ]  # fmt: skip
    rate = float(adam) if found.settings["optimizer"].value == "adam" else 0.02
    rows.append(
        Finding(
            "σ under Adam",
            number(t.adam_sigma(rate)),
            f"the same width at learning rate {number(rate)} (β₁ = 0)",
            "U18",
        )
    )
    return rows


def _drift(found: Measured) -> Sequence[Finding]:
    d, horizon = found.drift, found.linear.horizon
    if d is None:
        unknown = "pass errors=(s, a, s'), transitions of the world, or σ"
        return (Finding("one-step error", "not known", unknown, "Theorem 9"),)
    far = float(np.median(d.spread[:, -1]))
    step = found.tube.step
    rows = [
        Finding(
            "one-step error σ", number(d.sigma), f"an entry, {number(d.spread[:, 0].mean() / step if step else math.inf)} typical "
            f"steps in all; {100 * d.bias_share:.0f}% systematic; {d.origin}", "Theorem 9, Eq. (101)",
        ),
        Finding(
            f"error after {horizon} steps", spread(d.spread[:, -1]),
            f"{number(far / step if step else math.inf)} typical steps, if errors are independent and like these", "Theorem 9, Eq. (105)",
        ),
    ]  # fmt: skip
    if np.isnan(d.inside).any():
        unknown = "no goal region: pass radius, or a problem with `reached`"
        return (*rows, Finding("blind after", "not known", unknown, "Theorem 9"))
    blind = float(np.median(d.blind_after))
    said = (
        "open loop sees to the end"
        if blind >= horizon
        else "replan before: beyond, a plan believed is true by luck"
    )
    return (
        *rows,
        Finding("goal's radius", number(d.radius), "along such errors, median", "problem"),
        Finding(
            "blind after",
            f"{spread(d.blind_after)} of {horizon}",
            f"{said} (fewer than half end in the region)",
            "Theorem 9",
        ),
    )


def _reach(found: Measured) -> Sequence[Finding]:
    r, problem = found.reach, found.problem
    fake = float(np.median(r.faking))
    honest = (
        "about the honest way: no shortcut" if fake >= 0.5 else "a shortcut: state gradients find false plans"
    )
    rows = [
        Finding("‖∂F/∂s‖, worst time", spread(r.state_gain), "an error of a state input grows by it in a step, at most", "Theorem 9"),
        Finding(
            "δ that fakes the goal", spread(r.faking),
            f"of the way to the goal, {number(np.median(r.faking_steps))} typical steps: {honest}", "Theorem 5, Figure 3",
        ),
        Finding(
            "‖∂F/∂a‖", f"{number(np.median(r.action_gains[..., 0]))} to {number(np.median(r.action_gains[..., -1]))}",
            "strongest and weakest direction of actions; a step is η_a times the square", "Theorem 6, Eq. (83)",
        ),
        Finding("missed by one action", spread(r.out_of_step), "of the way to the goal, whatever its size: what greedy cannot fix", "U3"),
        Finding("missed by all actions", spread(r.out_of_reach), "of the way, along these plans, to first order", "Eq. (21)"),
        Finding("left by the action set", spread(r.left_by_set), "of it, by the least actions put into the set", "Eq. (21)"),
    ]  # fmt: skip
    if r.idle is None:
        rows.append(
            Finding("solved by doing nothing", "not known", "the problem has no goal region", "problem")
        )
    else:
        rows.append(
            Finding(
                "solved by doing nothing",
                f"{r.idle} of {problem.batch}",
                "a planner's success counts from there",
                "problem",
            )
        )
    if r.least_steps is not None:
        short = int((r.least_steps > problem.horizon).sum())
        way = (
            "as given"
            if math.isnan(r.farthest_step)
            else f"no step was seen to move more than {number(r.farthest_step)}"
        )
        rows.append(
            Finding(
                "least steps",
                spread(r.least_steps),
                f"{way}; {short} of {problem.batch} problems need more than T",
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
            f"r = {number(r.rate.max())} at every horizon: use them."
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
            f"Open loop is blind after {blind:.0f} of {horizon} steps: replan at least every {max(1, int(blind))} steps.",
        )
    return (
        "Errors like those on the data stay inside the goal's region to the end; plans that leave the data are not covered.",
    )
