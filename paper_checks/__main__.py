"""`python -m paper_checks`."""

from __future__ import annotations

from paper_checks.cli import main

if __name__ == "__main__":
    main()
