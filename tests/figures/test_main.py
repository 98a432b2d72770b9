"""`python -m figures`: the registry, what it writes, and what it says of what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest
from typer.testing import CliRunner

import figures
from figures import registry
from figures.__main__ import app
from figures.registry import FIGURES, Entry, MissingError, produce

COMMAND = "python -m experiments figure-data --only 9"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    """One figure that can be made, one without its data, one without its module, one with a mistake."""

    def good() -> tuple[object, int]:
        return plt.figure(), 1

    def without_data() -> None:
        open("/no/such/numbers.npz")  # noqa: SIM115

    def mistaken() -> None:
        raise ZeroDivisionError

    for name, make in (("good", good), ("without_data", without_data), ("mistaken", mistaken)):
        module = ModuleType(f"figures.{name}")
        module.make = make
        monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = {
        "unmade": Entry("figures.without_data", "stored numbers", COMMAND),
        "unwritten": Entry("figures.no_such_module", "nothing yet"),
        "good": Entry("figures.good", "a picture"),
    }
    for module in ("registry", "__main__"):
        monkeypatch.setattr(sys.modules[f"figures.{module}"], "FIGURES", entries)
    return entries


def test_all_writes_what_it_can_and_says_what_is_missing(shown: dict[str, Entry], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--output", str(tmp_path)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("[1/3] unmade: missing: no /no/such/numbers.npz")
    assert lines[0].endswith(COMMAND)
    assert "no_such_module is not written yet" in lines[1]
    assert lines[2].startswith(f"[3/3] good: {tmp_path / 'good.pdf'}, {tmp_path / 'good.png'} (")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.pdf", "good.png"]


@pytest.mark.parametrize(("names", "code"), [(["unmade", "good"], 1), (["good"], 0), (["god"], 2)])
def test_a_missing_figure_that_was_asked_for_is_an_error(
    shown: dict[str, Entry], tmp_path: Path, names: list[str], code: int
) -> None:
    result = CliRunner().invoke(app, [*names, "--output", str(tmp_path)])
    assert result.exit_code == code
    assert (tmp_path / "good.png").exists() == ("good" in names)


def test_a_mistake_is_not_taken_for_missing_data(shown: dict[str, Entry], tmp_path: Path) -> None:
    shown["mistaken"] = Entry("figures.mistaken", "wrong")
    with pytest.raises(ZeroDivisionError):
        produce("mistaken", tmp_path)
    shown["unmade"] = Entry("figures.without_data", "needs no data, so that this is a mistake")
    with pytest.raises(FileNotFoundError):
        produce("unmade", tmp_path)


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, shown: dict[str, Entry], tmp_path: Path
) -> None:
    def make() -> None:
        raise ModuleNotFoundError("No module named 'mujoco'", name="mujoco")

    monkeypatch.setattr(sys.modules["figures.good"], "make", make)
    with pytest.raises(MissingError, match="needs mujoco"):
        produce("good", tmp_path)


def test_list_names_every_figure() -> None:
    result = CliRunner().invoke(app, ["--list"])
    assert [line.split()[0] for line in result.output.splitlines()] == list(FIGURES)


def test_every_module_that_makes_a_figure_is_registered() -> None:
    folder = Path(figures.__file__).parent
    makers = {
        ".".join(("figures", *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if "\ndef make(" in path.read_text("utf-8")
    }
    assert makers == {entry.module for entry in FIGURES.values()}
    assert len(registry.FIGURES) == len({entry.module for entry in FIGURES.values()})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_made(name: str, tmp_path: Path) -> None:
    try:
        pdf, png = produce(name, tmp_path)
    except MissingError as missing:
        pytest.skip(str(missing))
    assert pdf.read_bytes().startswith(b"%PDF")
    assert plt.imread(png).std() > 0.01
