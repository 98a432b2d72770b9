"""The paper's empirical claims on our own models."""
