"""What `python -m paper_checks` shows in a terminal, or in a log where there is none."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from paper_checks.engine.records import Claim, Result, Sharpness, Verdict
from paper_checks.engine.runner import Progress as RunProgress
from paper_checks.report.accounting import Item, grouped
from paper_checks.report.numerals import in_prose, readable
from paper_checks.report.reasons import reasons
from paper_checks.report.verdicts import Deviation

FEW = 3
"""Of at most so many claims a log tells each statement: one claim may take minutes."""
LOG_WIDTH = 160
"""Columns used where the output is not a terminal and COLUMNS does not say."""

SHORT = 220
"""Most characters of the reason for a verdict under the table of a whole run."""
SPEAKING = (Verdict.HOLDS, Verdict.CAVEAT, Verdict.DEFINITION, Verdict.REPLICATES)
"""Verdicts that speak for themselves under the table of a whole run."""

STYLES = {
    Verdict.HOLDS: "green",
    Verdict.CAVEAT: "yellow",
    Verdict.FAILS: "red",
    Verdict.NOT_CHECKABLE: "dim",
    Verdict.DEFINITION: "blue",
    Verdict.BROKEN: "bold white on red",
    Verdict.REPLICATES: "cyan",
    Verdict.MIXED: "cyan",
    Verdict.DOES_NOT_REPLICATE: "cyan",
    Verdict.INCONCLUSIVE: "dim",
}


def console(*, stderr: bool = False) -> Console:
    """Return a console that is wide enough for the table where the output goes to a file or a log."""
    probe = Console(stderr=stderr, highlight=False)
    if probe.is_terminal or "COLUMNS" in os.environ:
        return probe
    return Console(stderr=stderr, highlight=False, width=LOG_WIDTH)


class LiveProgress:
    """A bar with the time left, and a line for each claim in work with the statement being examined."""

    def __init__(self, output: Console, total: int, statements: Mapping[str, int]) -> None:
        self._counts = _Counts(statements)
        self._examined: dict[str, str] = {}
        self._bar = Progress(
            TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=output,
        )  # fmt: skip
        self._task = self._bar.add_task("checking", total=total)
        self._live = Live(self._render(), console=output, transient=True)

    def __enter__(self) -> RunProgress:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def examining(self, claim_id: str, title: str) -> None:
        """Show the statement that a worker is examining."""
        self._examined[claim_id] = f"{self._counts.next(claim_id)}  {title}"
        self._live.update(self._render())

    def finished(self, result: Result) -> None:
        """Advance the bar."""
        self._examined.pop(result.claim.id, None)
        self._bar.advance(self._task)
        self._live.update(self._render())

    def _render(self) -> Group:
        lines = (
            Text.assemble((f"  {claim_id}  ", "bold"), title, no_wrap=True, overflow="ellipsis")
            for claim_id, title in self._examined.items()
        )
        return Group(self._bar, *lines)


class LogProgress:
    """One line for each finished claim, for logs, where a bar would be noise; of few claims, also for each statement."""

    def __init__(self, output: Console, total: int, statements: Mapping[str, int]) -> None:
        self._output, self._total, self._done = output, total, 0
        self._counts = _Counts(statements)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""

    def examining(self, claim_id: str, title: str) -> None:
        """Print the statement, where few claims are checked."""
        if self._total <= FEW:
            self._output.print(f"{claim_id} {self._counts.next(claim_id)}: {title}", markup=False)

    def finished(self, result: Result) -> None:
        """Print the claim's verdict and time."""
        self._done += 1
        width = len(str(self._total))
        count = f"[{self._done:{width}}/{self._total}]"
        line = f"{count} {result.claim.id}: {result.verdict} ({result.seconds:.1f} s)"
        self._output.print(line, markup=False)


def progress(
    output: Console, total: int, statements: Mapping[str, int] | None = None
) -> LiveProgress | LogProgress:
    """Return what shows a run of `total` claims on `output`.

    Arguments
        output: where to show it.
        total: number of claims.
        statements: how many statements each claim is known to have, by its id.
    """
    kind = LiveProgress if output.is_terminal else LogProgress
    return kind(output, total, statements or {})


class _Counts:
    """Numbers the statements of each claim: "3/11", or "3" where nobody knows how many come."""

    def __init__(self, statements: Mapping[str, int]) -> None:
        self._statements, self._seen = statements, Counter[str]()

    def next(self, claim_id: str) -> str:
        self._seen[claim_id] += 1
        seen, known = self._seen[claim_id], self._statements.get(claim_id, 0)
        return f"{seen}/{known}" if seen <= known else f"{seen}"


def result_table(results: Sequence[Result], recorded: Mapping[str, Verdict]) -> Table:
    """Return the table of a run; a verdict that differs from the one on record is shown old → new."""
    table = Table(title="Claims of the paper", title_justify="left", header_style="bold")
    for name, options in (
        ("id", {"no_wrap": True, "style": "bold"}),
        ("title", {"ratio": 3}),
        ("source", {"ratio": 2}),
        ("verdict", {"min_width": 10}),
        ("evidence", {"min_width": 11}),
        ("sharpness", {"justify": "right"}),
        ("seconds", {"justify": "right", "no_wrap": True}),
    ):
        table.add_column(name, **options)
    for result in results:
        before = recorded.get(result.claim.id)
        shown = Text(result.verdict, STYLES[result.verdict])
        if before is not None and before is not result.verdict:
            shown = Text.assemble((before, STYLES[before]), " → ", shown)
        table.add_row(
            escape(result.claim.id), escape(result.claim.title), escape(result.claim.source), shown,
            ", ".join(result.grades), sharpness_text(result.sharpness), f"{result.seconds:.1f}",
        )  # fmt: skip
    return table


def sharpness_text(found: Sequence[Sharpness]) -> str:
    """Return the ratios attained, from the loosest bound's to the sharpest's."""
    ratios = sorted(sharpness.ratio for sharpness in found)
    if not ratios:
        return ""
    low, high = readable(ratios[0], 3), readable(ratios[-1], 3)
    return low if low == high else f"{low}–{high}"


def show_reasons(output: Console, results: Sequence[Result]) -> None:
    """Print why each claim has its verdict."""
    for result in results:
        verdict = Text(result.verdict, STYLES[result.verdict])
        output.print(Text.assemble((result.claim.id, "bold"), ": ", verdict, ", because"))
        for reason in reasons(result):
            output.print(Padding(Text(f"• {in_prose(reason)}"), (0, 0, 0, 2)))


def show_why(output: Console, results: Sequence[Result]) -> None:
    """Print, in two lines at most for each, why claims of a whole run do not hold, do not replicate or are open."""
    told = [result for result in results if result.verdict not in SPEAKING]
    if not told:
        return
    output.print("Why, in short (the report has it all, and --claim ID prints it for one):")
    for result in told:
        words = [in_prose(reason) for reason in reasons(result)]
        more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
        said = textwrap.shorten(words[0], SHORT - len(more), placeholder=" …") + more
        verdict = Text(result.verdict, STYLES[result.verdict])
        line = Text.assemble((result.claim.id, "bold"), ": ", verdict, f": {said}")
        output.print(Padding(line, (0, 0, 0, 2)))


def verdict_counts(results: Sequence[Result]) -> str:
    """Return how many claims there are of each verdict."""
    counts = Counter(result.verdict for result in results)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])


def claim_table(claims: Sequence[Claim], recorded: Mapping[str, Verdict]) -> Table:
    """Return the table of all claims with the verdicts on record."""
    table = Table(title="Claims", title_justify="left", header_style="bold")
    table.add_column("id", no_wrap=True, style="bold")
    table.add_column("title", ratio=3)
    table.add_column("source", ratio=2)
    table.add_column("on record")
    for claim in claims:
        before = recorded.get(claim.id)
        verdict = Text("nothing", "dim") if before is None else Text(before, STYLES[before])
        table.add_row(escape(claim.id), escape(claim.title), escape(claim.source), verdict)
    return table


def item_table(items: Sequence[Item]) -> Table:
    """Return the account of everything the paper numbers; neighbours with one account share a row."""
    table = Table(title="What the paper numbers", title_justify="left", header_style="bold")
    table.add_column("in the paper", no_wrap=True, style="bold")
    table.add_column("status", no_wrap=True)
    table.add_column("claims, or why there is nothing to check", ratio=1)
    for label, item in grouped(items):
        status, explanation = item.outcome
        table.add_row(label, Text(status, "" if item.accounted else "bold red"), escape(explanation))
    return table


def show_deviations(output: Console, deviations: Sequence[Deviation], problems: Sequence[str]) -> None:
    """Print why the run does not confirm the record."""
    for problem in problems:
        output.print(Text.assemble(("run: ", "bold red"), problem))
    for deviation in deviations:
        output.print(Text.assemble((f"{deviation.claim_id}: ", "bold red"), deviation.text))
        if "\n" in deviation.detail:
            output.print(Text(deviation.detail, "dim"))


def show_recorded(output: Console, changes: Sequence[Deviation]) -> None:
    """Print what a run has changed on record: what was, and what is."""
    for change in changes:
        output.print(Text.assemble((f"recorded {change.claim_id}: ", "bold yellow"), change.text))
    output.print(f"{len(changes)} changes on record")
