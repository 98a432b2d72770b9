"""The map of the repository is that of the sources, and leads to all rooms of a theorem."""

from __future__ import annotations

import re

from paper_checks.claims import ALL_CLAIMS
from paper_checks.report.accounting import account
from paper_checks.report.map import PAGE, ROOT, page, rooms, rooms_of

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_sources_say() -> None:
    assert page() == TEXT, "python -m paper_checks.report.map"


def test_every_link_leads_somewhere() -> None:
    headings = set(re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE))
    anchors = {heading.lower().replace(" ", "-").replace(",", "") for heading in headings}
    targets = set(re.findall(r"\]\(([^)]+)\)", TEXT))
    assert len(targets) > 200
    for target in targets:
        assert target[1:] in anchors if target.startswith("#") else (PAGE.parent / target).exists(), target


def test_every_numbered_item_and_every_claim_is_there() -> None:
    for item in account(ALL_CLAIMS):
        assert item.kind == "Equation" or f"### {item.label}\n" in TEXT
    assert all(f"### {claim.id}\n" in TEXT for claim in ALL_CLAIMS)


def test_a_claim_with_a_check_has_its_module_first() -> None:
    for claim in ALL_CLAIMS:
        if claim.check is not None:
            assert rooms(claim).checks, claim.id


def test_theorem_6_is_found_in_all_its_rooms() -> None:
    [item] = [item for item in account(ALL_CLAIMS) if item.label == "Theorem 6"]
    claims, where = rooms_of(item)
    folder = ROOT / "paper_checks" / "claims" / "theorem_6"
    assert {path for path in folder.glob("*.py") if path.name != "__init__.py"} <= set(where.checks)
    assert claims[0].id == "thm6"
    files = {path.relative_to(ROOT).as_posix() for path in (*where.tests, *where.figures)}
    files |= {used.path.relative_to(ROOT).as_posix() for used in where.library}
    assert files >= {
        "grasp_theory/theorems/theorem_6.py",
        "linear_systems/stop_gradient/map.py",
        "tests/linear_systems/stop_gradient/test_map.py",
        "tests/grasp_theory/theorems/test_theorem_6_uniform.py",
        "figures/theory/transient_growth.py",
    }
