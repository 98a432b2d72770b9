"""The engine: records, running a check, inspection of evidence, directed search."""
