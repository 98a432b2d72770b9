"""What to trust: how far a model's theory carries, and whether a plan is true."""
