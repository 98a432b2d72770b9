"""What every command says of a wrong use, of a disk, and on Ctrl-C: one line, and the exit code that goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from study_cases import TUNE
from typer.testing import CliRunner, Result

from experiments.__main__ import app
from experiments.devices import device_of
from experiments.study import study_commands
from experiments.study.figure_data import figure_data_command
from experiments.study.targets import Tuned
from experiments.study.trials.store import Store
from experiments.training import ablation, train_command
from experiments.worlds import worlds_command
from figures.__main__ import app as figures_app
from grasp_theory.command_line import add, new_app
from grasp_theory.files import write_atomically
from linear_systems.errors import ParameterError
from paper_checks.cli import app as checks_app

ROOT = Path(__file__).parents[2]


def call(*words: object, of: object = app) -> Result:
    return CliRunner().invoke(of, [str(word) for word in words])  # type: ignore[arg-type]


def one_line(result: Result, *parts: object) -> None:
    """The command was refused in one line that holds these parts; bars may have begun before it."""
    assert result.exit_code == 2, result.output
    *before, last = result.output.splitlines()
    assert last.startswith("error: "), result.output
    assert all("0%" in line or not line.strip() for line in before), result.output
    for part in parts:
        assert str(part) in last


@pytest.mark.parametrize("device", ["potato", "meta", "", "cpu:7", "mps", "cuda:99", "cuda"])
@pytest.mark.parametrize(
    "words",
    [
        ["table", "4"],
        ["tune", "wall_single"],
        ["train", "wall_single", "--quick"],
        ["evaluate", "wall_single", "--quick"],
        ["bench", "planners", "--quick"],
    ],
)
def test_every_command_refuses_a_device_that_is_not_here(words: list[str], device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one here")
    one_line(call(*words, "--device", device), "device", device)


def test_the_devices_that_are_here() -> None:
    assert device_of("cpu") == torch.device("cpu")
    with pytest.raises(ParameterError, match="meta"):
        device_of("meta")


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--results"],
        [*TUNE],
        ["table", "4", "--quick", "--results"],
        ["table", "4", "--quick", "--results", "results", "--out"],
        ["train", "wall_single", "--quick", "--folder"],
        ["train", "wall_single", "--quick", "--out"],
        ["ablation", "wall_single", "--quick", "--folder"],
        ["worlds", "--quick", "--claim", "noise", "--world", "linear", "--results"],
        ["figure-data", "--only", "7", "--quick", "--out"],
    ],
)
@pytest.mark.parametrize("kind", ["file", "dangling", "long", "below a file"])
def test_a_path_that_cannot_be_a_folder_is_named_before_the_work(
    words: list[str], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, work in (
        (worlds_command, "here"),
        (train_command, "Run"),
        (ablation, "ablate"),
        (figure_data_command, "measure"),
    ):
        monkeypatch.setattr(module, work, None)
    monkeypatch.setattr(study_commands, "runner", lambda **_: None)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("x" * 300 if kind == "long" else "it")
    if kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif kind != "long":
        path.write_text("")
    if kind == "below a file":
        path = path / "results"
    one_line(call(*words, path), path)


def test_brackets_in_a_path_are_no_markup(tmp_path: Path) -> None:
    one_line(call("status", "--results", tmp_path / "a[/b]"), "a[/b]")
    folder = tmp_path / "c[bold]"
    folder.mkdir()
    assert call("status", "--results", folder).exit_code == 0
    one_line(call("episode", "push_t", "--out", tmp_path / "[/b].png"), "[/b].png")


def test_wrong_uses_are_one_line() -> None:
    one_line(call("episode", "pusht", "--out", "x.gif"), "pusht")
    one_line(call("episode", "push_t", "--out", "x.png"), "x.png")
    one_line(call("episode", "push_t", "--out", f"{__file__}/x.gif", "--steps", "1"), f"{__file__}/x.gif")
    one_line(call("no-such", of=figures_app), "no-such")
    one_line(call("--claim", "thm66", of=checks_app), "thm66", "thm6")
    assert call("--output", __file__, "--claim", "thm6", of=checks_app).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["tune", "--planner", "Nope"],
        ["tune", "wall_single_long", "--quick", "--results", "elsewhere"],
        ["table", "4", "--stored", "--gpus", "5"],
        ["table", "4", "--stored", "--workers", "2"],
        ["table", "4", "--gpus", "1"],
        ["worlds", "--stored", "--results", "elsewhere"],
        ["worlds", "--record", "--claim", "noise"],
        ["worlds", "--record", "--quick"],
    ],
)
def test_a_command_that_would_do_nothing_is_refused(words: list[str]) -> None:
    one_line(call(*words))


@pytest.mark.parametrize(
    "words",
    [
        ["table", "4", "--problems", str(10**30)],
        ["table", "4", "--workers", str(10**9)],
        ["tune", "--problems", str(10**30)],
        ["episode", "push_t", "--out", "x.gif", "--size", str(10**9)],
        ["episode", "push_t", "--out", "x.gif", "--steps", str(10**12)],
        ["problems", "push_t", "--out", "x.npz", "--count", str(10**12)],
        ["train", "wall_single", "--quick", "--seed", str(10**30)],
        ["worlds", "--quick", "--seed", str(10**30)],
    ],
)
def test_sizes_that_no_machine_has_are_refused_at_once(words: list[str]) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert "Invalid value" in result.output


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"GRASP": 1}', b'{"GRASP": {"value": 1}}',
        b'{"GRASP wall_single-random-4": {"settings": {"of_another_version": 1}}}',
        b'{"GRASP wall_single-random-4": {"settings": {"sync_every": [1]}}}',
        b'{"GRASP wall_single-random-4": {"settings": {}, "own_settings": 1}}',
        b'{"Later wall_single-random-4": {"settings": {}}}',
        b'{"GRASP wall_single-random-' + b"9" * 5000 + b'": {"settings": {}}}',
    ],
)  # fmt: skip
def test_a_damaged_file_of_settings_is_named(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_commands, "tune_all", None)
    (tmp_path / "tuned.json").write_bytes(content)
    with pytest.raises(ParameterError, match="remove the file"):
        Tuned.load(tmp_path)
    one_line(call("table", "4", "--quick", "--results", tmp_path), tmp_path / "tuned.json")
    one_line(call("status", "--results", tmp_path), tmp_path / "tuned.json")
    one_line(call(*TUNE, tmp_path), tmp_path / "tuned.json")


@pytest.mark.parametrize("kind", ["garbage", "folder", "pipe"])
def test_a_damaged_database_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tuning.db"
    if kind == "garbage":
        path.write_bytes(b"garbage" * 1000)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    result = call(*TUNE, tmp_path)
    one_line(result, path)
    assert "512 bytes" not in result.output


def test_a_folder_is_a_path_and_no_pattern(tmp_path: Path) -> None:
    odd, matched = tmp_path / "g[1] a?b%20#c", tmp_path / "g1 aab%20#c"
    assert call(*TUNE, odd).exit_code == 0
    assert (odd / "tuning.db").exists()
    rows = Store(odd).rows()
    assert Store(odd).compact() == len(rows) > 0
    matched.mkdir()
    assert Store(odd).rows().equals(rows)
    assert Store(matched).rows().is_empty()


def test_a_second_tuning_of_the_same_is_refused(tmp_path: Path) -> None:
    holding = (
        "import sys, time; from pathlib import Path\n"
        "from experiments.study.targets import Target; from experiments.study.tune import _alone\n"
        "with _alone(Target('wall_single', 'random', 4, 'GRASP'), Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holding, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        one_line(call(*TUNE, tmp_path), "another process", tmp_path)
    assert call(*TUNE, tmp_path).exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_told_by_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.txt"
    monkeypatch.setattr(Path, "open", lambda self, mode: open("/dev/full", mode))  # noqa: SIM115
    failing = new_app()
    add(failing, lambda: write_atomically(path, "text"), "")
    one_line(call(of=failing), path, "No space left on device")


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    def mistaken() -> None:
        raise ZeroDivisionError

    failing = new_app()
    add(failing, mistaken, "")
    assert isinstance(call(of=failing).exception, ZeroDivisionError)


def test_ctrl_c_within_exec_exits_as_any_other(tmp_path: Path) -> None:
    """`python -m` would end by the signal: CPython keeps a mark of a KeyboardInterrupt that passed through exec."""
    assert _run_command(tmp_path, "exec('raise KeyboardInterrupt')") == (130, "interrupted: nothing.\n")


def test_ctrl_c_within_a_finalizer_is_not_lost(tmp_path: Path) -> None:
    """CPython drops what is raised there: drawing a figure spends much of its time in such callbacks."""
    body = """
    class Kept:
        pass

    kept = Kept()
    reference = weakref.ref(kept, lambda _: signal.raise_signal(signal.SIGINT))
    del kept
    time.sleep(60)
"""
    assert _run_command(tmp_path, body) == (130, "interrupted: nothing.\n")


def _run_command(folder: Path, body: str) -> tuple[int, str]:
    folder.joinpath("interrupted.py").write_text(
        "import signal, time, weakref\n"
        "from grasp_theory.command_line import add, new_app\n"
        "app = new_app()\n"
        f"def command():\n    {body}\n"
        "add(app, command, 'nothing.')\n"
        "app()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "interrupted"], capture_output=True, text=True, timeout=50,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
    )  # fmt: skip
    return ran.returncode, ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("module", ["experiments", "paper_checks", "figures"])
def test_ctrl_c_says_what_is_kept(module: str, tmp_path: Path) -> None:
    words = {
        "experiments": ["table", "4", "--quick", "--workers", "2", "--results", str(tmp_path)],
        "paper_checks": ["--output", str(tmp_path), "--jobs", "2"],
        "figures": ["--output", str(tmp_path)],
    }[module]
    ran = subprocess.Popen(
        [sys.executable, "-m", module, *words], cwd=ROOT, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(tmp_path.rglob("*")) and ran.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    ran.send_signal(signal.SIGINT)
    _, said = ran.communicate(timeout=60)
    assert ran.returncode == 130
    assert said.splitlines()[-1].startswith("interrupted: ")
    assert "Traceback" not in said
