"""Full disks, read-only folders and odd paths: one line that names the path and what to try, and nothing is harmed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from disks import fill, make_read_only, small_disk
from figure_data_cases import TINY
from study_cases import TUNE
from typer.main import get_command
from typer.testing import CliRunner, Result

from experiments.__main__ import app
from experiments.evaluation import measures
from experiments.evaluation.sizes import QUICK
from experiments.scripts.execute_notebooks import app as notebooks_app
from experiments.study.figure_data import figure_data_command
from experiments.training import ablation
from experiments.training.recipe import Stage, recipe_for
from experiments.worlds import worlds_command
from figures.__main__ import app as figures_app
from grasp_theory.__main__ import app as diagnose_app
from grasp_theory.command_line import printable
from grasp_theory.files import atomic_file, reserve, write_atomically
from paper_checks import cli as checks
from paper_checks.engine.run import run_claim
from paper_checks.engine.runner import load_claims

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Command:
    """A command that writes to a folder, in seconds.

    Arguments
        words: its options; {} stands for the folder.
        app: whose command it is.
        room: bytes that are too few for it, though some of what it writes fits.
        again: whether it can run on what an earlier run has written.
    """

    words: tuple[str, ...]
    app: Any = app
    room: int = 8192
    again: bool = True

    def run(self, folder: Path | str) -> Result:
        return CliRunner().invoke(self.app, [word.replace("{}", str(folder)) for word in self.words])


COMMANDS = {
    "problems": Command(("problems", "wall_single", "--count", "200", "--out", "{}/p.npz"), again=False),
    "episode": Command(("episode", "wall_single", "--steps", "60", "--out", "{}/e.gif"), again=False),
    "table": Command(("table", "4", "--stored", "--out", "{}")),
    "verdicts": Command(("verdicts", "--out", "{}/c.json")),
    "tune": Command((*TUNE, "{}"), room=40_000, again=False),
    "train": Command(
        ("train", "wall_single", "--quick", "--overwrite", "--folder", "{}", "--out", "{}/m"),
        room=300_000,
        again=False,
    ),
    "ablation": Command(
        ("ablation", "wall_single", "--quick", "--folder", "{}", "--json", "{}/a.json"),
        room=300_000,
        again=False,
    ),
    "evaluate": Command(("evaluate", "wall_single", "--quick", "--json", "{}/e.json"), again=False),
    "worlds": Command(
        ("worlds", "--quick", "--claim", "noise", "--world", "linear", "--results", "{}"), again=False
    ),
    "figure-data": Command(("figure-data", "--quick", "--only", "7", "--out", "{}"), again=False),
    "diagnose": Command(
        ("diagnose", "wall_single", "--plans", "1", "--horizon", "3", "--html", "{}/d.html"), diagnose_app
    ),
    "figures": Command(("figure-2", "--output", "{}"), figures_app),
    "checks": Command(("--quick", "--claim", "setting", "--output", "{}"), checks.app),
    "notebooks": Command((str(ROOT / "NOTEBOOK"), "--output", "{}"), notebooks_app, room=0),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def brief(*which: Any, **quick: Any) -> Any:
    """A recipe of a few steps."""
    step = Stage(2, 8, 1e-3, 2)
    recipe = recipe_for(*which, **quick)
    return replace(recipe, episodes=4, encoder=step, predictor=step, decoder=step, probe=step)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Check claims in this process, take a notebook of one cell, and measure little."""

    def run_here(ids: Any, settings: Any, **_: Any) -> Any:
        claims = {claim.id: claim for claim in load_claims()}
        return tuple(run_claim(claims[claim_id], settings) for claim_id in ids)

    monkeypatch.setattr(checks, "run_claims", run_here)
    few = replace(
        QUICK, episodes=4, pairs=50, greedy=2, plans=2, evaluations=30, attacked=2, attack=5, resamples=20
    )
    monkeypatch.setattr(measures, "QUICK", few)
    monkeypatch.setattr(ablation, "QUICK", few)
    monkeypatch.setattr(ablation, "TERMS", ())
    monkeypatch.setattr(ablation, "recipe_for", brief)
    monkeypatch.setattr(figure_data_command, "QUICK", TINY)
    monkeypatch.setattr(worlds_command, "QUICK_PROBLEMS", 2)
    monkeypatch.setattr(worlds_command, "QUICK_BUDGET", 20)
    path = tmp_path_factory.mktemp("notebook") / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), path)  # type: ignore[no-untyped-call]
    monkeypatch.setitem(
        COMMANDS, "notebooks", replace(COMMANDS["notebooks"], words=(str(path), "--output", "{}"))
    )


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, but for the locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(result: Result, folder: Path) -> None:
    assert result.exit_code == 2, (result.output, result.exception)
    last = result.output.splitlines()[-1]
    assert last.startswith("error: "), result.output
    assert str(folder) in last
    assert "Try: " in last
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_folder_is_named_before_the_work_and_stays_as_it_is(name: str, disk: Path) -> None:
    write_atomically(disk / "mine.txt", "kept")
    make_read_only(disk)
    refused(COMMANDS[name].run(disk), disk)
    assert contents(disk) == {"mine.txt": b"kept"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "train" else ()) for name in COMMANDS]
)
def test_a_full_disk_is_named_and_what_was_there_is_unharmed(name: str, disk: Path) -> None:
    folder, command = disk / "results", COMMANDS[name]
    folder.mkdir()
    if command.again:
        assert command.run(folder).exit_code == 0
    before = contents(folder)
    for room in {0, command.room}:
        fill(disk, room)
        result = command.run(folder)
        refused(result, folder)
        assert "No space left" in result.output
        assert before.items() <= contents(folder).items()
        (disk / "filling").unlink()
    assert command.run(folder).exit_code == 0, "it goes on once there is space"


def test_figures_of_an_earlier_run_do_not_hide_that_the_disk_is_read_only(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_data_command, "measure", None)
    (disk / "figures").mkdir()
    make_read_only(disk)
    refused(COMMANDS["figure-data"].run(disk), disk)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    target, link, dangling = (tmp_path / name for name in ("elsewhere", "link", "dangling"))
    target.write_text("old")
    link.symlink_to(target)
    dangling.symlink_to(tmp_path / "new")
    write_atomically(link, "new")
    write_atomically(dangling, "made")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert (tmp_path / "new").read_text() == "made"


@pytest.mark.parametrize("name", ["it", "link"])
def test_what_is_no_file_is_refused_before_the_work_and_stays(name: str, tmp_path: Path) -> None:
    """A pipe, as `/dev/null` or `/dev/stdout` might be named: to take its place would destroy it."""
    os.mkfifo(tmp_path / "it")
    (tmp_path / "link").symlink_to(tmp_path / "it")
    path = tmp_path / name
    for words in (
        ("evaluate", "wall_single", "--json", "{}"),
        ("ablation", "wall_single", "--folder", str(tmp_path), "--json", "{}"),
        ("episode", "wall_single", "--out", "{}"),
    ):
        result = Command(words).run(path)
        assert result.exit_code == 2
        assert f"{path}: it is no regular file" in result.output
    with pytest.raises(OSError, match="no regular file"):
        write_atomically(path, "text")
    assert (tmp_path / "it").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_full_disk_is_told_as_such_whichever_library_writes(disk: Path) -> None:
    path = disk / "it"
    write_atomically(path, "old")
    fill(disk, 16_384)
    for write in (
        lambda file: torch.save({"a": torch.zeros(100_000)}, file),  # by itself: "unexpected pos 704 vs 598"
        lambda file: np.savez(file, a=np.zeros(100_000)),
        lambda file: file.write(bytes(100_000)),
    ):
        with pytest.raises(OSError, match=r"No space left on device.*/it'$"), atomic_file(path) as file:
            write(file)
        assert path.read_text() == "old"
    assert sorted(path.name for path in disk.iterdir()) == ["filling", "it"]


def test_a_memory_map_on_a_full_disk_is_refused_before_a_write_ends_the_process(disk: Path) -> None:
    fill(disk, 65_536)
    np.lib.format.open_memmap(disk / "map.npy", mode="w+", dtype=np.uint8, shape=(1_000_000,)).flush()
    with pytest.raises(OSError, match="No space left on device"):
        reserve(disk / "map.npy")


ODD = os.fsdecode("- ünï 日本 'q\";$x&%20#?[1]*{a}\n".encode() + b"\xff\xfe")
"""A name with a leading dash, blanks, other scripts, quotes, wildcards, a line break, and bytes that are no UTF-8."""
LONG = "/".join(9 * ["x" * 200])


@pytest.mark.parametrize("folder", [ODD, LONG], ids=["odd", "long"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "train" else ()) for name in COMMANDS]
)
def test_a_path_may_be_odd_and_its_folders_are_made(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the folders is there, whether the command fills one or writes a file into it."""
    monkeypatch.chdir(tmp_path)
    result = COMMANDS[name].run(folder)
    if (name, folder) == ("tune", LONG):  # SQLite opens no path of more than 512 bytes
        refused(result, Path(folder))
        assert "512 bytes" in result.output
        return
    assert result.exit_code == 0, (result.output, result.exception)
    assert contents(Path(folder))
    assert [path.name for path in tmp_path.iterdir()] == [folder.split("/")[0]]


WRITTEN = {"out", "output", "json", "html"}
"""Names of the options that say where results go."""


def test_no_command_that_writes_where_it_is_told_is_left_out() -> None:
    """What is held for all of `COMMANDS` is held for every command; the benches have tests of their own."""
    found = set()
    for group in (app, diagnose_app, figures_app, checks.app, notebooks_app):
        top = get_command(group)
        commands = {**getattr(top, "commands", {"": top})}
        commands |= {
            f"bench {name}": each
            for name, each in getattr(commands.pop("bench", None), "commands", {}).items()
        }
        found |= {
            name or type_.name or ""
            for name, type_ in commands.items()
            if WRITTEN & {parameter.name for parameter in type_.params}
        }
    known = {word for command in COMMANDS.values() for word in command.words[:1]}
    single = {name for name in found if name not in known}
    assert single <= {"bench linear", "bench planners", "main", "check"}
    assert {"verdicts", "table", "episode", "evaluate", "diagnose"} <= found


def test_a_refusal_tells_an_odd_path_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(ODD).write_text("")
    result = CliRunner().invoke(app, ["episode", "push_t", "--out", f"{ODD}/no/e.gif"])
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith(
        "error: - ünï 日本 'q\";$x&%20#?[1]*{a}\\n\\udcff\\udcfe/no/e.gif: it, or a part of it, exists"
    )
    assert printable(b"a\tb\xff") == "a\\tb\\udcff"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_our_signs_gets_them_escaped(encoding: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "paper_checks", "--list"], cwd=ROOT, capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert b"\\u03bb" in ran.stdout


def test_what_compacting_nothing_leaves_can_be_read(tmp_path: Path) -> None:
    for words in (
        ("status", "--compact", "--results"),
        ("status", "--results"),
        ("status", "--compact", "--results"),
    ):
        assert CliRunner().invoke(app, [*words, str(tmp_path)]).exit_code == 0
