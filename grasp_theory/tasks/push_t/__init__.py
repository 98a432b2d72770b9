"""Push-T: a round pusher moves a T-shaped block, with gym-pusht's physics."""
