"""Smoothness and conditioning of shooting and of the lifted problem (Theorems 2 and 3)."""
