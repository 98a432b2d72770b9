"""One script per figure of the paper and of our own findings."""
