"""What to trust: a model diagnosed before planning, and plans judged after it."""
