"""Kills commands at random moments, resumes them, and compares with a run that nobody disturbed.

`python tests/support/kills.py --kills 300 --seed 0 --log kills.jsonl` goes on where an earlier call stopped.  After each
kill every file is whole, and within five seconds no process of the command is alive; after the last, the same command
runs to its end and its results equal the undisturbed run's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import torch
from PIL import Image
from safetensors.torch import load_file

from experiments.study.trials.store import Store

ROOT = Path(__file__).parents[2]
MARK = "GRASP_THEORY_KILLS"
"""A variable of the environment by which the processes of one run are found, however they are related."""
GRACE = 5.0
"""Seconds within which the workers of a killed run must have ended."""
TIMES = {
    "seconds",
    "wall_seconds",
    "cpu_seconds",
    "started",
    "sha256",
    "run",
    "environment",
    "load",
    "finished",
}
"""Fields that differ between two runs for good reasons."""


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Arguments
        words: the modules and options; {} stands for the folder.
        results: the folder's results, in a form that two runs share.
    """

    words: tuple[str, ...]
    results: Callable[[Path], Any]

    def start(self, folder: Path, mark: str, output_name: str = "output.txt") -> subprocess.Popen[bytes]:
        """Start the command, its processes marked."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: mark, "OMP_NUM_THREADS": "1"}
        words = [word.format(folder) for word in self.words]
        with (folder / output_name).open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", *words], cwd=ROOT, env=environment, stdout=output, stderr=output
            )


def stored(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a study without their times."""
    rows = Store(folder).rows().drop("first_seconds", "seconds", "load", "finished")
    assert len(rows) > 0
    return rows.to_dicts()


def tuned(folder: Path) -> Any:
    """Return what was tuned, and the rows that it rests on."""
    return json.loads((folder / "tuned.json").read_bytes()), stored(folder)


def trained(folder: Path) -> Any:
    """Return the weights and cards of models."""
    found = {}
    for path in sorted((folder / "models").iterdir()):
        if path.suffix == ".json":
            found[path.name] = timeless(json.loads(path.read_bytes()))
        else:
            found[path.name] = {name: each.tolist() for name, each in load_file(path).items()}
    assert len(found) == 2
    return found


def drawn(folder: Path) -> dict[str, str]:
    """Return the digests of pictures."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.p[dn][fg]")}
    assert found
    return found


def built(folder: Path) -> dict[str, str]:
    """Return the digests of a site's files, but for the packed site map, which has the time in it."""
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "site").rglob("*")
        if path.is_file() and path.name != "sitemap.xml.gz"
    }
    assert len(found) > 100
    return found


def verified(folder: Path) -> Any:
    """Return the reports, without times."""
    reports = {path.stem: timeless(json.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))}
    for name in reports:
        assert (folder / f"{name}.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    return reports


def timeless(value: Any) -> Any:
    """Return JSON without the fields that hold times or hang on them."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


STUDY = ("--quick", "--problems", "2", "--results", "{}")
CASES = {
    "table": Case(("experiments", "table", "2", *STUDY, "--timed", "0", "--workers", "2"), stored),
    "tune": Case(("experiments", "tune", "wall_single", *STUDY, "--planner", "GRASP", "--trials", "2"), tuned),
    "tune on two": Case(
        ("experiments", "tune", "wall_single", *STUDY, "--planner", "GRASP", "--trials", "2", "--workers", "2"), tuned
    ),
    "train": Case(
        ("experiments", "train", "wall_single", "--quick", "--folder", "{0}/work", "--out", "{0}/models", "--overwrite"),
        trained,
    ),
    "figures": Case(("figures", "figure-1", "tube", "transient-growth", "--output", "{}"), drawn),
    "verify": Case(
        ("paper_checks", "--quick", "--claim", "thm6", "--claim", "thm7", "--jobs", "2", "--output", "{}"), verified
    ),
    "docs": Case(("mkdocs", "build", "--quiet", "--strict", "--site-dir", "{}/site"), built),
}  # fmt: skip


def undisturbed(case: Case, folder: Path) -> tuple[Any, float]:
    """Return the results of a run without a kill, and its seconds."""
    folder.mkdir(parents=True)
    begun = time.monotonic()
    code = case.start(folder, uuid.uuid4().hex).wait()
    assert code == 0, (folder / "output.txt").read_text(encoding="utf-8")
    return case.results(folder), time.monotonic() - begun


def kill_at(case: Case, folder: Path, moment: float) -> bool:
    """Start a command, kill it after some seconds; return whether it was still running.  Checks files and processes."""
    mark = uuid.uuid4().hex
    run = case.start(folder, mark)
    try:
        code = run.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        expect_no_process(mark)
    else:
        assert code == 0, (folder / "output.txt").read_text(encoding="utf-8")
        return False
    expect_whole(folder)
    return True


def resumed(case: Case, folder: Path) -> Any:
    """Return the results of the command run to its end."""
    code = case.start(folder, uuid.uuid4().hex).wait()
    output = (folder / "output.txt").read_text(encoding="utf-8")
    assert code == 0, output
    assert not list(folder.rglob("*.partial")), "a leftover of a killed run"
    return case.results(folder)


def expect_no_process(mark: str) -> None:
    """Assert that all marked processes end within `GRACE`."""
    deadline = time.monotonic() + GRACE
    while alive := list(_marked(mark)):
        assert time.monotonic() < deadline, [process.cmdline() for process in alive]
        time.sleep(0.05)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


def expect_whole(folder: Path) -> None:
    """Assert that no file is damaged; what was in the writing has another name."""
    for path in folder.rglob("*"):
        if any(part.endswith(".partial") for part in path.parts):
            continue
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".parquet":
            pl.read_parquet(path)
        elif path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".npz":
            with np.load(path) as archive:
                assert all(archive[name].size >= 0 for name in archive.files)
        elif path.suffix == ".npy":
            np.load(path)
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".pdf":
            assert content.rstrip().endswith(b"%%EOF")
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".html":
            assert content.rstrip().endswith(b"</html>")
        elif path.suffix == ".db" and content:
            # On a copy: to open it here would recover what a killed writer left, which is the next run's to do.
            with tempfile.TemporaryDirectory() as scratch:
                for part in path.parent.glob(f"{path.name}*"):
                    shutil.copy(part, scratch)
                connection = sqlite3.connect(Path(scratch) / path.name)
                assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
                connection.close()


def main() -> None:
    """Run trials until there are as many kills as asked for, and print how many went how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("report/kills.jsonl"))
    parser.add_argument("--only", choices=CASES, action="append")
    arguments = parser.parse_args()
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    lines = arguments.log.read_text(encoding="utf-8").splitlines() if arguments.log.exists() else []
    outcomes = [json.loads(line) for line in lines]
    names, wholes = arguments.only or list(CASES), {}
    with tempfile.TemporaryDirectory() as scratch:
        while sum(each["kills"] for each in outcomes) < arguments.kills:
            number = len(outcomes)
            rng = random.Random(f"{arguments.seed} {number}")
            name = names[number % len(names)]
            if name not in wholes:
                wholes[name] = undisturbed(CASES[name], Path(scratch) / f"{name} whole")
            outcome = one_trial(CASES[name], *wholes[name], Path(scratch) / f"{name} {number}", rng)
            outcomes.append({"case": name, "number": number, **outcome})
            with arguments.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcomes[-1]) + "\n")
    kills = {name: sum(each["kills"] for each in outcomes if each["case"] == name) for name in names}
    failed = [each for each in outcomes if each["wrong"]]
    sys.stdout.write(f"kills: {kills}; {len(failed)} of {len(outcomes)} trials failed\n")
    for each in failed:
        sys.stdout.write(f"{each['case']} {each['number']}: {each['wrong']}\n")


def one_trial(case: Case, whole: Any, seconds: float, folder: Path, rng: random.Random) -> dict[str, Any]:
    """Return how often a command was killed before it ran to its end, and what was wrong then."""
    folder.mkdir()
    moments: list[float] = []
    wrong = ""
    try:
        while len(moments) < MOST_KILLS and kill_at(case, folder, moment := rng.uniform(0.1, 0.9) * seconds):
            moments.append(moment)
        if resumed(case, folder) != whole:
            wrong = "other results"
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"[-2000:]
    if not wrong:
        shutil.rmtree(folder)
    return {"kills": len(moments), "moments": moments, "wrong": wrong}


MOST_KILLS = 5
"""Kills before a command is let through."""


if __name__ == "__main__":
    main()
