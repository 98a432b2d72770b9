"""Plants one small fault at a time and asks the tests, then the claims, whether they notice: `make mutants`.

A sample of all faults is drawn by seed.  Outcomes are kept in `report/mutants.jsonl`, and a second call goes on where
the first stopped.  Each fault runs in a fork of a process that has the big libraries loaded, on a copy of the tree.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

ROOT = Path(__file__).parents[2]
OUTCOMES = Path("report/mutants.jsonl")
CPU_SECONDS = 300
"""Processor time after which a mutant counts as noticed: what it broke does not end."""

ENGINE = ("tests/paper_checks/engine", "tests/paper_checks/report/test_verdicts.py")
PLANNERS = tuple(
    f"tests/grasp_theory/planners/test_{name}.py"
    for name in ("grasp", "conformance", "budgets", "robustness")
)
TARGETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "paper_checks/engine/inspection.py": (("tests/paper_checks/engine/test_inspection.py",), ("thm2",)),
    "paper_checks/engine/search.py": (("tests/paper_checks/engine/test_search.py",), ()),
    "paper_checks/engine/orders.py": (("tests/paper_checks/engine/test_orders.py",), ()),
    "paper_checks/engine/laws.py": (("tests/paper_checks/engine/test_laws.py",), ("text-initial-states",)),
    "paper_checks/engine/records.py": (ENGINE, ()),
    "paper_checks/engine/run.py": (ENGINE, ()),
    "paper_checks/report/verdicts.py": (("tests/paper_checks/report/test_verdicts.py",), ()),
    "grasp_theory/statistics": (("tests/grasp_theory/statistics",), ("tables-granularity", "text-outperforms")),
    "grasp_theory/planners/grasp.py": (PLANNERS, ("algorithm-1", "sync", "noisy-dynamics")),
    "grasp_theory/planners/loop/lifted.py": (PLANNERS, ("algorithm-1", "text-initial-states")),
    "grasp_theory/planners/loop/optimizers.py": (PLANNERS, ("algorithm-1", "sync")),
    "grasp_theory/planners/loop/search.py": (PLANNERS, ("algorithm-1",)),
    "grasp_theory/planners/loop/rows.py": (PLANNERS, ("algorithm-1",)),
    "grasp_theory/theorems/record.py": (("tests/grasp_theory/theorems/test_record.py",), ()),
    "grasp_theory/theorems/theorem_4.py": (("tests/grasp_theory/theorems/test_theorem_4.py",), ("thm4",)),
    "grasp_theory/theorems/theorem_5.py": (("tests/grasp_theory/theorems/test_theorem_5.py",), ("thm5",)),
    "grasp_theory/theorems/theorem_6_uniform.py": (("tests/grasp_theory/theorems/test_theorem_6_uniform.py",), ()),
    "grasp_theory/theorems/theorem_8.py": (("tests/grasp_theory/theorems/test_theorem_8.py",), ("thm8",)),
    "grasp_theory/theorems/corollary_1.py": (("tests/grasp_theory/theorems/test_corollary_1.py",), ("cor1",)),
    "grasp_theory/theorems": (("tests/grasp_theory/theorems/test_linear_theorems.py",), ("thm2", "thm3", "thm7", "thm9")),
    "grasp_theory/smoothing/constants.py": (("tests/grasp_theory/smoothing/test_constants.py",), ("thm4-sharper",)),
    "linear_systems/stop_gradient/uniform_bounds.py": (
        ("tests/linear_systems/stop_gradient/test_uniform_bounds.py",), ("thm6-uniform",),
    ),
    "linear_systems/noise/langevin.py": (("tests/linear_systems/noise/test_langevin.py",), ("a3-state-noise",)),
    "linear_systems/exact/certificates.py": (("tests/linear_systems/exact",), ()),
}  # fmt: skip
"""A file or a folder -> the tests, quickest first, and the claims that should notice a fault in it; the first that fits."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
CALLS = {
    "min": "max",
    "max": "min",
    "all": "any",
    "any": "all",
    "argmin": "argmax",
    "argmax": "argmin",
    "cos": "sin",
    "sin": "cos",
}


@dataclass(frozen=True)
class Mutant:
    """One fault: the `number`-th change of the file, on `line`, and what it is."""

    path: str
    number: int
    line: int
    change: str


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield every small change of one node: what it is, and the node that replaces it."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.Compare) and type(new.ops[0]) in COMPARISONS:
        was = type(new.ops[0])
        new.ops[0] = COMPARISONS[was]()
        yield f"{was.__name__} → {COMPARISONS[was].__name__}", new
    elif isinstance(new, ast.BinOp | ast.AugAssign) and type(new.op) in ARITHMETIC:
        was_op = type(new.op)
        new.op = ARITHMETIC[was_op]()
        yield f"{was_op.__name__} → {ARITHMETIC[was_op].__name__}", new
    elif isinstance(new, ast.BoolOp):
        other = ast.Or if isinstance(new.op, ast.And) else ast.And
        yield f"{type(new.op).__name__} → {other.__name__}", ast.BoolOp(other(), new.values)
    elif isinstance(new, ast.UnaryOp) and isinstance(new.op, ast.USub | ast.Not):
        yield f"{type(new.op).__name__} dropped", new.operand
    elif isinstance(new, ast.Constant) and isinstance(new.value, bool):
        yield f"{new.value} → {not new.value}", ast.Constant(not new.value)
    elif isinstance(new, ast.Constant) and isinstance(new.value, int | float):
        value = new.value + 1 if isinstance(new.value, int) else new.value * 1.1 or 1.0
        yield f"{new.value!r} → {value!r}", ast.Constant(value)
    elif isinstance(new, ast.Call):
        name = new.func
        if isinstance(name, ast.Name) and name.id in CALLS:
            yield (
                f"{name.id} → {CALLS[name.id]}",
                ast.Call(ast.Name(CALLS[name.id], ast.Load()), new.args, new.keywords),
            )
        elif isinstance(name, ast.Attribute) and name.attr in CALLS:
            other_name = ast.Attribute(name.value, CALLS[name.attr], ast.Load())
            yield f"{name.attr} → {CALLS[name.attr]}", ast.Call(other_name, new.args, new.keywords)
    elif isinstance(new, ast.If | ast.IfExp):
        new.test = ast.UnaryOp(ast.Not(), new.test)
        yield "condition negated", new


class _Planter(ast.NodeTransformer):
    """Counts the changes of a module, and makes the `wanted`-th; texts, annotations and errors raised are left alone."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.found = wanted, list[tuple[int, str]]()

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            return node
        replacement = node
        for change, new in changes(node):
            if len(self.found) == self.wanted:
                replacement = ast.copy_location(new, node)
            self.found.append((getattr(node, "lineno", 0), change))
        if replacement is not node:
            return ast.fix_missing_locations(replacement)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = cast(ast.expr, self.visit(node.value))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.args.defaults = [cast(ast.expr, self.visit(each)) for each in node.args.defaults]
        node.body = [cast(ast.stmt, self.visit(each)) for each in node.body]
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef):
            return self.visit_FunctionDef(node)
        if isinstance(node, ast.AnnAssign):
            return self.visit_AnnAssign(node)
        if isinstance(node, ast.arg):
            return node
        return super().generic_visit(node)


def target(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tests and claims of a file."""
    return next(chosen for name, chosen in TARGETS.items() if path == name or path.startswith(f"{name}/"))


def every_mutant() -> list[Mutant]:
    """Return all faults there are, in a fixed order."""
    paths = {
        path.relative_to(ROOT).as_posix()
        for name in TARGETS
        for path in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py")))
    }
    found = []
    for path in sorted(paths):
        planter = _Planter()
        planter.visit(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        found += [Mutant(path, number, line, change) for number, (line, change) in enumerate(planter.found)]
    return found


class Judges:
    """The tests and claims, in a copy of the tree; each is heard without a fault before it is believed."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self._sound: set[str] = set()

    def noticed_by(self, mutant: Mutant) -> str:
        """Return what notices a fault: a test file or folder, a claim, or nothing."""
        original = (ROOT / mutant.path).read_text(encoding="utf-8")
        faulty = ast.unparse(_Planter(mutant.number).visit(ast.parse(original)))
        tests, claims = target(mutant.path)
        for name in (*tests, *(f"claim {claim}" for claim in claims)):
            if name not in self._sound:
                (self.tree / mutant.path).write_text(original, encoding="utf-8")
                if self._complains(name):
                    raise SystemExit(
                        f"{name} fails without any fault, so nothing can be learnt of {mutant.path}"
                    )
                self._sound.add(name)
            (self.tree / mutant.path).write_text(faulty, encoding="utf-8")
            complains = self._complains(name)
            (self.tree / mutant.path).write_text(original, encoding="utf-8")
            if complains:
                return name
        return ""

    def _complains(self, name: str) -> bool:
        kind, _, claim = name.partition("claim ")
        return _forked(lambda: _claim(claim) if claim else _test(kind), self.tree)


def _forked(work: Callable[[], int], tree: Path) -> bool:
    """Run `work` in a fork inside the tree; return whether it fails, or takes too long."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        os.chdir(tree)
        sys.path[:0] = [str(tree), str(tree / "tests/support")]
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            code = work()
        except BaseException:  # whatever the fault made it raise
            code = 1
        os._exit(code)
    return os.waitpid(child, 0)[1] != 0


def _test(test: str) -> int:
    import pytest

    return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0", test]))


def _claim(claim_id: str) -> int:
    from paper_checks.claims import ALL_CLAIMS
    from paper_checks.engine.run import Settings, run_claim
    from paper_checks.report.verdicts import RECORD_PATH, deviations, load_recorded

    recorded = load_recorded(RECORD_PATH)
    result = run_claim(next(claim for claim in ALL_CLAIMS if claim.id == claim_id), Settings(quick=True))
    return int(bool(deviations([result], recorded, recorded)))


def main() -> None:
    """Try the faults of a sample that have not been tried, and say how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=400, help="how many faults, of all there are")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no further fault after so long"
    )
    options = parser.parse_args()
    everything = every_mutant()
    sample = random.Random(options.seed).sample(everything, min(options.sample, len(everything)))
    OUTCOMES.parent.mkdir(exist_ok=True)
    lines = OUTCOMES.read_text(encoding="utf-8").splitlines() if OUTCOMES.exists() else []
    known = {(row["path"], row["number"], row["change"]): row["noticed_by"] for row in map(json.loads, lines)}
    # Loaded once, for all forks; pytest's own plugins must not be.
    import sympy  # noqa: F401
    import torch  # noqa: F401

    sys.dont_write_bytecode = True  # two faults of one size within a second would share it
    end = time.monotonic() + 60.0 * options.minutes
    with tempfile.TemporaryDirectory() as folder, OUTCOMES.open("a", encoding="utf-8") as log:
        tree = Path(folder)
        for name in ("grasp_theory", "linear_systems", "paper_checks", "tests", "experiments"):
            shutil.copytree(
                ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.pt", "__pycache__", "results")
            )
        shutil.copy(ROOT / "pyproject.toml", tree)
        judges = Judges(tree)
        for mutant in sample:
            key = (mutant.path, mutant.number, mutant.change)
            if key in known or time.monotonic() > end:
                continue
            known[key] = judges.noticed_by(mutant)
            log.write(json.dumps({**asdict(mutant), "noticed_by": known[key]}, ensure_ascii=False) + "\n")
            log.flush()
    tried = [mutant for mutant in sample if (mutant.path, mutant.number, mutant.change) in known]
    survivors = [m for m in tried if not known[m.path, m.number, m.change]]
    told = [f"{len(tried) - len(survivors)} of {len(tried)} noticed; {len(everything)} faults in all"]
    told += [
        f"  {mutant.path}:{mutant.line}: {mutant.change} (number {mutant.number})" for mutant in survivors
    ]
    sys.stdout.write("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
