"""What hears a fault: the tests and claims, each recorded once with the statements that it executes.

The record is made on a copy of the tree in which every statement of the files concerned reports itself.  What fails
there without a fault is heard no more, and the caches of functions are off, so that what two tests share belongs to both.
"""

from __future__ import annotations

import ast
import functools
import gc
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SUITES = (
    "tests/paper_checks/engine",
    "tests/paper_checks/report/test_verdicts.py",
    *(f"tests/grasp_theory/{name}" for name in ("statistics", "smoothing", "theorems", "planners")),
    *(f"tests/linear_systems/{name}" for name in ("noise", "stop_gradient", "exact")),
)
"""The tests that are asked: those of the folders in which faults are planted."""
OPTIONS = ("-q", "-n", "0", "-p", "no:cacheprovider", "--assert=plain", "-m", "not slow and not gpu")

REPORTER = '''
import os
_now, _seen = os.environ.get("MUTANTS_NOW", ""), set()
_file = os.open(os.environ["MUTANTS_HITS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def begin(name):
    global _now
    _now = os.environ["MUTANTS_NOW"] = name
    _seen.clear()
def hit(place):
    if _now and place not in _seen:
        _seen.add(place)
        os.write(_file, f"{_now}\\t{place}\\n".encode())
'''  # fmt: skip
"""A module of the recorded tree: appends "who executes<tab>what", also from the processes that a test starts."""


@dataclass(frozen=True)
class Judge:
    """A test, by its pytest id, or a claim, and the processor time that it takes."""

    name: str
    seconds: float

    @property
    def is_claim(self) -> bool:
        """Whether it is a claim."""
        return self.name.startswith("claim ")


class _Reporting(ast.NodeTransformer):
    """Makes every statement within a function report itself before it is executed."""

    def __init__(self, path: str) -> None:
        self.path, self.depth = path, 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody") if self.depth else ():
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(node, field, list(self._reported(block)))
        return node

    def _reported(self, block: list[ast.stmt]) -> Iterator[ast.stmt]:
        for each in block:
            text = isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            if not text:
                place = ast.Constant(f"{self.path}:{each.lineno}")
                call = ast.Expr(ast.Call(ast.Name("hit_", ast.Load()), [place], []))
                yield ast.fix_missing_locations(ast.copy_location(call, each))
            yield each


def reporting(path: str, source: str) -> str:
    """Return the source of a file whose statements report themselves as "path:line"."""
    module = ast.parse(source)
    _Reporting(path).visit(module)
    after = 1 + max(
        (n for n, each in enumerate(module.body) if isinstance(each, ast.ImportFrom) and each.module == "__future__"),
        default=0 if ast.get_docstring(module) else -1,
    )  # fmt: skip
    module.body[after:after] = ast.parse("from mutants_reporter import hit as hit_").body
    return ast.unparse(ast.fix_missing_locations(module))


def statement(source: str, line: int) -> int | None:
    """Return the first line of the innermost statement of a function that holds a line; outside of functions, none."""
    inner = [
        (each.end_lineno - each.lineno, each.lineno)
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef)
        for each in ast.walk(function)
        if isinstance(each, ast.stmt)
        and each is not function
        and each.end_lineno is not None
        and each.lineno <= line <= each.end_lineno
    ]
    return min(inner)[1] if inner else None


def copy_tree(to: Path) -> None:
    """Copy what git would keep of the tree, changed or new files as they are."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def forked(work: Callable[[], int], tree: Path, seconds: float, *, silent: bool = True) -> int | None:
    """Run `work` in a fork inside the tree; return its status, or none if its processor or clock time was up."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (round(seconds), round(seconds) + 1))
        os.chdir(tree)
        sys.path[:0] = [str(tree), str(tree / "tests/support")]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
        if silent:
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        try:
            code = work()
        except BaseException:  # whatever the fault made it raise
            code = 1
        os._exit(code)
    end, ended = time.monotonic() + 10.0 * seconds, (0, 0)
    try:
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
            time.sleep(0.02)
    finally:  # also when interrupted: the child if it still runs, and whatever it left behind
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    if ended[0] == 0:
        os.waitpid(child, 0)
        return None
    killed = os.WIFSIGNALED(ended[1]) and os.WTERMSIG(ended[1]) in (signal.SIGXCPU, signal.SIGKILL)
    return None if killed else ended[1]


def run_claim(claim_id: str) -> bool:
    """Return whether the quick run of a claim finds all that is on record."""
    from paper_checks.claims import ALL_CLAIMS
    from paper_checks.engine import runner
    from paper_checks.engine.run import Settings, run_claim
    from paper_checks.report.verdicts import RECORD_PATH, deviations, load_recorded

    recorded = load_recorded(RECORD_PATH)
    runner._reseed(0, claim_id)
    result = run_claim(next(claim for claim in ALL_CLAIMS if claim.id == claim_id), Settings(quick=True))
    return not deviations([result], recorded, recorded)


def run_tests(names: Iterable[str], *plugins: object) -> int:
    """Run tests."""
    os.environ["HYPOTHESIS_PROFILE"] = "ci"
    return int(pytest.main([*OPTIONS, *names], plugins=plugins))


class _Recorder:
    """A pytest plugin: says which test or shared fixture is on, and writes down how long those took that passed."""

    def __init__(self, begin: Callable[[str], None], log: Path) -> None:
        self.begin, self.log, self.passed = begin, log, True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.passed, started = True, _cpu_seconds()
        self.begin(item.nodeid)
        result = yield
        self.begin("")
        row = {"name": item.nodeid, "passed": self.passed, "seconds": _cpu_seconds() - started}
        append(self.log, row | {"fixtures": list(getattr(item, "fixturenames", ()))})
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed = self.passed and report.passed

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        shared = fixturedef.scope in ("module", "session")
        if shared:
            self.begin(f"fixture {fixturedef.argname}")
        result = yield
        if shared:
            self.begin(request._pyfuncitem.nodeid)
        return result


def _cpu_seconds() -> float:
    usage = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in usage)


def append(log: Path, row: dict[str, Any]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def preload(tree: Path) -> None:
    """Import what the tests and claims import of other projects, once for all forks."""
    listed = tree / "imported"

    def work() -> int:
        run_tests(["--collect-only", *SUITES])
        importlib.import_module("paper_checks.claims")
        names = [
            name
            for name, module in list(sys.modules.items())
            if (path := getattr(module, "__file__", None)) and not path.startswith(str(tree))
        ]
        listed.write_text("\n".join(names), encoding="utf-8")
        return 0

    forked(work, tree, 600.0)
    for name in listed.read_text(encoding="utf-8").split():
        with suppress(Exception):
            importlib.import_module(name)
    gc.freeze()


@dataclass(frozen=True)
class Heard:
    """Who executes which statement ("path:line"), and a digest of the tests that were recorded."""

    by_statement: dict[str, set[Judge]]
    digest: str

    def of(self, path: str, line: int) -> set[Judge]:
        """Return who executes a line; of a line outside of functions, who executes anything of its file."""
        first = statement((ROOT / path).read_text(encoding="utf-8"), line)
        if first is not None:
            return self.by_statement.get(f"{path}:{first}", set())
        every = (judges for place, judges in self.by_statement.items() if place.startswith(f"{path}:"))
        return set().union(*every)


def record(folder: Path, tree: Path, paths: Iterable[str]) -> Heard:
    """Return who executes what in a copy of the tree; what was recorded before, of the same files, is read in `folder`."""
    sources = [ROOT / path for path in paths]
    support = [path for path in sorted((ROOT / "tests/support").glob("*.py")) if "mutant" not in path.name]
    for path in paths:
        (tree / path).write_text(reporting(path, (ROOT / path).read_text(encoding="utf-8")), encoding="utf-8")
    (tree / "mutants_reporter.py").write_text(REPORTER, encoding="utf-8")
    os.environ["MUTANTS_HITS"] = str(tree / "hits")
    found, digests = dict[str, set[Judge]](), list[str]()
    for suite in (*SUITES, "claims"):
        where = ROOT / ("paper_checks" if suite == "claims" else suite)
        files = [where] if where.is_file() else sorted(where.rglob("*.py"))
        digests.append(_digest([*sources, *support, *files]))
        hits, rows = (
            folder / f"{suite.replace('/', '.')}.{digests[-1]}.{kind}" for kind in ("hits", "judges")
        )
        if not rows.exists():
            for file in (tree / "hits", tree / "judges"):
                file.unlink(missing_ok=True)
            forked(partial(_record_suite, suite, tree), tree, 3600.0)
            shutil.move(tree / "hits", hits)
            shutil.move(tree / "judges", rows)
        _read(hits, rows, found)
    return Heard(found, hashlib.sha256("".join(digests).encode()).hexdigest()[:12])


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _read(hits: Path, rows: Path, found: dict[str, set[Judge]]) -> None:
    """Add what was recorded of a suite; whoever did not pass without a fault is left out, and named."""
    by_name: dict[str, set[str]] = {}
    for line in hits.read_text(encoding="utf-8").splitlines():
        name, place = line.split("\t")
        by_name.setdefault(name, set()).add(place)
    for row in map(json.loads, rows.read_text(encoding="utf-8").splitlines()):
        if not row["passed"]:
            sys.stderr.write(f"not asked, for it fails without a fault: {row['name']}\n")
            continue
        judge = Judge(row["name"], row["seconds"])
        for name in (judge.name, *(f"fixture {each}" for each in row["fixtures"])):
            for place in by_name.get(name, set()):
                found.setdefault(place, set()).add(judge)


def _record_suite(suite: str, tree: Path) -> int:
    cached, ours, log = functools.lru_cache, str(tree), tree / "judges"

    def uncached(maxsize: int | None = 128, typed: bool = False) -> Callable[[Any], Any]:
        real = cached(maxsize=maxsize, typed=typed)
        return lambda function: function if function.__code__.co_filename.startswith(ours) else real(function)

    functools.lru_cache, functools.cache = uncached, uncached(None)  # type: ignore[assignment]
    begin = importlib.import_module("mutants_reporter").begin
    if suite != "claims":
        return run_tests([suite], _Recorder(begin, log))
    from paper_checks.claims import ALL_CLAIMS

    for claim in ALL_CLAIMS:
        if claim.check:
            begin(f"claim {claim.id}")
            started = _cpu_seconds()
            passed = run_claim(claim.id)
            append(
                log,
                {
                    "name": f"claim {claim.id}",
                    "passed": passed,
                    "seconds": _cpu_seconds() - started,
                    "fixtures": [],
                },
            )
    return 0
