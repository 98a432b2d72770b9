"""Source files as tables of what they define and import; nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Statements = list[ast.stmt]


@dataclass(frozen=True)
class Definition:
    """A name of a module, as "package.module" and "name"."""

    module: str
    name: str


@dataclass(frozen=True)
class Outside:
    """What is not defined in these sources: a library's name, "numpy.linalg.norm", or a built-in one."""

    name: str


@dataclass(frozen=True)
class ModuleName:
    """A module of these sources, which is no value by itself: `module.name` is."""

    name: str


Target = Definition | Outside | ModuleName


@dataclass(frozen=True)
class Module:
    """The top level of one source file.

    Arguments
        name: dotted.
        is_package: whether it is an `__init__.py`, from which relative imports count.
        definitions: name -> the statements that bind it.
        imports: name -> what it stands for, dotted.
        effects: the statements that do more than define or import.
    """

    name: str
    is_package: bool
    definitions: Mapping[str, Statements]
    imports: Mapping[str, str]
    effects: Statements


class Bound(ast.NodeVisitor):
    """The names that statements bind in their own scope: variables, functions, classes, and imports apart.

    Arguments
        module: dotted name of the module they stand in, and whether it is a package: what relative imports are relative to.
    """

    def __init__(self, module: str, is_package: bool) -> None:
        self.names: dict[str, None] = {}
        self.imports: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        self._package = module if is_package else module.rpartition(".")[0]

    def visit_Name(self, node: ast.Name) -> None:
        """Take a variable that is set or deleted."""
        if not isinstance(node.ctx, ast.Load):
            self.names[node.id] = None

    def visit_definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """Take the name; what is inside has a scope of its own."""
        self.names[node.name] = None

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_definition

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Take nothing: its arguments are its own."""

    def visit_comprehension_of_any_kind(self, node: ast.AST) -> None:
        """Take only what `:=` binds, which is bound outside of the comprehension."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                self.names[inner.target.id] = None

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_of_any_kind

    def visit_named(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        """Take the name of an exception or of a pattern."""
        if node.name:
            self.names[node.name] = None
        self.generic_visit(node)

    visit_ExceptHandler = visit_MatchAs = visit_MatchStar = visit_named

    def visit_Import(self, node: ast.Import) -> None:
        """Take the modules."""
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self.imports[alias.asname or root] = alias.name if alias.asname else root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Take the names."""
        origin = node.module or ""
        if node.level:
            above = self._package.split(".")[: len(self._package.split(".")) - node.level + 1]
            origin = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            self.imports[alias.asname or alias.name] = f"{origin}.{alias.name}"

    def visit_elsewhere(self, node: ast.Global | ast.Nonlocal) -> None:
        """Note the names that belong to a scope further out."""
        self.elsewhere.update(node.names)

    visit_Global = visit_Nonlocal = visit_elsewhere


@dataclass(frozen=True)
class Sources:
    """The packages whose code counts; everything else is a library, which rows name by its version.

    Arguments
        packages: name -> folder.
    """

    packages: Mapping[str, Path]
    _read: dict[str, Module | None] = field(default_factory=dict, compare=False, repr=False)

    def module(self, name: str) -> Module | None:
        """Return a module by its dotted name, None if it is none of these packages'."""
        if name not in self._read:
            self._read[name] = self._parsed(name)
        return self._read[name]

    def resolve(self, dotted: str) -> Target:
        """Return what a dotted name stands for, followed through re-exports to where it is defined."""
        if self.module(dotted) is not None:
            return ModuleName(dotted)
        parent, _, name = dotted.rpartition(".")
        if parent and self.module(parent) is not None:
            return self.in_module(parent, name)
        return Outside(dotted)

    def in_module(self, module: str, name: str) -> Target:
        """Return what a name stands for at the top level of a module of these sources."""
        found = self.module(module)
        assert found is not None  # the caller has one
        if name in found.definitions:
            return Definition(module, name)
        if name in found.imports:
            return self.resolve(found.imports[name])
        if self.module(f"{module}.{name}") is not None:
            return ModuleName(f"{module}.{name}")
        return Outside(name)

    @cached_property
    def names(self) -> frozenset[str]:
        """The packages' names."""
        return frozenset(self.packages)

    def _parsed(self, name: str) -> Module | None:
        package, *inner = name.split(".")
        if package not in self.names:
            return None
        base = self.packages[package].joinpath(*inner)
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file():
                tree = ast.parse(path.read_text(encoding="utf-8"))
                return _table(name, path.name == "__init__.py", tree.body)
        return None


def _table(name: str, is_package: bool, body: Statements) -> Module:
    definitions: dict[str, Statements] = {}
    imports: dict[str, str] = {}
    effects: Statements = []
    for statement in body:
        if is_text(statement) or _is_for_type_checkers(statement):
            continue
        bound = Bound(name, is_package)
        bound.visit(statement)
        imports |= bound.imports
        for each in bound.names:
            definitions.setdefault(each, []).append(statement)
        if not isinstance(statement, _DEFINING) or not (bound.names or bound.imports):
            effects.append(statement)
    return Module(name, is_package, definitions, imports, effects)


_DEFINING = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom
)  # fmt: skip


def is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is a string and nothing else: a docstring, or one below a constant or a field."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_for_type_checkers(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Name)
        and statement.test.id == "TYPE_CHECKING"
    )
