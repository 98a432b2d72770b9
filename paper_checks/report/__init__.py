"""The report: data, page, terminal, accounting of the paper's items, verdicts on record."""
