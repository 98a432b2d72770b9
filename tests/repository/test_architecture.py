"""docs/architecture.md shows the folders that there are, and the imports that there are between them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES = tuple(CONTRACTS["root_packages"])
ROWS = dict(re.findall(r"^\| `([\w/]+)/` \| [^|]+ \| ([^|]*) \|$", TEXT, re.MULTILINE))
"""Folder -> what it may import, as the page has it: folders of its own package, and other packages as a whole."""


def folders() -> set[str]:
    """Return the folders with modules of ours, tests apart."""
    found = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    return {path.relative_to(ROOT).as_posix() for path in found}


def imported(folder: str) -> set[str]:
    """Return the other folders that the modules of a folder import from."""
    return {other for path in (ROOT / folder).glob("*.py") for other in _imports(path)} - {folder}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for alias in node.names:
                yield _folder(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            yield from (_folder(each.name) for each in node.names if each.name.split(".")[0] in PACKAGES)


def _folder(dotted: str) -> str:
    """Return the deepest folder that a dotted name goes through."""
    found = ""
    for part in dotted.split("."):
        if not (ROOT / found / part).is_dir():
            break
        found = f"{found}/{part}" if found else part
    return found


def test_the_table_has_every_folder_and_no_other() -> None:
    assert set(ROWS) == folders()


@pytest.mark.parametrize("folder", sorted(folders()))
def test_a_folder_imports_only_what_the_page_allows(folder: str) -> None:
    package = folder.split("/")[0]
    allowed = set(re.findall(r"`([\w/]+)`", ROWS[folder]))
    assert allowed <= {*folders(), *PACKAGES}
    wanted = {other if other.split("/")[0] == package else other.split("/")[0] for other in imported(folder)}
    assert wanted <= allowed


def test_the_picture_is_of_the_contract_s_layers() -> None:
    [layers] = [contract["layers"] for contract in CONTRACTS["contracts"] if contract["type"] == "layers"]
    arrows = set(re.findall(r"^    (\w+) --> (\w+)$", TEXT, re.MULTILINE))
    heights = {name: -at for at, layer in enumerate(layers) for name in layer.split(" | ")}
    assert {name for arrow in arrows for name in arrow} == set(heights) == set(PACKAGES)
    real = {(folder.split("/")[0], to.split("/")[0]) for folder in folders() for to in imported(folder)}
    assert arrows == {(one, other) for one, other in real if one != other}
    assert all(heights[one] > heights[other] for one, other in arrows)
    for contract in CONTRACTS["contracts"]:
        assert contract["name"] in " ".join(TEXT.split())


def test_every_module_that_the_page_points_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(targets) > 20
    for target in targets:
        assert (ROOT / "docs" / target).exists(), target


def test_the_short_tables_have_the_folders_of_the_top_level() -> None:
    for page in ("README.md", "CONTRIBUTING.md"):
        shown = set(re.findall(r"^\| `(\w+)/` \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
        assert shown == {*PACKAGES, "tests"}
