"""Statements that can only refuse, taken out of a syntax tree: a trial that has a row was not refused.

These are a branch that does nothing but raise, a handler that does nothing but raise another error, and what an error says.
It holds as long as no trial goes on after one of our errors: tests look for handlers that do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from copy import deepcopy
from typing import Any


def without_refusals(statements: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Return statements without what only refuses."""
    kept: list[ast.stmt] = _Kept().visit(ast.Module(deepcopy(list(statements)), [])).body
    return kept


class _Kept(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Leave the other branch of a branch that raises, if the question sets no variable, and nothing of an empty one."""
        self.generic_visit(node)
        asks = not any(isinstance(inner, ast.NamedExpr) for inner in ast.walk(node.test))
        refuses = _raises(node.body) or not (node.body or node.orelse)
        return node.orelse if asks and refuses else _filled(node)

    def visit_Try(self, node: ast.Try) -> ast.AST | list[ast.stmt]:
        """Leave what is tried, if every handler raises."""
        self.generic_visit(node)
        if all(_raises(handler.body) for handler in node.handlers) and not node.finalbody:
            return [*node.body, *node.orelse]
        return _filled(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Leave which error it is."""
        return ast.Raise(node.exc.func) if isinstance(node.exc, ast.Call) else ast.Raise(node.exc)

    def visit_block(self, node: ast.AST) -> ast.AST:
        """Leave a block that is empty now with nothing in it."""
        self.generic_visit(node)
        return _filled(node)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_ExceptHandler = visit_match_case = (
        visit_block
    )
    visit_For = visit_AsyncFor = visit_While = visit_With = visit_AsyncWith = visit_block


def _raises(body: list[ast.stmt]) -> bool:
    return bool(body) and all(isinstance(statement, ast.Raise) for statement in body)


def _filled(node: Any) -> ast.AST:
    """Return a block with something in it."""
    filled: ast.AST = node
    node.body = node.body or [ast.Pass()]
    return filled
