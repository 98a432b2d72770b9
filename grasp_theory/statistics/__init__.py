"""Statistics of trials: paired tests, proportions, bootstrap intervals."""
