"""The paper's Figures 1 to 7 on our models."""
