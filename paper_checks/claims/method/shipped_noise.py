"""The noise of the shipped planner: in its steps and in its initial states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import stats

from paper_checks.claims.method.planner_trace import drawn_problem, trace
from paper_checks.claims.method.shipped import PAPER, Reading
from paper_checks.engine.laws import normal_test
from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run


def record_noise(run: Run) -> None:
    """Examine the noise of `GRASP.paper()` in its steps."""
    run.examine(
        "the noise of GRASP.paper() is σξ with independent standard normal ξ on s_1, ..., s_{T−1}, after the gradient step",
        lambda factor: _inspect_noise(run, factor),
        1.0,
        false_variants={"σ 5% larger": 1.05, "σ 5% smaller": 0.95},
    )


def _inspect_noise(run: Run, factor: float) -> Evidence:
    """Test what is left of the states' steps after the listing's, over σ; noise added earlier would be shrunk by 1 − 2η_s."""
    iterations, rows = run.size(30, 10), 4
    planner = replace(PAPER, iterations=iterations, sync_every=None)
    network, problem = drawn_problem(run.rng("noise"), (run.size(200, 60), 2, 30), problems=rows)
    seen = trace(planner, problem)
    reading = Reading(planner)
    left = [after.states - reading.after(network, before, k).states for k, before, after in seen.steps()]
    noise = torch.stack(left).view(iterations, rows, *left[0].shape) / (factor * planner.state_noise)
    ends_kept = not bool(noise[:, :, [0, -1]].any())
    free = noise[:, :, 1:-1].numpy()
    level = run.level(4)
    found = normal_test(free.ravel(), level)
    products = {"iterations": free[1:] * free[:-1], "times": free[:, :, 1:] * free[:, :, :-1]}
    p_values = {
        name: float(2.0 * stats.norm.sf(abs(each.sum()) / np.sqrt(each.size)))
        for name, each in products.items()
    }
    outcomes = {
        "ends kept": ends_kept,
        **found.outcomes,
        **{f"uncorrelated over {name}": p >= level for name, p in p_values.items()},
    }
    correlation = (stats.norm.isf(level / 2.0) + stats.norm.isf(0.01)) / np.sqrt(products["iterations"].size)
    return Evidence(
        Grade.STATISTICAL,
        all(outcomes.values()),
        f"(states after a step − the listing's step)/σ, {found.summary}; correlation of neighbouring iterations p = "
        f"{p_values['iterations']:.2g}, of neighbouring times p = {p_values['times']:.2g} (one of {correlation:.1%} is found "
        f"with probability 0.99); s_0 and s_T {'bitwise kept' if ends_kept else 'moved'}",
        dict(found.numbers),
        outcomes=outcomes,
    )


def inspect_initial_states(run: Run, factor: float) -> Evidence:
    """Test the planner's initial states: interpolation plus noise of standard deviation sqrt(ε) inside, none at the ends."""
    planner = replace(PAPER, iterations=1)
    n, T, rows = run.size(2000, 300), 21, 4
    _, problem = drawn_problem(run.rng("initial states"), (n, 1, T), problems=rows)
    states = trace(planner, problem).states[0]
    share = (torch.arange(T + 1, dtype=states.dtype) / T)[None, :, None]
    line = share * problem.goal[:, None] + (1.0 - share) * problem.initial_state[:, None]
    noise = (states - line)[:, 1:-1] / (factor * planner.initial_state_noise)
    ends = bool((states[:, 0] == problem.initial_state).all() and (states[:, -1] == problem.goal).all())
    found = normal_test(noise.numpy().ravel(), run.level(2))
    outcomes = {"ends kept": ends, **found.outcomes}
    return Evidence(
        Grade.STATISTICAL,
        all(outcomes.values()),
        f"(initial states − interpolation)/√ε on t = 1..T−1, {found.summary}; s_0 and s_T = g "
        f"{'bitwise kept' if ends else 'not kept'}",
        dict(found.numbers),
        outcomes=outcomes,
    )
