"""Our tables as text: Markdown for pages, rich tables for terminals, CSV and JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from experiments.study.reporting.pairs import SOONER
from experiments.study.reporting.paper_tables import Printed
from experiments.study.reporting.report import CAPTIONS, CellReport, TableReport, flat, to_json
from experiments.study.reporting.summary import Success
from experiments.study.tables import Cell, title
from grasp_theory.files import atomic_file
from grasp_theory.statistics.intervals import Estimate
from grasp_theory.statistics.paired_trials import shown_p

NONE = "—"
OUTCOME_WORDS = {
    "final_true": "in the environment",
    "final_model": "in the model",
    "any_model": "in the model, at any of 30 points of the budget",
    "first_true": "in the environment, first believed plan",
    SOONER: "solved sooner",
}


def markdown(report: TableReport) -> str:
    """Return a table, its comparisons and where it was computed, as Markdown."""
    parts = [f"### Table {report.number}. {CAPTIONS[report.number]}", _legend(report)]
    parts += [f"**Warning:** {warning}." for warning in report.warnings]
    for group in _groups(report):
        rows = [[row, *map(_markdown_cell, cells)] for row, cells in group.rows]
        parts.append(_markdown_table([group.title, *group.headings], rows))
    details = {
        "Times, other ways to count, and models apart": _details(report),
        "Paired comparisons": _compared(report),
    }
    for summary, (headings, rows) in details.items():
        if rows:
            table = _markdown_table(headings, rows)
            parts.append(f"<details><summary>{summary}</summary>\n\n{table}\n\n</details>")
    if report.missing:
        parts.append("Missing: " + "; ".join(map(_name, report.missing)) + ".")
    parts.append("\n".join(f"- {name}: {', '.join(values) or NONE}" for name, values in _facts(report)))
    return "\n\n".join(parts) + "\n"


def brief(report: TableReport) -> str:
    """Return only the figures of a table, as Markdown for a page of other things.

    Each cell: success in the environment of the returned plan with its interval, in the model, and in the model at any of 30
    points of the budget; below it the paper's success, where it has one.
    """
    tables = []
    for group in _groups(report):
        rows = [[row, *map(_brief_cell, cells)] for row, cells in group.rows]
        tables.append(_markdown_table([group.title, *group.headings], rows))
    return "\n\n".join(tables)


def terminal(report: TableReport) -> RenderableType:
    """Return a table, its comparisons and where it was computed, for a terminal."""
    parts: list[RenderableType] = []
    for group in _groups(report):
        title = f"Table {report.number}, {group.title}"
        table = _terminal_table(title, ["", *group.headings], show_lines=True)
        for row, cells in group.rows:
            table.add_row(escape(row), *map(_terminal_cell, cells))
        parts.append(table)
    parts.append(Text(_legend(report), "dim"))
    if report.number == "4":
        parts.append(_filled("Times", *_details(report)))
    # Of the comparisons only those of the main outcome: the others are in the files.
    if report.comparisons:
        outcome = report.comparisons[0].pairing.outcome
        main = [tested for tested in report.comparisons if tested.pairing.outcome == outcome]
        _, rows = _compared(replace(report, comparisons=main))
        title = f"Paired comparisons of success {OUTCOME_WORDS[outcome]}"
        short = [[name, f"{points} {interval}", one, p] for name, _, points, interval, one, _, p, _ in rows]
        parts.append(_filled(title, ["compared", "points [95%]", "only one", "p (Holm)"], short))
    parts += [Text(f"warning: {warning}", "bold yellow") for warning in report.warnings]
    if report.missing:
        parts.append(Text("missing: " + "; ".join(map(_name, report.missing)), "yellow"))
    parts += [Text(f"{name}: {', '.join(values) or NONE}", "dim") for name, values in _facts(report)]
    return Group(*parts)


def write(report: TableReport, folder: Path) -> list[Path]:
    """Write a table as table_N.md, .csv and .json, each whole or not at all; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "md": markdown(report),
        "csv": flat(report).write_csv(),
        "json": json.dumps(to_json(report), ensure_ascii=False, allow_nan=False, indent=1) + "\n",
    }
    paths = []
    for ending, text in contents.items():
        path = folder / f"table_{report.number}.{ending}"
        with atomic_file(path) as file:
            file.write(text.encode())
        paths.append(path)
    return paths


@dataclass(frozen=True)
class _Group:
    """The part of a table about one environment."""

    title: str
    columns: Sequence[str]
    cells: Sequence[CellReport]

    @property
    def headings(self) -> Sequence[str]:
        """The columns' headings without the environment's name."""
        return [column.removeprefix(self.title).strip() for column in self.columns]

    @property
    def rows(self) -> Iterator[tuple[str, Sequence[CellReport | None]]]:
        """Each row's label and its cells, None where the table has none."""
        at = {(report.cell.row, report.cell.column): report for report in self.cells}
        for row in dict.fromkeys(row for row, _ in at):
            yield row, [at.get((row, column)) for column in self.columns]


def _legend(report: TableReport) -> str:
    """Return what stands in a cell; of the paper only where it has figures: a study of one's own has none beside it."""
    paper = "; below it the paper's success % / seconds, which count any plan that the model believes"
    return (
        "Each cell: of the plan that is returned after the whole budget, success in the environment % [95% interval] / "
        "in the model % [95% interval] / median seconds to the first success in the model"
        f"{paper * any(each.paper for each in report.cells)}. Intervals are over problems."
    )


def _groups(report: TableReport) -> Iterator[_Group]:
    """Return the parts of a table, environment by environment."""
    groups: dict[str, list[CellReport]] = {}
    for cell in report.cells:
        groups.setdefault(title(cell.cell.problem_set[0]), []).append(cell)
    for name, cells in groups.items():
        yield _Group(name, list(dict.fromkeys(cell.cell.column for cell in cells)), cells)


def _markdown_cell(report: CellReport | None) -> str:
    *ours, paper = _texts(report)
    return " / ".join(ours) + (f"<br>*paper: {paper}*" if paper else "")


def _brief_cell(report: CellReport | None) -> str:
    if report is None or report.missing:
        return NONE
    if report.main is None:
        return NONE if report.times is None else _estimate(report.times.median_solved, " s")
    believed = [
        f"{100 * found.rate.value:.0f}"
        for name in ("final_model", "any_model")
        if (found := report.outcomes[name]) is not None
    ]
    shown, paper = " / ".join([_rate(report.main), *believed]), report.paper
    return shown if paper is None or paper.success is None else f"{shown}<br>*paper {paper.success:.0f}*"


def _terminal_cell(report: CellReport | None) -> str:
    *ours, paper = _texts(report)
    return escape("\n".join(ours)) + (f"\n[dim]paper: {escape(paper)}[/]" if paper else "")


def _texts(report: CellReport | None) -> list[str]:
    """Return our figures of a cell and the paper's."""
    if report is None:
        return [NONE, ""]
    paper = "" if report.paper is None else _printed(report.paper)
    if report.missing:
        return [NONE, paper]
    seconds = NONE if report.times is None else _estimate(report.times.median_solved, " s")
    return [
        _rate(report.outcomes["final_true"]), _rate(report.outcomes["final_model"]), seconds.split(" [")[0], paper
    ]  # fmt: skip


def _printed(paper: Printed) -> str:
    rate = NONE if paper.success is None else f"{paper.success:.1f}"
    return f"{rate} / {NONE if paper.time is None else f'{paper.time:g} s'}"


def _rate(found: Success | None) -> str:
    if found is None:
        return NONE
    rate = found.rate
    return f"{100 * rate.value:.1f} [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"


def _estimate(found: Estimate | None, unit: str = "") -> str:
    if found is None:
        return NONE
    value, low, high = (
        f"{number:.3g}".replace("inf", "∞") for number in (found.value, found.low, found.high)
    )
    return f"{value}{unit} [{low}, {high}]"


Listed = tuple[list[str], list[list[str]]]
"""Headings and rows of a list."""


def _details(report: TableReport) -> Listed:
    """Return what else is known of each cell that has trials."""
    headings = [
        "cell", "believed at any of 30 points", "first believed plan, true", "models apart (returned, true)", "timed: solved",
        "median s of the solved", "median s of all", "mean s up to τ", "τ", "s per problem side by side",
    ]  # fmt: skip
    rows = []
    for cell in report.cells:
        if cell.missing:
            continue
        main, timed = cell.main, cell.times
        models = NONE if main is None else ", ".join(f"{100 * rate:.0f}" for rate in main.by_model.values())
        rows.append([
            f"{cell.cell.row}, {cell.cell.column}",
            _rate(cell.outcomes["any_model"]), _rate(cell.outcomes["first_true"]), models,
            *([NONE] * 5 if timed is None else [
                f"{timed.solved} of {timed.trials}", _estimate(timed.median_solved), _estimate(timed.median),
                _estimate(timed.restricted_mean), f"{timed.limit:.2g}",
            ]),
            _estimate(cell.in_batch),
        ])  # fmt: skip
    return headings, rows


def _compared(report: TableReport) -> Listed:
    """Return the paired comparisons, in points of success rate."""
    headings = [
        "compared", "outcome", "points", "simultaneous 95%", "only one", "pairs", "p (Holm)", "detectable"
    ]  # fmt: skip
    rows = []
    for tested in report.comparisons:
        pairing, record = tested.pairing, tested.pairing.record
        rows.append([
            f"{pairing.first.row} − {pairing.second.row}, {pairing.first.column}",
            OUTCOME_WORDS.get(pairing.outcome, pairing.outcome),
            f"{100 * record.difference:+.1f}",
            f"[{100 * tested.low:+.0f}, {100 * tested.high:+.0f}]",
            f"{record.first_only} : {record.second_only}",
            f"{record.trials}",
            shown_p(tested.p_value) + ("*" if tested.significant else ""),
            f"{100 * tested.detectable:.0f}" if math.isfinite(tested.detectable) else "none",
        ])  # fmt: skip
    return headings, rows


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(_literal, line)) + " |" for line in lines)


def _terminal_table(title: str, headings: Sequence[str], *, show_lines: bool = False) -> Table:
    table = Table(title=title, title_justify="left", show_lines=show_lines)
    for place, heading in enumerate(headings):
        table.add_column(escape(heading), justify="right" if place else "left", no_wrap=place == 0)
    return table


def _filled(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = _terminal_table(title, headings)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _facts(report: TableReport) -> Iterator[tuple[str, Sequence[str]]]:
    counts = [found for cell in report.cells if (found := cell.main) is not None]
    sizes = sorted({f"{found.trials} on {found.problems} problems" for found in counts})
    yield "trials a cell", sizes
    idle = [f"{column} {share:.0%}" for column, share in report.idle.items() if share]
    if idle:
        yield "solved by doing nothing", idle
    yield from report.provenance.items()


def _name(cell: Cell) -> str:
    return f"{cell.row}, {cell.column} ({'-'.join(map(str, cell.problem_set))})"


def _literal(text: str) -> str:
    """Return a text in which Markdown's tables see no further bar and no emphasis by underscores."""
    return text.replace("|", "\\|").replace("_", "\\_")
