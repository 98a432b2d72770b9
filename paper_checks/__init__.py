"""Every claim of the paper as an executable check, with evidence, a verdict and negative controls."""
