"""Appendix A.1: Theorems 2 and 3, and what is said of conditioning, Eq. (16)-(38)."""
