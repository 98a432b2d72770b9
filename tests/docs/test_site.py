"""How the site writes docstrings, links and formulas; `make docs` itself is strict about links."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SITE = Path(__file__).parents[2] / "docs" / "site"
pytest.importorskip("mkdocs", reason="mkdocs is not installed (the group docs has it)")


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"site_{name}", SITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hooks() -> Any:
    return loaded("hooks")


def test_a_docstring_s_parts_become_headings_and_lists() -> None:
    written = loaded("docstrings").markdown(
        "Return |x|_p of x_t.\n\nArguments\n    x: (n,) numbers,\n        not empty.\n    p, q: `a_b` >= 1.\n\nRaises\n    ShapeError."
    )
    assert written.splitlines() == [
        r"Return \|x\|\_p of x\_t.",
        "",
        "",
        "**Arguments**",
        "",
        "- `x`: (n,) numbers,",
        "    not empty.",
        "- `p, q`: `a_b` >= 1.",
        "",
        "",
        "**Raises**",
        "",
        "ShapeError.",
    ]


@pytest.mark.parametrize(
    ("link", "source", "uri", "expected"),
    [
        ("docs/errata.md", "README.md", "index.md", "errata.md"),
        ("docs/theory/README.md", "README.md", "index.md", "theory/README.md"),
        ("../grasp_theory/problem.py#L3", "docs/map.md", "map.md", "source/grasp_theory/problem.py.html#L3"),
        ("../../linear_systems", "docs/theory/sync.md", "theory/sync.md", "../source/linear_systems.html"),
        ("../CHANGELOG.md", "docs/map.md", "map.md", "changelog.md"),
        ("experiments/notebooks/theory_tour.ipynb", "README.md", "index.md", "notebooks/theory_tour.md"),
        ("no_such_file.md", "docs/map.md", "map.md", "no_such_file.md"),
    ],
)
def test_links_lead_to_the_same_thing_on_the_site(
    hooks: Any, link: str, source: str, uri: str, expected: str
) -> None:
    assert hooks._moved(f"see [it]({link}).", source, uri) == f"see [it]({expected})."


def test_a_formula_becomes_mathml_and_one_that_cannot_is_refused(hooks: Any) -> None:
    assert "<math" in hooks._formula(r"a &lt; b", inline=True, where="x.md")
    with pytest.raises(hooks.PluginError, match=r"x\.md"):
        hooks._formula(r"\nosuchcommand{a}", inline=True, where="x.md")


@pytest.mark.parametrize(
    "text", ['<script src="https://a.org/b.js"></script>', '<img alt="" src="//a.org/b.png">']
)
def test_what_would_be_loaded_from_elsewhere_is_noticed(hooks: Any, text: str) -> None:
    assert hooks.REMOTE.search(text)
    assert not hooks.REMOTE.search('<a href="https://a.org">a</a><script src="../assets/b.js"></script>')


def test_the_former_site_stays_until_the_new_one_is_whole(hooks: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "former.html").write_text("former")
    config = hooks.on_config(SimpleNamespace(site_dir=str(site)))
    built = Path(config.site_dir)
    assert built != site
    built.mkdir()
    (built / "index.html").write_text("half")
    assert (site / "former.html").read_text() == "former"
    (built / "index.html").write_text("whole")
    hooks.on_post_build(config)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert [path.name for path in site.iterdir()] == ["index.html"]
