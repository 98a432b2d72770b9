"""Appendix A.2: Theorem 4 and Corollary 1, Eq. (39)-(55)."""
