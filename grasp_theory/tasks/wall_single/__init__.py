"""WallSingle: a dot in a walled room with a door."""
