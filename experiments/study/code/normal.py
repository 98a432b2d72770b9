"""A definition as tokens, without what its behaviour does not depend on.

Gone are comments, docstrings, annotations, layout, the names of variables and of the module, where imported names come
from, and what can only refuse.  Kept are operations and their order, constants, defaults, decorators, and the names by
which others reach in: attributes, fields, methods and parameters.  References to definitions of these sources stay
references, so that renaming a function changes none of its callers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from experiments.study.code.modules import Bound, Definition, ModuleName, Outside, Sources, is_text
from experiments.study.code.refusals import without_refusals

Token = str | Definition


@dataclass(frozen=True)
class Piece:
    """Code as tokens.

    Arguments
        tokens: in the order of the syntax tree.
        reaches: the names of attributes that it mentions, and strings that may be such names.
    """

    tokens: Sequence[Token]
    reaches: frozenset[str]

    @cached_property
    def leads_to(self) -> Sequence[Definition]:
        """The definitions that it mentions, in order, each once."""
        return tuple(dict.fromkeys(token for token in self.tokens if isinstance(token, Definition)))


@dataclass(frozen=True)
class Normal:
    """A definition, or the effects of a module.

    Arguments
        body: all of it, but for methods and alternatives.
        methods: of a class, by name.
        open: whether the class inherits from a library's, which may call any of its methods.
        alternatives: of a dictionary with strings as keys, the values by key.
    """

    body: Piece
    methods: Mapping[str, Piece] = field(default_factory=dict)
    open: bool = False
    alternatives: Mapping[str, Piece] = field(default_factory=dict)


def normal(
    sources: Sources, module: str, statements: Iterable[ast.stmt], *, refusals: bool = False
) -> Normal:
    """Return the normal form of the statements that define a name in a module, or are its effects.

    Arguments
        sources, module: where they stand.
        statements: as they are written.
        refusals: whether what can only refuse is kept.
    """
    body, is_open = _Tokens(sources, module), False
    methods: dict[str, _Tokens] = {}
    alternatives: dict[str, Piece] = {}
    for statement in statements if refusals else without_refusals(statements):
        if isinstance(statement, ast.ClassDef):
            for part in statement.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    method = _Tokens(sources, module, into=methods.get(part.name))
                    method.function(part)
                    methods[part.name] = method
            is_open = is_open or any(body.is_outside(base) for base in statement.bases)
            body.class_(statement, with_methods=False)
        elif (entries := _entries(statement)) is not None:
            for key, value in entries.items():
                alternative = _Tokens(sources, module)
                alternative.add(value)
                alternatives[key] = alternative.piece()
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            body.function(statement)
        else:
            body.add(statement)
    found = {name: tokens.piece() for name, tokens in methods.items()}
    return Normal(body.piece(), found, is_open, alternatives)


def _entries(statement: ast.stmt) -> dict[str, ast.expr] | None:
    """Return the values by key if a statement sets a name to a dictionary whose keys are all strings."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Dict):
        return None
    keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
    named = [key for key in keys if isinstance(key, str)]
    return dict(zip(named, value.values, strict=True)) if len(named) == len(keys) else None


@dataclass(frozen=True)
class _Scope:
    """The variables of a function: each with its token, and what its own imports stand for."""

    variables: Mapping[str, str]
    imports: Mapping[str, str]
    outer: _Scope | None


_ENTRY_POINT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_UNSEEN = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
"""Fields of syntax trees that no behaviour depends on; `ctx` follows from where the name stands."""
_OPEN_BASES = {
    "object",
    "typing.Protocol",
    "typing.Generic",
    "abc.ABC",
    "Exception",
    "ValueError",
    "RuntimeError",
}
"""Bases of libraries that call none of a class's methods by themselves."""


class _Tokens:
    """Collects the tokens of code."""

    def __init__(self, sources: Sources, module: str, into: _Tokens | None = None) -> None:
        self.tokens: list[Token] = [] if into is None else into.tokens
        self.reaches: set[str] = set() if into is None else into.reaches
        found = sources.module(module)
        assert found is not None
        self._sources, self._module, self._is_package = sources, module, found.is_package
        self._scope: _Scope | None = None
        self._fields: frozenset[str] = frozenset()
        self._made = 0

    def piece(self) -> Piece:
        """Return what was collected."""
        return Piece(tuple(self.tokens), frozenset(self.reaches))

    def is_outside(self, base: ast.expr) -> bool:
        """Return whether a base class is a library's that may call methods of ours."""
        target = self._target(base.value if isinstance(base, ast.Subscript) else base)
        return isinstance(target, Outside) and target.name not in _OPEN_BASES

    def add(self, node: ast.AST) -> None:
        """Add the tokens of a syntax tree."""
        if isinstance(node, ast.Name | ast.Attribute) and (target := self._target(node)) is not None:
            self._add_target(target)
        elif isinstance(node, ast.Name):
            self.tokens.append(self._local(node.id))
        elif isinstance(node, ast.Attribute):
            self.reaches.add(node.attr)
            self.tokens += ["Attribute", node.attr]
            self.add(node.value)
        elif isinstance(node, ast.Constant):
            self._constant(node.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.tokens.append(self._local(node.name))
            self.function(node)
        elif isinstance(node, ast.Lambda):
            self.function(node)
        elif isinstance(node, ast.ClassDef):
            self.tokens.append(self._local(node.name))
            self.class_(node, with_methods=True)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            self._comprehension(node)
        elif isinstance(node, ast.JoinedStr):  # some versions of Python add empty texts to it
            parts = [
                part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")
            ]
            self.tokens.append("JoinedStr")
            self._value(parts)
            self.tokens.append("end")
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._generic(ast.Assign([node.target], node.value))
        elif not _is_nothing(node):
            self._generic(node)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """Add a function but for its name: decorators, parameters, body.

        Parameters keep their names, for calls may use them.
        """
        arguments = node.args
        self.tokens.append(type(node).__name__)
        for decorator in getattr(node, "decorator_list", []):
            self.add(decorator)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        rest = [found for found in (arguments.vararg, arguments.kwarg) if found is not None]
        self.tokens += [f"({len(arguments.posonlyargs)}", *(each.arg for each in every)]
        self.tokens += [
            f"{len(arguments.kwonlyargs)}",
            f"{arguments.vararg is not None}",
            f"{arguments.kwarg is not None})",
        ]
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            self._value(default)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        bound = Bound(self._module, self._is_package)
        for statement in body:
            bound.visit(statement)
        parameters = {each.arg: f"parameter {each.arg}" for each in every}
        own = [each.arg for each in rest] + [name for name in bound.names if name not in bound.elsewhere]
        fields, self._fields = self._fields, frozenset()
        self._within({**self._fresh(own), **parameters}, bound.imports, body)
        self._fields = fields

    def class_(self, node: ast.ClassDef, *, with_methods: bool) -> None:
        """Add a class but for its name: decorators, bases, fields, and on request its methods."""
        self.tokens.append("ClassDef")
        for part in [*node.decorator_list, *node.bases, *node.keywords]:
            self.add(part)
        bound = Bound(self._module, self._is_package)
        for statement in node.body:
            bound.visit(statement)
        outer, self._fields = self._fields, frozenset(bound.names)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                if with_methods:
                    self.tokens.append(statement.name)
                    self.function(statement)
            elif isinstance(statement, ast.AnnAssign) and statement.value is None:
                self.tokens.append("field")
                self.add(statement.target)
            else:
                self.add(statement)
        self._fields = outer

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.tokens.append(type(node).__name__)
        self.add(node.generators[0].iter)  # evaluated outside
        bound = Bound(self._module, self._is_package)
        for generator in node.generators:
            bound.visit(generator.target)
        inner: list[ast.AST] = []
        for place, generator in enumerate(node.generators):
            inner += [generator.target, *([generator.iter] if place else []), *generator.ifs]
        inner += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._within(self._fresh(bound.names), {}, inner)

    def _within(
        self, variables: Mapping[str, str], imports: Mapping[str, str], nodes: Iterable[ast.AST]
    ) -> None:
        self._scope = _Scope(variables, imports, self._scope)
        for node in nodes:
            self.add(node)
        self._scope = self._scope.outer

    def _fresh(self, names: Iterable[str]) -> dict[str, str]:
        """Return a token for each variable: its number, for its name does not matter."""
        made = {}
        for name in names:
            made[name] = f"variable {self._made}"
            self._made += 1
        return made

    def _generic(self, node: ast.AST) -> None:
        self.tokens.append(type(node).__name__)
        names = {"name", "rest"} if isinstance(node, ast.ExceptHandler | ast.pattern) else set()
        for name, value in ast.iter_fields(node):
            if name in _UNSEEN or value is None or value == []:
                continue
            self.tokens.append(name)
            if name in names:
                self.tokens.append(self._local(value))
            else:
                self._value(value)
        self.tokens.append("end")

    def _value(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self.add(value)
        elif isinstance(value, list):
            for entry in value:
                self._value(entry)
        else:
            self.tokens.append(repr(value))

    def _constant(self, value: object) -> None:
        self.tokens.append(f"{type(value).__name__} {value!r}")
        if isinstance(value, str):
            if value.isidentifier():
                self.reaches.add(value)
            if _ENTRY_POINT.fullmatch(value):  # "module:name", as registries of what is imported late have it
                module, _, name = value.partition(":")
                for base in (f"{self._module}.", ""):
                    target = self._sources.resolve(f"{base}{module}.{name}")
                    if isinstance(target, Definition):
                        self.tokens[-1] = target

    def _local(self, name: str) -> str:
        """Return the token of a name that is no module's: a variable, a parameter, a field of the class in hand."""
        scope = self._scope
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.outer
        return f"name {name}"

    def _target(self, node: ast.expr) -> Definition | Outside | ModuleName | None:
        """Return what a name or a chain of attributes stands for; None for a variable or an attribute of a value."""
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Attribute):
            base = self._target(node.value)
            if isinstance(base, ModuleName):
                return self._sources.in_module(base.name, node.attr)
            if isinstance(base, Outside):
                return Outside(f"{base.name}.{node.attr}")
        return None

    def _named(self, name: str) -> Definition | Outside | ModuleName | None:
        scope = self._scope
        while scope is not None:
            if name in scope.variables:
                return None
            if name in scope.imports:
                return self._sources.resolve(scope.imports[name])
            scope = scope.outer
        if name in self._fields:
            return None
        return self._sources.in_module(self._module, name)

    def _add_target(self, target: Definition | Outside | ModuleName) -> None:
        if isinstance(target, Outside):
            self.reaches.update(target.name.split("."))
        self.tokens.append(
            target if isinstance(target, Definition)
            else "module" if isinstance(target, ModuleName) else f"outside {target.name}"
        )  # fmt: skip


def _is_nothing(node: ast.AST) -> bool:
    """Return whether a statement does nothing: text, a bare annotation, or what a scope has noted already."""
    nothing = ast.Pass | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.AnnAssign
    return isinstance(node, nothing) or (isinstance(node, ast.stmt) and is_text(node))
