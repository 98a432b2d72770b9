"""Every claim of the paper, a module per theorem or part; `ALL_CLAIMS` lists them in the paper's order."""

from __future__ import annotations

from paper_checks.claims import (
    ablations,
    appendix_a3,
    conditioning,
    description,
    figures,
    headline,
    open_text,
    table_5,
    tables,
    text,
    text_short,
    theorem_2,
    theorem_3,
    theorem_6,
    theorem_7,
    theorem_9,
)
from paper_checks.records import Claim

ALL_CLAIMS: tuple[Claim, ...] = (
    *headline.CLAIMS,
    *conditioning.CLAIMS,
    *description.CLAIMS,
    *tables.CLAIMS,
    *text.CLAIMS,
    *text_short.CLAIMS,
    *figures.CLAIMS,
    *open_text.CLAIMS,
    *theorem_2.CLAIMS,
    *theorem_3.CLAIMS,
    *appendix_a3.CLAIMS,
    *theorem_6.CLAIMS,
    *theorem_7.CLAIMS,
    *theorem_9.CLAIMS,
    *ablations.CLAIMS,
    *table_5.CLAIMS,
)
