"""What figures 1, 3, 4, 6 and 7 show, measured on the shipped world models: `python -m experiments figure-data`."""

from experiments.study.figure_data.figure_data_command import figure_data
from experiments.study.figure_data.files import FigureData, read, shares

__all__ = ["FigureData", "figure_data", "read", "shares"]
