"""The empirical study: planners on learned world models, trial by trial; tables, figures' data, tuning.

A *trial* is one problem planned once, and one row of the results.  A *unit* is what one process computes in one go:
some problems of one set with one model, one planner and one seed.
"""

from experiments.study.trials.own import Case, Study

__all__ = ["Case", "Study"]
