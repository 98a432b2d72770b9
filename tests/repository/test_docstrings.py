"""Every public name says what it is; every theorem's docstring has the parts that a reader looks for."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import FunctionType, ModuleType

import pytest

import grasp_theory
import grasp_theory.theorems
import linear_systems
import paper_checks
from grasp_theory.theorems import TheoremCheck

THEOREM_PARTS = ("Setting", "Statement", "Source", "Assumptions", "Arguments", "Returns", "Raises")


def _modules(package: ModuleType) -> list[ModuleType]:
    names = [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [package, *(importlib.import_module(name) for name in names if not name.endswith("__main__"))]


def _public_functions(module: ModuleType) -> list[FunctionType]:
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_") and inspect.isfunction(value) and value.__module__ == module.__name__
    ]


THEOREMS = [
    function
    for module in _modules(grasp_theory.theorems)
    for function in _public_functions(module)
    if inspect.signature(function).return_annotation in ("TheoremCheck", TheoremCheck)
]


def _missing_parts(docstring: str) -> list[str]:
    """Return the parts that are absent or out of order."""
    lines = [line.strip() for line in docstring.splitlines()]
    positions = [lines.index(part) if part in lines else -1 for part in THEOREM_PARTS]
    absent = [part for part, position in zip(THEOREM_PARTS, positions, strict=True) if position < 0]
    return absent or ([] if positions == sorted(positions) else ["order"])


def test_there_are_theorems() -> None:
    assert len(THEOREMS) >= 6


@pytest.mark.parametrize("function", THEOREMS, ids=lambda f: f"{f.__module__.rsplit('.', 1)[1]}.{f.__name__}")
def test_theorem_docstring_has_every_part_in_order(function: FunctionType) -> None:
    assert _missing_parts(inspect.getdoc(function) or "") == []


def test_a_docstring_without_a_part_is_rejected() -> None:
    whole = "\n".join(f"{part}\n    text" for part in THEOREM_PARTS)
    assert _missing_parts(whole) == []
    assert _missing_parts(whole.replace("Source", "Origin")) == ["Source"]
    assert _missing_parts(
        whole.replace("Setting", "x").replace("Raises", "Setting").replace("x", "Raises")
    ) == ["order"]


@pytest.mark.parametrize("package", [linear_systems, grasp_theory, paper_checks], ids=lambda p: p.__name__)
def test_every_public_function_has_a_docstring(package: ModuleType) -> None:
    bare = [
        f"{module.__name__}.{function.__name__}"
        for module in _modules(package)
        for function in _public_functions(module)
        if not (inspect.getdoc(function) or "").strip()
    ]
    assert bare == []
