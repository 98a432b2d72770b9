"""Appendix A.3 and Theorems 7, 8 and 9: what noise does, Eq. (56)-(57), (92)-(105)."""
