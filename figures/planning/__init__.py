"""Figures of planners and world models at work."""
