"""Theorems of ours beyond the paper's: limits, metrics, nonlinear dynamics, noise, syncs (docs/theory)."""
