"""Plants one small fault at a time and asks the tests and claims that execute it whether they notice: `make mutants`.

A sample of all faults is drawn by seed.  The tests and claims are run once in a copy of the tree whose statements report
who executes them (`mutant_judges`).  Then each fault is planted in another copy, and of those who execute its statement
three benches are asked until one notices, the quickest first, each for at most 30 s of what they take without a fault:
the tests beside its file, the claims in their quick form, and the other tests.  A statement outside of functions counts as
executed by whoever executes anything of its file.  A test that fails, a claim that finds other than is on record and a
run that takes half a minute and five times as long have noticed; a fault counts as a survivor though a test that was not
asked might notice it.

Outcomes are kept in `report/mutants/`, and a second call goes on where the first stopped; a survivor is tried again when
the tests have changed.  `mutants_survivors.json` says of those that are left why nothing can notice them: they are not
tried again, and count as survivors.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path

import pytest
from mutant_faults import ROOT, Mutant, every_mutant, planted
from mutant_judges import Heard, Judge, append, copy_tree, forked, preload, record, run_claim, run_tests

SURVIVORS = Path(__file__).with_name("mutants_survivors.json")
"""The faults of the sample that nothing notices, and why each changes nothing that could be noticed."""
BENCH_SECONDS = 30.0
"""What the tests or claims of a bench take together, without a fault."""
ASKED_IN_VAIN = 99
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {
    "PYTHONHASHSEED": "0"
}
"""As in the workers of `verify`; read when the interpreter starts."""


def benches(mutant: Mutant, judges: Iterable[Judge]) -> list[list[Judge]]:
    """Return who is asked about a fault: the tests beside its file, then the claims, then other tests.

    On each bench the quickest case of every test comes first, the quickest test before others; then the second of every test.
    """
    beside = f"tests/{'/'.join(mutant.path.split('/')[:2])}/"
    cases, ranked = Counter[str](), list[tuple[int, float, Judge]]()
    for judge in sorted(judges, key=lambda judge: judge.seconds):
        test = judge.name.partition("[")[0]
        ranked.append((cases[test], judge.seconds, judge))
        cases[test] += 1
    own, claims, others = list[Judge](), list[Judge](), list[Judge]()
    for *_, judge in sorted(ranked, key=lambda row: row[:2]):
        (claims if judge.is_claim else own if judge.name.startswith(beside) else others).append(judge)
    return [_within(BENCH_SECONDS, bench) for bench in (own, claims, others)]


def _within(seconds: float, judges: list[Judge]) -> list[Judge]:
    """Return the first judges that take no longer together, and one at least."""
    spent = list(accumulate(judge.seconds for judge in judges))
    return judges[: max(1, sum(each <= seconds for each in spent))]


class Court:
    """Plants faults in a copy of the tree, one at a time, and asks."""

    def __init__(self, tree: Path) -> None:
        self.tree, self.planted = tree, 0

    def noticed_by(self, mutant: Mutant, judges: list[Judge]) -> str:
        """Return who notices a fault first, or nothing."""
        file, told = self.tree / mutant.path, self.tree / "noticed"
        original, times = file.read_bytes(), file.stat()
        told.write_text("")
        self.planted += 1
        file.write_text(planted(mutant, original.decode()), encoding="utf-8")
        # No fault is taken for the one that was compiled before it.
        os.utime(file, (times.st_mtime + self.planted,) * 2)
        try:
            limit = 30.0 + 5.0 * sum(judge.seconds for judge in judges)
            status = forked(lambda: self._ask(mutant, judges, told), self.tree, limit)
        finally:
            file.write_bytes(original)
            os.utime(file, (times.st_atime, times.st_mtime))
        if status == 0:
            return ""
        if status is not None and os.WEXITSTATUS(status) == ASKED_IN_VAIN:
            raise SystemExit(f"{mutant} was not asked about: the tests did not import it from the copy")
        return told.read_text(encoding="utf-8") or ("out of time" if status is None else "import")

    def _ask(self, mutant: Mutant, judges: list[Judge], told: Path) -> int:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        if judges[0].is_claim:
            claims = (judge.name.removeprefix("claim ") for judge in judges)
            first = next((claim for claim in claims if not run_claim(claim)), "")
            told.write_text(first and f"claim {first}", encoding="utf-8")
            code = int(bool(first))
        else:
            names = [judge.name for judge in judges]
            files = dict.fromkeys(name.partition("::")[0] for name in names)
            code = run_tests(["-x", *files], _Chosen(names, told))
            code = ASKED_IN_VAIN if code == pytest.ExitCode.NO_TESTS_COLLECTED else code
        module = sys.modules.get(mutant.path.removesuffix(".py").replace("/", "."))
        planted = module is None or (module.__file__ or "").startswith(str(self.tree))
        return code if planted else ASKED_IN_VAIN


class _Chosen:
    """A pytest plugin: runs the tests named, in their order, and writes down the first that fails."""

    def __init__(self, names: list[str], told: Path) -> None:
        self.order, self.told = {name: n for n, name in enumerate(names)}, told

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = (item for item in items if item.nodeid in self.order)
        items[:] = sorted(chosen, key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.told.read_text(encoding="utf-8"):
            self.told.write_text(report.nodeid, encoding="utf-8")


def main() -> None:
    """Try the faults of a sample that have not been tried, and say how many were noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=400, help="how many faults, of all there are")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)
    everything = every_mutant()
    sample = random.Random(options.seed).sample(everything, min(options.sample, len(everything)))
    folder = ROOT / "report/mutants"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        for tree in (Path(first), Path(second)):
            copy_tree(tree)
        preload(Path(first))
        heard = record(folder, Path(second), sorted({mutant.path for mutant in everything}))
        known = try_all(sample, heard, Court(Path(first)), folder / "outcomes.jsonl")
    sys.stdout.write(summary(sample, known, len(everything)))


def try_all(sample: list[Mutant], heard: Heard, court: Court, log: Path) -> dict[Mutant, str]:
    """Return who noticed each fault: as the log tells, and else by trying, which the log is told."""
    rows = map(json.loads, log.read_text(encoding="utf-8").splitlines() if log.exists() else [])
    known, tests = dict[Mutant, str](), dict[Mutant, str]()
    for row in rows:
        mutant = Mutant(**{name: row[name] for name in Mutant.__dataclass_fields__})
        known[mutant], tests[mutant] = row["noticed_by"], row["tests"]
    why = reasons()
    left = [
        each
        for each in sample
        if each not in known or not (known[each] or why(each) or tests[each] == heard.digest)
    ]
    for bench in range(3):
        for mutant in list(left):
            judges = benches(mutant, heard.of(mutant.path, mutant.line))[bench]
            by = court.noticed_by(mutant, judges) if judges else ""
            if by or bench == 2:
                left.remove(mutant)
                known[mutant] = by
                append(log, asdict(mutant) | {"noticed_by": by, "tests": heard.digest})
    return known


def reasons() -> Callable[[Mutant], str]:
    """Return what says of a fault why nothing can notice it, or nothing."""
    told = {tuple(row[:3]): row[3] for row in json.loads(SURVIVORS.read_text(encoding="utf-8"))}
    return lambda mutant: told.get((mutant.path, code(mutant), mutant.change), "")


def code(mutant: Mutant) -> str:
    """Return the line of a fault, without it."""
    return (ROOT / mutant.path).read_text(encoding="utf-8").splitlines()[mutant.line - 1].strip()


def summary(sample: list[Mutant], known: dict[Mutant, str], faults: int) -> str:
    """Return how many were noticed, and which were not, with the reason where there is one."""
    survivors, why = [mutant for mutant in sample if not known[mutant]], reasons()
    told = [f"{len(sample) - len(survivors)} of {len(sample)} noticed; {faults} faults in all"]
    told += [
        f"  {each.path}:{each.line}: {each.change} in {code(each)} (number {each.number}): {why(each) or 'not explained'}"
        for each in survivors
    ]
    return "\n".join(told) + "\n"


if __name__ == "__main__":
    main()
