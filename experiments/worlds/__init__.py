"""Analytic worlds, in which model and world are one, and what planners do in them."""
