"""PointMaze: a ball pushed through a maze, with MuJoCo's physics."""
