"""Every claim of the paper, a module per theorem or part; `ALL_CLAIMS` lists them in the paper's order."""

from __future__ import annotations

from paper_checks.records import Claim

ALL_CLAIMS: tuple[Claim, ...] = ()
