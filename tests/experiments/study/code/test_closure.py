"""The digest of a trial's code: everything that runs belongs to it, and nothing else moves it."""

from __future__ import annotations

import ast
import itertools
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from study_cases import small_unit

import experiments
from experiments.study.code.closure import Closure, Code
from experiments.study.code.modules import Definition, Sources
from experiments.study.targets import offline_model
from experiments.study.trials.trial import planned_and_judged
from experiments.study.trials.unit import PLANNERS, Unit, code_digest, repository, trial_code
from grasp_theory.tasks import by_name
from linear_systems import errors

ROOT = Path(experiments.__file__).parents[1]
PACKAGES = ("linear_systems", "grasp_theory", "experiments")
TASKS = ("wall_single", "point_maze", "push_t")
EVERY = [(planner, task) for planner in PLANNERS for task in ("wall_single", "push_t")]
TINY = {planner: (("iterations", 2),) for planner in PLANNERS}
TINY["GRASP"] = (("iterations", 2), ("sync_every", 1), ("sync_steps", 1))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the sources, to be changed."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=lambda folder, names: [
            each for each in names if Path(folder, each).is_file() and not each.endswith(".py")])  # fmt: skip
    return tmp_path


def digests(root: Path) -> dict[tuple[str, str], str]:
    code = Code(Sources({name: root / name for name in PACKAGES}))
    return {(planner, task): trial_code(code, planner, task, "batch").digest() for planner, task in EVERY}


def changed(root: Path, file: str, *edits: tuple[str, str]) -> set[tuple[str, str]]:
    """Return which planners and tasks have another digest after an edit, every text of which must be there."""
    path = root / file
    text = path.read_text(encoding="utf-8")
    before = {each: code_digest(*each, "batch") for each in EVERY}
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    after = digests(root)
    return {each for each in EVERY if before[each] != after[each]}


def of(*planners: str) -> set[tuple[str, str]]:
    return {(planner, task) for planner, task in EVERY if planner in planners}


def test_every_planner_task_and_mode_has_its_own() -> None:
    planners, modes = ("CEM", "GRASP"), ("batch", "single", "mpc")
    found = {code_digest(planner, task, mode) for planner in planners for task in TASKS for mode in modes}
    assert len(found) == len(planners) * len(TASKS) * len(modes)
    assert all(len(each) == 16 for each in found)


def test_a_wrong_factor_in_grasp_outdates_grasp_alone(copy: Path) -> None:
    file = "grasp_theory/planners/grasp.py"
    assert changed(copy, file, ("ascent, -2.0 * self.share", "ascent, -2.1 * self.share")) == of("GRASP")


def test_the_constant_of_one_task_outdates_that_task_alone(copy: Path) -> None:
    file = "grasp_theory/tasks/push_t/push_t.py"
    assert changed(copy, file, ("POSITION_TOLERANCE = 20", "POSITION_TOLERANCE = 21")) == {
        (planner, "push_t") for planner in PLANNERS
    }


def test_what_all_execute_outdates_all(copy: Path) -> None:
    file = "experiments/study/trials/judge.py"
    assert changed(copy, file, ("1_000_000 * seed", "1_000_001 * seed")) == set(EVERY)


@pytest.mark.parametrize(
    ("file", "edits", "planner"),
    [
        ("hybrid.py", [("CEMGD", "CrossEntropyThenGradients"), ("gradient_lr", "descent_rate")], "CEMGD"),
        ("mppi.py", [("temperature", "heat")], "MPPI"),
        ("latco.py", [("def step", "def stride")], "LatCo"),
    ],
)
def test_a_rename_in_a_planner_outdates_no_other(
    file: str, edits: list[tuple[str, str]], planner: str, copy: Path
) -> None:
    assert changed(copy, f"grasp_theory/planners/{file}", *edits) == of(planner)


def test_a_default_counts_and_so_does_a_field(copy: Path) -> None:
    file = "grasp_theory/planners/gradient_descent.py"
    assert changed(copy, file, ('objective: Objective = "last"', 'objective: Objective = "all"')) == of(
        "GradientDescent"
    )


def test_words_annotations_and_names_of_variables_do_not_count(copy: Path) -> None:
    judge = "experiments/study/trials/judge.py"
    edits = [
        ('"""Return a seed for each problem', '"""Give each problem a seed'),
        ("targets: Float[np.ndarray, \"N P\"] = self", "targets: object = self"),
        ("targets", "what_is_probed"), ("answer", "verdict"), ("fine", "whoever_is_finite"),
        ("        states, wanted =", "        # first\n        states, wanted ="),
    ]  # fmt: skip
    assert changed(copy, judge, *edits) == set()


def test_where_a_function_stands_and_what_it_is_called_do_not_count(copy: Path) -> None:
    before = {each: code_digest(*each, "batch") for each in EVERY}
    old, new = copy / "grasp_theory" / "objectives.py", copy / "grasp_theory" / "smoothing" / "costs.py"
    old.rename(new)
    for path in copy.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = text.replace("grasp_theory.objectives", "grasp_theory.smoothing.costs")
        path.write_text(text.replace("noise_seeds", "seeds_of_noise"), encoding="utf-8")
    assert digests(copy) == before


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("def f():\n    a = 1\n    return a", "def f():\n    b = 1\n    return b", True),
        ("def f():\n    a, b = g()\n    return a - b", "def f():\n    b, a = g()\n    return b - a", True),
        ("def f():\n    a, b = g()\n    return a - b", "def f():\n    a, b = g()\n    return b - a", False),
        ("def f(x: int) -> int:\n    y: float = x\n    return y", "def f(x):\n    y = x\n    return y", True),
        ("def f(x=1):\n    return x", "def f(x=2):\n    return x", False),
        ("def f(x=1):\n    return x", "def f(y=1):\n    return y", False),  # a call may name it
        ("def f():\n    return [a for a in g()]", "def f():\n    return [b for b in g()]", True),
        ("def f():\n    return [g for g in g()]", "def f():\n    return [b for b in g()]", True),
        ("def f():\n    return [b for b in K]", "def f():\n    return [g for b in K]", False),
        ("def f():\n    def h(x):\n        return x\n    return h", "def f():\n    def i(x):\n        return x\n    return i", True),
        ("def f():\n    try:\n        g()\n    except E as a:\n        raise a",
         "def f():\n    try:\n        g()\n    except E as b:\n        raise b", True),
        ("def f():\n    import numpy as np\n    return np.pi", "import numpy\ndef f():\n    return numpy.pi", True),
        ("import numpy as np\ndef f():\n    return np.pi", "import numpy as np\ndef f():\n    return np.e", False),
        ("K = 1\ndef f():\n    return K", "K = 2\ndef f():\n    return K", False),
        ("K = 1\ndef f():\n    return K", "L = 1\ndef f():\n    return L", True),
        ("def f():\n    return g()\ndef g():\n    return 1", "def f():\n    return h()\ndef h():\n    return 1", True),
        ("def f():\n    return g()\ndef g():\n    return 1", "def f():\n    return g()\ndef g():\n    return 2", False),
        ("def f():\n    return 1", "def f():\n    return 1\ndef g():\n    return 2", True),
        ("def f():\n    return C().m()\nclass C:\n    def m(self):\n        return 1\n    def n(self):\n        return 1",
         "def f():\n    return C().m()\nclass C:\n    def m(self):\n        return 1\n    def n(self):\n        return 2", True),
        ("def f():\n    return C().m()\nclass C:\n    def m(self):\n        return 1",
         "def f():\n    return C().m()\nclass C:\n    def m(self):\n        return 2", False),
        ("import torch\ndef f():\n    return C()\nclass C(torch.nn.Module):\n    def forward(self):\n        return 1",
         "import torch\ndef f():\n    return C()\nclass C(torch.nn.Module):\n    def forward(self):\n        return 2", False),
        ("def f():\n    return C()\nclass C(tuple):\n    def __str__(self):\n        return 'a'",
         "def f():\n    return C()\nclass C(tuple):\n    def __str__(self):\n        return 'b'", True),
        ("def f():\n    return C().__str__()\nclass C(tuple):\n    def __str__(self):\n        return 'a'",
         "def f():\n    return C().__str__()\nclass C(tuple):\n    def __str__(self):\n        return 'b'", False),
        ("def f():\n    return getattr(C(), 'm')\nclass C:\n    def m(self):\n        return 1",
         "def f():\n    return getattr(C(), 'm')\nclass C:\n    def m(self):\n        return 2", False),
        ("def f():\n    return C\nclass C:\n    a: int = 1", "def f():\n    return C\nclass C:\n    a: int = 2", False),
        ("def f():\n    return C\nclass C:\n    a: int", "def f():\n    return C\nclass C:\n    b: int", False),
        ("def f():\n    return C\nclass C:\n    a: int",
         "def f():\n    return C\nclass C:\n    a: 'float'\n    '''A number.'''", True),
        ("import torch\ndef f():\n    return 1", "import torch\ntorch.set_num_threads(3)\ndef f():\n    return 1", False),
        ("@d\ndef f():\n    return 1", "def f():\n    return 1", False),
        ("def f():\n    global K\n    K = 1", "def f():\n    K = 1", False),
        ("def f(x):\n    match x:\n        case [a, *b]:\n            return a",
         "def f(x):\n    match x:\n        case [c, *d]:\n            return c", True),
        ("def f(x):\n    if (y := x):\n        return y", "def f(x):\n    if (z := x):\n        return z", True),
        ("def f(x):\n    if g(x):\n        raise E(x)\n    return x", "def f(x):\n    return x", True),
        ("def f(x):\n    if x:\n        raise E\n    elif 2 * x:\n        return 1",
         "def f(x):\n    if 2 * x:\n        return 1", True),
        ("def f(x):\n    if x:\n        return 1\n    raise E(f'{x}')",
         "def f(x):\n    if x:\n        return 1\n    raise E(1) from x", True),
        ("def f(x):\n    if x:\n        return 1\n    raise E(x)",
         "def f(x):\n    if x:\n        return 1\n    raise D(x)", False),
        ("def f(x):\n    if (y := x):\n        raise E\n    return y", "def f(x):\n    return y", False),
        ("def f(x):\n    if x:\n        g()\n        raise E", "def f(x):\n    pass", False),
        ("def f(x):\n    try:\n        return g(x)\n    except A as error:\n        raise E(x) from error",
         "def f(x):\n    return g(x)", True),
        ("def f(x):\n    try:\n        return g(x)\n    except A:\n        return 1", "def f(x):\n    return g(x)", False),
        ("def f(x):\n    try:\n        return g(x)\n    except A:\n        raise E\n    finally:\n        h()",
         "def f(x):\n    return g(x)", False),
        ("def f(x):\n    if x:\n        if g(x):\n            raise E", "def f(x):\n    pass", True),
        ("def f(x):\n    if x:\n        if g(x):\n            raise E\n    else:\n        h()", "def f(x):\n    h()", False),
        ("def f(x):\n    try:\n        g(x)\n    except A:\n        if x:\n            raise E", "def f(x):\n    g(x)", False),
        ("def f(x):\n    for y in x:\n        if y:\n            raise E(y)", "def f(x):\n    for y in x:\n        pass", True),
        ("def f(x):\n    if h(x):\n        raise E\ndef h(x):\n    return 1",
         "def f(x):\n    if h(x):\n        raise E\ndef h(x):\n    return 2", True),
        ("def f(x):\n    h(x)\ndef h(x):\n    if x > 1:\n        raise E",
         "def f(x):\n    h(x)\ndef h(x):\n    if x > 2:\n        raise E", True),
        ("def f(x):\n    if x > 1:\n        return 1", "def f(x):\n    if x > 2:\n        return 1", False),
    ],
)  # fmt: skip
def test_what_counts(before: str, after: str, same: bool, tmp_path: Path) -> None:
    assert (digest_of(before, tmp_path / "a") == digest_of(after, tmp_path / "b")) == same


def digest_of(text: str, folder: Path) -> str:
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "code.py").write_text(text)
    return Code(Sources({"package": folder})).closure(Definition("package.code", "f")).digest()


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("task", TASKS)
def test_all_that_a_trial_runs_belongs(planner: str, task: str) -> None:
    """No function of ours runs in a trial that neither belongs nor refuses; what the unit says of itself is in the key."""
    code = Code(repository().sources, refusals=True)
    kind: Any = "random" if task == "wall_single" else "trajectory"
    unit = small_unit(
        task=task, kind=kind, horizon=2, model=offline_model(task, 0), planner=planner, settings=TINY[planner]
    )  # fmt: skip
    by_name(task)  # what runs when modules are imported is no part of a trial
    for mode in ("batch", "single", "mpc"):
        asked: Unit = replace(unit, mode=mode)  # type: ignore[arg-type]
        ran = traced(lambda asked=asked: planned_and_judged(asked, "cpu"))
        belongs = trial_code(code, planner, task, mode).functions()
        missing = {
            each for each in ran - belongs if not each.startswith("experiments.study.trials.unit:Unit.")
        }
        assert len(ran) > 60
        assert not missing


def test_no_trial_goes_on_after_an_error_of_ours() -> None:
    """Else what only raises could change an outcome, and the digest would have to count it."""
    raised = {name for name in vars(errors) if name.endswith("Error")}
    raised |= {"Exception", "BaseException", "ValueError"}
    found = set()
    for planner, task in itertools.product(PLANNERS, TASKS):
        for name, statement in defined(trial_code(repository(), planner, task, "mpc")):
            for handler in ast.walk(statement):
                if isinstance(handler, ast.ExceptHandler) and not isinstance(handler.body[-1], ast.Raise):
                    kinds = ast.walk(handler.type or ast.Name("BaseException"))
                    if raised & {each.id for each in kinds if isinstance(each, ast.Name)}:
                        found.add(name)
    # These try nothing but calls of a library.
    annotations = {f"linear_systems.annotations:{name}" for name in ("takes", "shown", "_nested")}
    assert found == annotations | {"grasp_theory.boundary:as_booleans"}


def defined(closure: Closure) -> Iterator[tuple[str, ast.stmt]]:
    """Return the statements of a closure, with all methods of its classes."""
    for each in closure.order:
        module = closure.code.sources.module(each.module)
        assert module is not None
        for statement in module.definitions[each.name] if each.name else module.effects:
            yield f"{each.module}:{each.name}", statement


def traced(run: Callable[[], object]) -> set[str]:
    """Return "module:name" of the top-level functions, and "module:Class.method", of ours that a call runs."""
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return set(ours(codes))


def ours(codes: set[CodeType]) -> Iterator[str]:
    for code in codes:
        path = Path(code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PACKAGES:
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            outermost = code.co_qualname.partition(".<locals>")[0]
            if not outermost.startswith("<"):
                yield f"{module}:{outermost}"


def test_every_version_of_python_finds_the_same(tmp_path: Path) -> None:
    text = (
        "import numpy as np\nK = {'a': 1.5, 'b': (None, True)}\n"
        "class C:\n    size: int = 2\n    @property\n    def m(self): return [x for x in K if (y := x)]\n"
        "def f(a, /, b=1, *c, d: int = 2, **e) -> str:\n    with a as g, g:\n        match b:\n"
        "            case {'k': h, **i}: return f'{h!r:>{b}} {i}'\n"
        "    return lambda z: np.sum(C().m, axis=-z) if c else (yield e[d:])\n"
    )
    assert digest_of(text, tmp_path / "a") == "ef01d68fb34e964f"


def test_a_class_is_refused_unless_told_which_methods_are_called() -> None:
    """Else nothing that they do would move the digest."""
    root = Definition("grasp_theory.planners.mppi", "MPPI")
    with pytest.raises(errors.ParameterError, match="names of methods of MPPI, found none"):
        repository().closure(root)
    assert (
        "grasp_theory.planners.mppi:MPPI.plan"
        not in repository().closure(root, methods=("_search",)).functions()
    )
    assert (
        "grasp_theory.planners.mppi:MPPI._search"
        in repository().closure(root, methods=("_search",)).functions()
    )
