"""The small faults that `make mutants` plants: where, which there are, and the source of a file with one of them."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

ROOT = Path(__file__).parents[2]

TARGETS = (
    *(
        f"paper_checks/engine/{name}.py"
        for name in ("inspection", "search", "orders", "laws", "records", "run")
    ),
    "paper_checks/report/verdicts.py",
    "grasp_theory/statistics",
    "grasp_theory/planners/grasp.py",
    *(f"grasp_theory/planners/loop/{name}.py" for name in ("lifted", "optimizers", "search", "rows")),
    "grasp_theory/theorems",
    "grasp_theory/smoothing/constants.py",
    "linear_systems/stop_gradient/uniform_bounds.py",
    "linear_systems/noise/langevin.py",
    "linear_systems/exact/certificates.py",
)
"""The files and folders in which faults are planted."""

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
    digest: str
    """Of the file without it."""


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
        source = (ROOT / path).read_bytes()
        planter.visit(ast.parse(source))
        digest = hashlib.sha256(source).hexdigest()[:12]
        found += [Mutant(path, n, line, change, digest) for n, (line, change) in enumerate(planter.found)]
    return found


def planted(mutant: Mutant, source: str) -> str:
    """Return the source of a file with one fault."""
    return ast.unparse(_Planter(mutant.number).visit(ast.parse(source)))
