"""Theorem 6 and the theorems of ours that sharpen it, Eq. (75)-(91)."""
