"""The loop that all planners share: rows, budgets, looks, gradients, steps, and the plan that comes out."""
