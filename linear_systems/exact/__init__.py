"""Exact and ball arithmetic: enclosures, definiteness, eigenvalue counts, certificates."""
