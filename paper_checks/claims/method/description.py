"""What the paper says of its own setting in several places, which must agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp

from paper_checks.claims.method.shipped_noise import inspect_initial_states
from paper_checks.claims.printed.comparisons import LONG, SHORT
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run

# The benchmark suites

ENVIRONMENTS = tuple(dict.fromkeys(setting.split(" H=")[0] for setting in (*SHORT, *LONG)))
"""The environments for which Tables 1–5 report results."""

SUITES = {
    "D4RL": (
        "Maze2D", "AntMaze", "HalfCheetah", "Hopper", "Walker2d", "Adroit", "FrankaKitchen", "Flow", "CARLA",
    ),
    "DeepMind control suite": (
        "acrobot", "ball_in_cup", "cartpole", "cheetah", "dog", "finger", "fish", "hopper", "humanoid",
        "humanoid_CMU", "lqr", "manipulator", "pendulum", "point_mass", "quadruped", "reacher", "stacker",
        "swimmer", "walker",
    ),
}  # fmt: skip
"""The domains of the two suites: arXiv 2004.07219, and the package dm_control.suite (arXiv 1801.00690)."""
SUITE_NAMES = {"PointMaze": "Maze2D"}
"""What an environment is called in its suite, where that differs: PointMaze is the maze task of D4RL."""


def _represented(suites: Sequence[str]) -> Evidence:
    """Judge whether the tables report an environment of every suite named."""
    found = {
        suite: [name for name in ENVIRONMENTS if SUITE_NAMES.get(name, name) in SUITES[suite]]
        for suite in suites
    }
    summary = f"environments with results: {', '.join(ENVIRONMENTS)}; " + "; ".join(
        f"of {suite}: {', '.join(names) or 'none'}" for suite, names in found.items()
    )
    instance = (
        "from paper_checks.claims.method.description import ENVIRONMENTS, SUITES\nprint(ENVIRONMENTS, SUITES)"
    )
    numbers = {f"from {suite}": len(names) for suite, names in found.items()}
    return Evidence(Grade.REPORTED, all(found.values()), summary, numbers, instance)


def check_suites(run: Run) -> None:
    """Every suite named must have an environment with results."""
    run.examine(
        "the tables report results on problems of both suites",
        _represented,
        ("D4RL", "DeepMind control suite"),
        false_variants={"of the control suite alone": ("DeepMind control suite",)},
        true_variants={"of D4RL alone": ("D4RL",)},
    )


# What a horizon counts


@dataclass(frozen=True)
class _Horizon:
    """How horizons H are counted.

    Arguments
        model_step: the environment steps in one step of the world model.
        counts_model_steps: whether H counts steps of the model (True) or of the environment.
    """

    model_step: int = 5
    counts_model_steps: bool = False


def _one_unit(horizon: _Horizon) -> Evidence:
    """Judge whether every H is whole model steps and Figure 1's action space at H = 50 is R^(50 x 2)."""
    action, figure_1 = 2, (50, 2)
    lengths = {int(setting.split("=")[1]) for setting in (*SHORT, *LONG)}
    step = 1 if horizon.counts_model_steps else horizon.model_step
    uneven = sorted(length for length in lengths if length % step)
    dimension = sp.Rational(figure_1[0], step) * horizon.model_step * action
    unit = "model" if horizon.counts_model_steps else "environment"
    summary = (
        f"with H in {unit} steps and {horizon.model_step} environment steps to a model step, H = "
        f"{min(lengths)}..{max(lengths)} is T = "
        f"{sp.Rational(min(lengths), step)}..{sp.Rational(max(lengths), step)} model steps; not whole: "
        f"{uneven or 'none'}; actions at H = 50 have {dimension} components, Figure 1 has "
        f"{figure_1[0] * figure_1[1]}"
    )
    passed = not uneven and dimension == figure_1[0] * figure_1[1]
    return Evidence(Grade.REPORTED, passed, summary, {"largest T": float(sp.Rational(max(lengths), step))})


def _short_plans(model_steps: int) -> Evidence:
    longest = max(int(setting.split("=")[1]) for setting in LONG) // _Horizon().model_step
    summary = f"the longest plan of the paper takes {longest} steps of the world model"
    return Evidence(Grade.REPORTED, longest < model_steps, summary, {"longest T": longest})


def check_model_steps(run: Run) -> None:
    """Horizons, action dimension and the five-step model must fit together."""
    run.examine(
        "every horizon is a whole number of five-step predictions, and agrees with the action space of "
        "Figure 1",
        _one_unit,
        _Horizon(),
        false_variants={
            "horizons count model steps": _Horizon(counts_model_steps=True),
            "a model step of 4 environment steps": _Horizon(4),
        },
    )
    run.caveat(
        "A horizon of 80 is not T = 80: the T of the theory, the number of model steps, stays below 20.",
        _short_plans,
        20,
        false_variants={"below 10": 10},
    )


# The noise schedule

_CONSTANT = {
    "Eq. (5)": r"\sigma_{\text{state}} \xi_t^k",
    "Eq. (11)": r"\sigma_{\text{state}} \xi_t^k",
    "Algorithm 1, line 6": r"\sigma_{\text{state}} \xi_t",
}
"""The noise term of the state update, as printed."""


def _scheduled(terms: dict[str, str]) -> Evidence:
    """Judge whether the noise level carries the iteration k wherever the state update is written."""
    levels = {place: term.partition(r"\xi")[0] for place, term in terms.items()}
    constant = [place for place, level in levels.items() if "^k" not in level and "(k)" not in level]
    summary = (
        f"the noise level depends on the iteration in {len(terms) - len(constant)} of {len(terms)} places"
    )
    summary += f"; not in {', '.join(constant)}" if constant else ""
    instance = "\n".join(f"{place}: {term}" for place, term in terms.items())
    return Evidence(
        Grade.ARGUED,
        not constant,
        f"{summary}.  A level that depends on the iteration would carry its index k, as ξ does, or be written σ(k): the "
        "printed terms are read for it, and a schedule told in words elsewhere would be overlooked",
        {"constant": len(constant)},
        f'print(r"""{instance}""")',
    )


def check_schedule(run: Run) -> None:
    """The decaying schedule that A.2 motivates must be in the method."""
    decaying = {place: term.replace("}}", "}}^k") for place, term in _CONSTANT.items()}
    run.examine(
        "the noise level σ_state of the method depends on the iteration",
        _scheduled,
        _CONSTANT,
        false_variants={"only the noise itself carries the iteration": {"Eq. (5)": _CONSTANT["Eq. (5)"]}},
        true_variants={"written with σ_state^k": decaying},
    )


# The initial states


@dataclass(frozen=True)
class _Initial:
    """Which states get noise when they are initialised: t = first, ..., T + last."""

    first: int = 0
    last: int = 0


def _boundary_kept(initial: _Initial) -> Evidence:
    """Judge whether s_0 and s_T stay fixed under s_t = (t/T) g + (1 - t/T) s_0 + z, z ~ N(0, ε I)."""
    start, goal, epsilon = sp.symbols("s_0 g epsilon", positive=True)
    length = sp.Symbol("T", positive=True, integer=True)
    wrong = []
    for name, t, fixed, noised in (
        ("s_0", sp.Integer(0), start, initial.first <= 0),
        ("s_T", length, goal, initial.last >= 0),
    ):
        mean = sp.simplify(t / length * goal + (1 - t / length) * start)
        variance = epsilon if noised else sp.Integer(0)
        if mean != fixed or variance != 0:
            wrong.append(f"{name} has mean {mean} and variance {variance}")
    summary = f"noise on t = {initial.first}, ..., T{initial.last or ''}: " + (
        "; ".join(wrong) or "both kept"
    )
    instance = (
        "import numpy as np\nrng, s_0, g, T, epsilon = np.random.default_rng(0), 0.0, 1.0, 10, 0.01\n"
        "print(*(t / T * g + (1 - t / T) * s_0 + epsilon**0.5 * rng.standard_normal() for t in (0, T)))"
    )
    return Evidence(
        Grade.ARGUED,
        not wrong,
        f"{summary}.  z ~ N(0, εI) is printed for every t of {{s_t}}_0^T; with ε > 0 a state that is noised is fixed no more",
        {"boundary states changed": len(wrong)},
        instance,
    )


def check_initial_states(run: Run) -> None:
    """The initialisation must leave the fixed states of Eq. (4) fixed."""
    everywhere = _Initial()
    run.examine(
        "the initial states s_0, ..., s_T of Section 4.1 keep s_0 and s_T = g fixed, as Eq. (4) has them",
        _boundary_kept,
        everywhere,
        false_variants={"noise from t = 0 to T - 1": replace(everywhere, last=-1)},
        true_variants={"noise from t = 1 to T - 1, as in Algorithm 1": _Initial(1, -1)},
    )
    run.examine(
        "GRASP.paper() starts from the interpolation with N(0, εI) noise on s_1, ..., s_{T-1} only",
        lambda factor: inspect_initial_states(run, factor),
        1.0,
        false_variants={"√ε 5% larger": 1.05, "√ε 5% smaller": 0.95},
    )


CLAIMS = (
    Claim(
        id="text-suites",
        title="World models trained on problems in D4RL and the DeepMind control suite",
        source="Section 1; Section 4.2; Tables 1–5",
        statement="The planner is demonstrated on problems in D4RL and the DeepMind control suite.",
        check=check_suites,
        assumptions=("An environment belongs to a suite if the suite's own list of domains has it.",),
    ),
    Claim(
        id="text-model-steps",
        title="The world model takes 5 actions and predicts 5 steps ahead",
        source="Section 4.2; Figure 1",
        statement=(
            "F takes stacked actions in R^10 and predicts 5 steps; at H = 50 the action space is R^(50 x 2)."
        ),
        check=check_model_steps,
    ),
    Claim(
        id="text-noise-schedule",
        title="Decaying noise schedule",
        source="Appendix A.2, last sentence; Eq. (5), (11); Algorithm 1",
        statement="Smoothing motivates 'the decaying noise schedule' as annealing.",
        check=check_schedule,
        assumptions=("A schedule shows as a dependence of σ_state on the iteration k.",),
    ),
    Claim(
        id="text-initial-states",
        title="Initial states: noised linear interpolation",
        source="Section 4.1; Eq. (4); Algorithm 1",
        statement=(
            "All states s_0, ..., s_T are initialised with noise around the interpolation from s_0 to g."
        ),
        check=check_initial_states,
    ),
)
