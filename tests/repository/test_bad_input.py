"""Bad input, at every door: typed errors that name the argument, no hang, and nothing accepted that is not listed here.

A sample by `SWEEP_SEED`; `SWEEP_SHARE=1` calls with every kind of value for every parameter, which takes minutes.
"""

from __future__ import annotations

import inspect
import os
import re
from collections import Counter
from functools import cache

import pytest
from sweep import ACCEPTED, HUNG, OWN, RAW, TYPED, UNNAMED, Answer, calls, sweep

SHARE = float(os.environ.get("SWEEP_SHARE", "0.2"))
SEED = int(os.environ.get("SWEEP_SEED", "0"))
LEAST = 0.98
"""The share of the refused that must be typed and named."""

NUMBERS = {
    "7", "0", "0.0", "0.5", "2.5", "1e300", "5e-324", "np.int64", "np.float32", "IntEnum", "Fraction", "10**30", "10**400",
}  # fmt: skip
WEIGHTS = NUMBERS | {
    "[0.5]",
    "one in a tuple",
    "array ()",
    "array (1,)",
    "array (17,)",
    "tensor ()",
    "tensor (1,)",
}
VECTORS = {
    "[]", "()", "[0.5]", "[1]", "one in a tuple", "pair of negatives", "triple", "empty array", "empty tensor",
    "array (1,)", "array (17,)", "tensor (1,)",
}  # fmt: skip
MATRICES = {
    "array (3, 7)", "array (1, 2, 3, 4)", "array (0, 2)", "array of 1e300", "tensor (3, 7)", "tensor (1, 2, 3, 4)",
    "tensor (0, 2)", "float64 tensor",
}  # fmt: skip
GRADIENTS = {"tensor with gradient", "parameter"}
WORDS = {"empty word", "word", "number in a word", "nan in a word", "null in a word", "long word"}

LISTED: tuple[tuple[str, set[str], str], ...] = (
    (r".*: .*\b(float|complex)\b.*|.*: StepSize", NUMBERS, "a real number, of whatever Python or numpy type"),
    (r".*: .*\bint\b.*", {"7", "0", "np.int64", "IntEnum"}, "a count, of whatever Python or numpy type"),
    (r".*: .*\bbool\b.*", {"True", "False", "np.bool_"}, "a truth value"),
    (r".*: .*\bNone\b.*", {"None"}, "None is documented"),
    (r".*: (AnySystem|LinearSystem|Model|.*system.*)", {"LinearSystem 5x4", "TimeVaryingLinearSystem"}, "a system"),
    (r".*\.gradient_steps\.(beta|cycle)|gradient_steps\.(beta|cycle): .*", WEIGHTS, "weights and step sizes"),
    (r"gradient_steps\.system: .*", {"LinearSystem 5x4", "TimeVaryingLinearSystem"}, "a system"),
    (r".*\.(beta|goal_weight): ArrayLike", WEIGHTS, "one weight, or one a step"),
    (r".*: (ArrayLike|ArrayLike \| fmpq_mat \| None|Bound)", VECTORS, "numbers, as a list or an array"),
    (r".*: (ArrayLike|Matrix)", MATRICES | {"scipy sparse"}, "a matrix, dense, and sparse where `Matrix` says so"),
    (r"Box\..*|.*\.Box\.(low|high): Bound", NUMBERS | VECTORS | {"-1", "-0.5", "inf", "-inf", "array ()", "tensor ()"},
     "a bound is any number, one or many; infinity is none"),
    (r".*\.PlanningProblem\.(horizon|action_dim): .*|.*\.history_problem\.(horizon|action_dim): .*",
     {"7", "IntEnum", "np.int64"}, "a count"),
    (r".*: (Any|World|Metric \| Any)", {"None"}, "None is the default of what may be left out"),
    (r".*\.(initial_state|goal): Any|.*\.(A|B): Tensor|.*\.diagnose\.errors: .*|.*: Float\[Tensor.*", GRADIENTS,
     "a tensor with a gradient is a tensor"),
    (r".*\.diagnose\.errors: .*", NUMBERS | {"array of 1e300", "float64 tensor"}, "σ, or errors"),
    (r".*\.diagnose\.metric: .*", {"pair of negatives"}, "lower bounds on steps"),
    (r".*\.(rollout|rollout_loss)\.(initial_state|actions): Tensor",
     GRADIENTS | {"tensor of nan", "tensor of inf", "tensor (0, 2)", "float64 tensor"},
     "a model that diverges is rolled out too, and nothing of no problems"),
    (r"(Box|Balls|Held)\.project\.actions: .*",
     MATRICES | VECTORS | GRADIENTS | {"tensor of nan", "tensor of inf"}, "NaN stays NaN"),
    (r".*\.risk_p_values\.thresholds: .*", VECTORS, "any thresholds"),
    (r".*\.(action_step|goal_drift)\.action: .*", {"tensor (1,)"}, "the model broadcasts one component"),
    (r".*\.control\.world: .*",
     {"tensor of integers", "tensor of booleans", "complex tensor", "bfloat16 tensor", "float16 tensor", "float64 tensor",
      "tensor (0, 2)"} | GRADIENTS, "the world is the user's own"),
    (r".*: .*(Callable|Function|LogProfile|Callback|Reached|Model|StageCost|GoalDistance|Read\b).*",
     {"function to None", "function that raises", "builtin", "nn.Linear(5, 5)", "nn.Identity"},
     "a function of as many arguments; what it does shows when it is called"),
    (r".*: (Mapping.*|dict.*)", {"dict", "{}"}, "a mapping"),
    (r".*\.holm\.p_values: .*", VECTORS | {"range"}, "p-values, any number of them"),
    (r".*: complex", {"-1", "-0.5", "1j", "1+0j", "np.complex128"}, "any complex number"),
    (r".*\.p: float|.*\.(reach|population_decay): float", {"inf"}, "infinity is documented"),
    (r".*\.(offset|phase|amplitude|log_amplitude|intercept|low|high): float", {"-1", "-0.5"}, "a number of any sign"),
    (r".*: nn\.Module( \| None)?", {"nn.Linear(5, 5)", "nn.Identity"}, "a module"),
    (r".*: np\.random\.Generator", {"np.random.Generator"}, "a generator"),
    (r".*: torch\.Generator( \| None)?", {"torch.Generator"}, "a generator"),
    (r".*: torch\.dtype \| None", {"torch.dtype"}, "a type"),
    (r".*\.certificates\.\w+\.(scale|relative|c): object", NUMBERS | {"-1", "-0.5", "-10**30"}, "any rational number"),
    (r".*\.(argument|unit|task|licence|code_version): str", WORDS, "any text"),
    (r".*: str \| Path", WORDS | {"path"}, "a path where something can be"),
    (r".*: tuple\[Bound, Bound\] \| None", {"pair of negatives"}, "bounds"),
    (r".*: tuple\[float, \.\.\.\]", {"one in a tuple"}, "as many numbers as there are features"),
    (r".*: tuple\[int, \.\.\.\]", {"()", "triple"}, "a shape"),
)  # fmt: skip
"""(call.parameter: annotation, kinds that are accepted, why)."""


@cache
def annotations() -> dict[tuple[str, str], str]:
    found = {}
    for call in calls():
        for name, parameter in inspect.signature(call.function).parameters.items():
            found[call.name, name] = str(parameter.annotation)
    return found


def listed(answer: Answer) -> bool:
    """Return whether the kind of value is on the list for this parameter."""
    text = f"{answer.call}.{answer.parameter}: {annotations()[answer.call, answer.parameter]}"
    return any(answer.kind in kinds and re.fullmatch(pattern, text) for pattern, kinds, _ in LISTED)


@pytest.mark.slow
def test_bad_input_is_refused_by_name_at_every_door() -> None:
    answers = list(sweep(SHARE, SEED))
    counts = Counter(each.outcome for each in answers)
    refused = counts[TYPED] + counts[UNNAMED] + counts[RAW] + counts[HUNG]
    assert refused > 5000
    assert [each for each in answers if each.outcome == HUNG] == []
    assert [each for each in answers if each.outcome == ACCEPTED and not listed(each)] == []
    raw = [each for each in answers if each.outcome in (RAW, UNNAMED)]
    assert counts[TYPED] >= LEAST * refused, f"{counts}: {raw[:20]}"


def test_the_list_refuses_what_is_not_on_it() -> None:
    assert listed(Answer("linear_systems.conditioning.shooting.lipschitz", "horizon", "7", ACCEPTED, ""))
    assert not listed(
        Answer("linear_systems.conditioning.shooting.lipschitz", "horizon", "True", ACCEPTED, "")
    )
    assert not listed(Answer("grasp_theory.objectives.goal_loss", "goal", "complex tensor", ACCEPTED, ""))
    assert OWN not in (ACCEPTED, RAW)


@pytest.mark.parametrize(
    "kind", ["None", "masked array", "sparse tensor", "meta tensor", "complex tensor", "10**30", "word"]
)
def test_some_of_it_on_every_run(kind: str) -> None:
    doors = (
        "shooting.lipschitz",
        "objectives.goal_loss",
        "dynamics.LinearDynamics",
        "statistics.paired_trials.holm",
    )
    answers = [each for door in doors for each in sweep(1.0, SEED, door, kind)]
    assert {each.outcome for each in answers} == {TYPED}, answers
