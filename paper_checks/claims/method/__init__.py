"""Section 3: the lifted problem, the stop-gradient losses and Algorithm 1, Eq. (1)-(15)."""
