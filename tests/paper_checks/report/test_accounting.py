"""Everything that the paper numbers is accounted for, once each, by the claims that say so."""

from __future__ import annotations

import sample_claims

from paper_checks.engine.records import Claim
from paper_checks.report.accounting import KINDS, about, account, grouped, unknown_items


def test_every_item_of_the_paper_is_listed_once() -> None:
    items = account(())
    assert (
        len({item.label for item in items}) == len(items) == sum(len(numbers) for numbers in KINDS.values())
    )
    assert {kind: len(numbers) for kind, numbers in KINDS.items()} == {
        "Equation": 107, "Theorem": 9, "Corollary": 1, "Algorithm": 1, "Table": 5, "Figure": 7,
    }  # fmt: skip
    assert not any(item.accounted for item in items)


def test_outcomes_follow_the_claims() -> None:
    outcomes = {item.label: item.outcome for item in account(sample_claims.CLAIMS)}
    assert outcomes["Eq. (1)"] == ("checked", "squares")
    assert outcomes["Theorem 1"] == ("checked", "squares")
    assert outcomes["Table 1"] == ("checked", "loose")
    assert outcomes["Eq. (6)"] == ("not checkable here", "unseen: the authors' checkpoints")
    assert outcomes["Eq. (7)"] == ("definition", "squares: defines x")
    assert outcomes["Figure 2"] == ("definition", "notation: The claim called notation")
    assert outcomes["Theorem 2"] == ("not accounted for", "")


def test_a_check_outweighs_a_definition_and_a_theorem_in_the_source_alone_does_not_count() -> None:
    claims = (
        Claim("a", "t", "our extension of Theorem 3", "x", check=lambda run: None, equations=(9,)),
        Claim("b", "t", "s", "x", definitions={9: "names it"}),
    )
    items = {item.label: item for item in account(claims)}
    assert items["Eq. (9)"].outcome == ("checked", "a")
    assert not items["Theorem 3"].accounted


def test_what_the_paper_does_not_have_is_reported() -> None:
    claims = (
        Claim(
            "a",
            "t",
            "s",
            "x",
            equations=(108,),
            definitions={0: "?"},
            tables=(6,),
            others=("Theorem 10", "Lemma 1"),
        ),
    )
    assert unknown_items(claims) == (
        "a: Equation 108",
        "a: Theorem 10",
        "a: Table 6",
        "a: Equation 0",
        "a: Lemma 1",
    )
    assert unknown_items(sample_claims.CLAIMS) == ()


def test_neighbours_with_one_outcome_share_a_row_and_gaps_do_not() -> None:
    items = account(sample_claims.CLAIMS)
    labels = [label for label, _ in grouped(items)]
    assert labels[:3] == ["Eq. (1)–(3)", "Eq. (4)", "Eq. (5)"]
    assert "Eq. (9)–(107)" in labels
    assert "Theorems 2–9" in labels
    assert [label for label, _ in grouped([items[8], items[10], items[11]])] == ["Eq. (9)", "Eq. (11)–(12)"]


def test_a_claim_is_about_what_it_accounts_for_and_what_its_source_cites() -> None:
    claim = Claim(
        "a",
        "",
        "Tables 1, 3 and 4; Theorem 6 and Eq. (9); Figures 1–3, 2.5 times",
        "",
        others=("Algorithm 1",),
    )
    labels = "Theorem 6, Algorithm 1, Table 1, Table 3, Table 4, Figure 1, Figure 2, Figure 3"
    assert about(claim) == tuple(labels.split(", "))
    assert about(Claim("b", "", "Section 3.1, Eq. (4)", "", equations=(4,))) == ()
