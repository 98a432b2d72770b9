"""Every public callable names its arguments, their shapes, its errors and its source, and is in the reference."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import grasp_theory
import linear_systems
from linear_systems.errors import ShapeError

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
THEORY = (
    "linear_systems.conditioning",
    "linear_systems.stop_gradient",
    "linear_systems.noise",
    "grasp_theory.smoothing",
    "grasp_theory.theorems",
)
ARRAY = re.compile(r"\b(ArrayLike|Tensor|ndarray|NDArray)\b")
SHAPED = re.compile(r"\b(Float|Int|Bool|Complex|UInt8)\[|Callable\[")
SHAPE = re.compile(r"\([^()]*,.*?\)|\(T\(n\+m\),\)|number")
SOURCE = re.compile(r"Source|Eq\.|Theorem|Corollary|Appendix|Algorithm|\bU\d+|\(\d{4}\)")


def modules() -> Iterator[ModuleType]:
    """Return the modules of the library with a list of public names."""
    for package in (linear_systems, grasp_theory):
        yield package
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__"):
                module = importlib.import_module(info.name)
                if hasattr(module, "__all__"):
                    yield module


def public() -> dict[str, Callable[..., Any]]:
    """Return the public functions and classes and the classes' own methods, by where they are defined."""
    found: dict[str, Callable[..., Any]] = {}
    for module in modules():
        for value in (getattr(module, name) for name in module.__all__):
            if not callable(value) or not str(getattr(value, "__module__", "")).startswith(
                ("linear_systems", "grasp_theory")
            ):
                continue
            name = f"{value.__module__}.{getattr(value, '__qualname__', value)}"
            if not inspect.isclass(value):
                found[name] = value
                continue
            if not issubclass(value, BaseException | Enum) and not getattr(value, "_is_protocol", False):
                found[name] = value
            for method, raw in vars(value).items():
                if not method.startswith("_") and (
                    inspect.isfunction(raw) or isinstance(raw, classmethod | staticmethod)
                ):
                    found[f"{name}.{method}"] = getattr(value, method)
    return found


PUBLIC = public()


def told(value: Callable[..., Any]) -> str:
    """Return a docstring; a class's with those of the classes that it extends."""
    if not inspect.isclass(value):
        return inspect.getdoc(value) or ""
    return "\n".join(inspect.cleandoc(vars(each).get("__doc__") or "") for each in value.__mro__[:-1])


def arguments(value: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that a caller gives."""
    given = inspect.signature(value).parameters.values()
    return [each for each in given if each.name not in ("self", "cls") and not each.name.startswith("_")]


def mentions(doc: str, name: str) -> list[str]:
    """Return what a docstring says from each place where it names an argument, a line or so."""
    text = " ".join(doc.split())
    return [text[m.start() : m.start() + 110] for m in re.finditer(rf"(?<![\w.]){name}(?!\w)", text)]


def lacks(value: Callable[..., Any]) -> list[str]:
    """Return what the docstring of a public callable leaves out."""
    doc = told(value)
    if type(value).__name__ == "_ProtocolMeta":
        return []
    unnamed = [each.name for each in arguments(value) if not mentions(doc, each.name)]
    shapeless = [
        f"shape of {each.name}"
        for each in arguments(value)
        if ARRAY.search(str(each.annotation)) and not SHAPED.search(str(each.annotation))
        if not any(SHAPE.search(said) for said in mentions(doc, each.name)) and "any shape" not in doc
    ]
    # A ValueError is raised for an `except` of the same function, which makes a typed error of it.
    raised = (
        []
        if inspect.isclass(value)
        else re.findall(r"raise (?!ValueError)(\w+Error)\(", inspect.getsource(value))
    )
    silent = [error for error in sorted(set(raised)) if error not in doc]
    place = getattr(value, "__module__", "")
    theory = inspect.isfunction(value) and "." not in value.__qualname__ and place.startswith(THEORY)
    sourceless = theory and not SOURCE.search(doc + (inspect.getmodule(value).__doc__ or ""))
    return unnamed + shapeless + silent + ["source"] * bool(sourceless)


def test_the_scan_sees_the_library() -> None:
    assert len(PUBLIC) > 300
    assert "linear_systems.stop_gradient.map.update_matrix" in PUBLIC
    assert "grasp_theory.planners.grasp.GRASP.paper" in PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_docstring_names_arguments_shapes_errors_and_source(name: str) -> None:
    assert lacks(PUBLIC[name]) == []


def test_what_is_left_out_is_noticed() -> None:
    def bare(states: "ArrayLike", sigma: float) -> float:  # type: ignore[name-defined]
        """Return the spread of states."""
        raise ShapeError("states", str(sigma), str(states), "")

    bare.__module__ = "linear_systems.noise.tubes"
    assert lacks(bare) == ["sigma", "shape of states", "ShapeError"]


def documented() -> set[str]:
    """Return the objects and modules that the reference's pages show."""
    pages = (page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    return {name for page in pages for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}


def resolved(dotted: str) -> object:
    """Return the object of a dotted name."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            value = getattr(value, part)
        return value
    raise AssertionError(dotted)


def own(module: ModuleType) -> list[object]:
    """Return what a module's part of the reference shows: what it lists as public, or defines itself."""
    if hasattr(module, "__all__"):
        return [getattr(module, name) for name in module.__all__]
    return [each for each in vars(module).values() if getattr(each, "__module__", None) == module.__name__]


def test_the_reference_shows_every_public_name() -> None:
    shown = [resolved(name) for name in documented()]
    inside = [value for each in shown if isinstance(each, ModuleType) for value in own(each)]
    known = {id(value) for value in [*shown, *inside]}
    missing = [
        f"{module.__name__}.{name}"
        for module in modules()
        for name in module.__all__
        if id(getattr(module, name)) not in known
    ]
    assert missing == []
