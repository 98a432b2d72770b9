"""Theorems 1 and 5, Eq. (58)-(74)."""
