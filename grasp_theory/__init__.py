"""The GRASP planner's theory, usable on the reader's own system or model."""
