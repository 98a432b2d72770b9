"""Version, dates, keywords and extras agree wherever they are said."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (\S+) \((.+)\)$", CHANGELOG, re.MULTILINE)


def test_version_and_date_are_one() -> None:
    version, date = HEADINGS[0]
    assert version == PROJECT["project"]["version"] == CITATION["version"]
    assert f"version = {{{version}}}" in README
    assert date == str(CITATION.get("date-released", "unreleased"))


def test_a_tag_is_a_version_of_the_changelog() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    tags = subprocess.run(["git", "tag"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert set(tags) <= {f"v{version}" for version, date in HEADINGS if date != "unreleased"}


def test_keywords_are_the_same() -> None:
    assert set(CITATION["keywords"]) == set(PROJECT["project"]["keywords"])


def test_no_extra_is_for_what_the_wheel_leaves_out() -> None:
    assert not set(PROJECT["project"]["optional-dependencies"]) & set(PROJECT["dependency-groups"])


def test_a_package_index_shows_no_link_that_leads_nowhere() -> None:
    text = README
    for change in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    assert len(text) < len(README)
    assert all(target.startswith("http") for target in re.findall(r"\]\(([^)]+)\)", text))
