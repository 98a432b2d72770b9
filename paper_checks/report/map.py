"""The map of the repository by the paper: where each theorem, equation, table, figure and claim is checked, computed and drawn.

`python -m paper_checks.report.map` writes docs/map.md.  Everything on it is read from the claims and the sources: which
library functions a check calls, which tests of their folders call these, and which figures and pages name the theorem.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from grasp_theory.files import atomic_file
from paper_checks.claims import ALL_CLAIMS
from paper_checks.engine.records import Claim
from paper_checks.report.accounting import Item, account, grouped

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "map.md"
LIBRARIES = ("linear_systems", "grasp_theory")
COMMON = (
    "linear_systems.errors", "linear_systems.system", "linear_systems.rounding", "linear_systems.validation",
    "linear_systems.examples", "grasp_theory.theorems.record",
)  # fmt: skip
"""Where what every check needs lies: systems, instances, tolerances."""
_NUMBERED = re.compile(r"\b(Theorem|Corollary|Algorithm|Table|Figure)s? (\d+)(?:(?:–| and |, )(\d+))?")


@dataclass(frozen=True, order=True)
class Used:
    """A function or class of the library.

    Arguments
        module: where it is defined.
        name: its name there.
    """

    module: str
    name: str

    @property
    def path(self) -> Path:
        """Its file."""
        return _path(self.module)


@dataclass(frozen=True)
class Rooms:
    """Where a claim is at home, or several.

    Arguments
        checks: modules of the checks, the claim's own first.
        library: what the checks call.
        tests, figures: files.
    """

    checks: Sequence[Path]
    library: Sequence[Used]
    tests: Sequence[Path]
    figures: Sequence[Path]


def main() -> None:
    """Write the page."""
    with atomic_file(PAGE) as file:
        file.write(page().encode())


def page() -> str:
    """Return the map as Markdown, with links relative to docs/."""
    items = account(ALL_CLAIMS)
    equations = grouped([item for item in items if item.kind == "Equation"])
    parts = [
        "# Where everything is\n\nMade by `python -m paper_checks.report.map`; a test compares.  Each claim is described "
        "[below](#claims), each folder in [architecture.md](architecture.md), each symbol in [notation.md](notation.md).",
        "## Theorems, corollary, algorithm, tables, figures",
        *(_item(item) for item in items if item.kind != "Equation"),
        "## Equations",
        _table(
            ["equation", "what becomes of it"],
            ([label, _with_links(_literal(": ".join(item.outcome)))] for label, item in equations),
        ),
        "## Claims",
        *map(_claim, ALL_CLAIMS),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def rooms(claim: Claim) -> Rooms:
    """Return where a claim is checked, what its check calls, and which tests and figures share that."""
    return _rooms(claim.id)


@cache
def _rooms(claim_id: str) -> Rooms:
    [claim] = [claim for claim in ALL_CLAIMS if claim.id == claim_id]
    if claim.check is None:
        return Rooms((), (), (), ())
    own, modules, library = _called(claim.check)
    checks = [_path(module) for module in sorted(modules, key=lambda module: (module != own, module))]
    tests = [
        path for path in _files("tests")
        if claim.id in _quoted(path) or modules & _imported(path) or any(_tests(path, used) for used in library)
    ]  # fmt: skip
    figures = [
        path for path in _files("figures") if library & _uses(path) or _numbers(claim) & _mentioned(path)
    ]
    return Rooms(checks, sorted(library), tests, figures)


def rooms_of(item: Item) -> tuple[list[Claim], Rooms]:
    """Return the claims about a numbered item, those that account for it first, and where they are at home together."""
    ids = [*item.checked, *(name for name, _ in (*item.missing, *item.definitions))]
    claims = [claim for claim in ALL_CLAIMS if claim.id in ids]
    claims += [
        claim for claim in ALL_CLAIMS if claim.id not in ids and (item.kind, item.number) in _spoken(claim)
    ]
    every = [rooms(claim) for claim in claims]
    figures = {path for each in every for path in each.figures}
    named = {path for path in _files("figures") if (item.kind, item.number) in _mentioned(path)}
    return claims, Rooms(
        list(dict.fromkeys(path for each in every for path in each.checks)),
        sorted({used for each in every for used in each.library}),
        sorted({path for each in every for path in each.tests}),
        sorted(named or figures),
    )


def _item(item: Item) -> str:
    claims, where = rooms_of(item)
    pages = [path for path in sorted((ROOT / "docs").rglob("*.md")) if _is_about(path, item, claims)]
    statement = claims[0].statement if item.checked else item.outcome[1]
    return _described(f"### {item.label}", statement, [
        ("claims", [f"[{claim.id}](#{claim.id})" for claim in claims]),
        *_lines(where),
        ("pages", [_link(path) for path in pages]),
    ])  # fmt: skip


def _is_about(path: Path, item: Item, claims: Sequence[Claim]) -> bool:
    """Return whether a page names an item in the paper's numbers, or a claim about it refers to the page."""
    name = path.relative_to(ROOT).as_posix()
    referred = any(name in f"{claim.source} {claim.statement}" for claim in claims)
    return path != PAGE and (referred or (item.kind, item.number) in _mentioned(path))


def _claim(claim: Claim) -> str:
    why = claim.missing or "; ".join(dict.fromkeys(claim.definitions.values()))
    covers = [
        *(f"Eq. ({number})" for number in (*claim.equations, *claim.definitions)),
        *(f"Table {number}" for number in claim.tables),
        *(f"Figure {number}" for number in claim.figures),
        *claim.others,
    ]
    return _described(f"### {claim.id}", f"{claim.title} ({claim.source}). {claim.statement}", [
        ("covers", covers),
        *_lines(rooms(claim)),
        ("not checked", [why] if claim.check is None and why else []),
    ])  # fmt: skip


def _lines(where: Rooms) -> list[tuple[str, list[str]]]:
    library = {
        used.path: [each.name for each in where.library if each.path == used.path] for used in where.library
    }
    return [
        ("check", [_link(path) for path in where.checks]),
        ("library", [f"{_link(path)} ({', '.join(names)})" for path, names in library.items()]),
        ("tests", [_link(path) for path in where.tests]),
        ("figures", [_link(path) for path in where.figures]),
    ]


def _described(heading: str, statement: str, lines: Iterable[tuple[str, Sequence[str]]]) -> str:
    listed = [f"- {name}: {', '.join(entries)}" for name, entries in lines if entries]
    return "\n\n".join([heading, _literal(statement), "\n".join(listed)]).rstrip()


# --- what sources say ----------------------------------------------------------------------------------------


@cache
def _called(check: Callable[..., None]) -> tuple[str, set[str], set[Used]]:
    """Return a check's module, all modules of checks that it runs through, and what of the library they call."""
    while isinstance(check, partial):
        check = check.func
    todo, seen = [(check.__module__, check.__name__)], set[tuple[str, str]]()
    library: set[Used] = set()
    while todo:
        module, name = todo.pop()
        if (module, name) in seen or name not in _definitions(module):
            continue
        seen.add((module, name))
        for node in _definitions(module)[name]:
            for target in _targets(node, _path(module)):
                if target.module.startswith("paper_checks.claims"):
                    todo.append((target.module, target.name))
                elif _counts(target):
                    library.add(target)
            todo += [(module, inner.id) for inner in ast.walk(node) if isinstance(inner, ast.Name)]
    return check.__module__, {module for module, _ in seen}, library


def _counts(used: Used) -> bool:
    return used.module.startswith(LIBRARIES) and not used.module.startswith(COMMON)


def _tests(path: Path, used: Used) -> bool:
    """Return whether a test file uses a function and stands in the folder that mirrors the function's."""
    mirrored = ROOT / "tests" / used.path.relative_to(ROOT).parent
    return path.parent == mirrored and used in _uses(path)


@cache
def _uses(path: Path) -> frozenset[Used]:
    """Return what of the library a file uses."""
    return frozenset(used for used in _targets(_tree(path), path) if _counts(used))


def _targets(node: ast.AST, path: Path) -> Iterator[Used]:
    """Return what the names in a syntax tree stand for, where they are imported from our packages."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and (found := _imports(path).get(inner.id)) is not None:
            if not isinstance(found, ModuleType):
                yield from _used(found, inner.id)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            base = _imports(path).get(inner.value.id)
            if isinstance(base, ModuleType):
                yield from _used(getattr(base, inner.attr, None), inner.attr, base.__name__)


def _used(value: object, name: str, module: str = "") -> Iterator[Used]:
    if isinstance(value, partial):
        value = value.func
    if inspect.isfunction(value) or inspect.isclass(value):
        yield Used(value.__module__, value.__name__)
    elif module:  # a constant
        yield Used(module, name)


@cache
def _imports(path: Path) -> dict[str, object]:
    """Return what a file imports from our packages, by the name that it gives it."""
    found: dict[str, object] = {}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
            *LIBRARIES,
            "paper_checks",
        ):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                value = getattr(module, alias.name, None)
                if value is None:
                    value = importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = value
    return found


@cache
def _imported(path: Path) -> frozenset[str]:
    """Return the modules of our packages that a file imports, or imports from."""
    modules = {
        node.module for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom) and node.module
    }
    return frozenset(
        modules | {value.__name__ for value in _imports(path).values() if isinstance(value, ModuleType)}
    )


@cache
def _definitions(module: str) -> dict[str, list[ast.stmt]]:
    """Return the statements that bind each name at a module's top level."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in _tree(_path(module)).body:
        names = [statement.name] if isinstance(statement, ast.FunctionDef | ast.ClassDef) else [
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]  # fmt: skip
        for name in names:
            found.setdefault(name, []).append(statement)
    return found


@cache
def _quoted(path: Path) -> frozenset[str]:
    """Return the strings of a file."""
    return frozenset(
        node.value
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def _mentioned(path: Path) -> frozenset[tuple[str, int]]:
    """Return the numbered items that a file names."""
    return frozenset(_items(path.read_text(encoding="utf-8")))


def _items(text: str) -> Iterator[tuple[str, int]]:
    for kind, first, last in _NUMBERED.findall(text):
        yield kind, int(first)
        if last:
            yield kind, int(last)


def _spoken(claim: Claim) -> set[tuple[str, int]]:
    """Return the numbered items that a claim's title and source name, or its check's folder or module."""
    home = "" if claim.check is None else _called(claim.check)[0]
    folders = re.sub(r"_(\d)", r" \1", home.replace(".", " ")).title()
    ours = re.sub(r"\(?docs/[^)]*", "", claim.source)  # our pages number theorems of their own
    return set(_items(f"{claim.title} {ours} {folders}"))


def _numbers(claim: Claim) -> set[tuple[str, int]]:
    return {
        *(each for name in claim.others for each in _items(name)),
        *(("Figure", number) for number in claim.figures),
    }


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _files(folder: str) -> Sequence[Path]:
    return tuple(
        sorted(
            path for path in (ROOT / folder).rglob("*.py") if path.name not in ("registry.py", "__main__.py")
        )
    )


def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


# --- Markdown ------------------------------------------------------------------------------------------------


def _link(path: Path) -> str:
    return f"[{path.relative_to(ROOT).as_posix()}]({_to(path)})"


def _to(path: Path) -> str:
    return Path(os.path.relpath(path, PAGE.parent)).as_posix()


def _with_links(text: str) -> str:
    ids = {claim.id for claim in ALL_CLAIMS}
    return re.sub(r"[\w-]+", lambda word: f"[{word[0]}](#{word[0]})" if word[0] in ids else word[0], text)


def _literal(text: str) -> str:
    """Return a text in which Markdown sees no emphasis and no tags."""
    return re.sub(r"([*_|\\])", r"\\\1", text).replace("<", "&lt;")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
