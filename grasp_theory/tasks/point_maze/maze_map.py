"""A maze of unit cells: which points are free, how near walls are, and shortest paths around them.

The layout is gymnasium-robotics': rows from the top, 1 a wall and 0 free, the world's origin in the middle of the
map and y pointing up.  Positions and lengths are in cells (1 cell = 1 m in the physics).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import label
from scipy.sparse.csgraph import shortest_path

from linear_systems.errors import InvalidInputError, ParameterError

Layout = tuple[tuple[int, ...], ...]

CLEARANCE = 0.01
"""Shortest paths keep this many cells from walls along each axis.

The centre of a ball of radius 0.1 never comes that near: at full speed and force, soft contacts let it within 0.030 of
a corner and 0.052 of a face.  So no path of the ball is shorter.
"""

_ROUNDING = 1e-9
_CHUNK = 512


@dataclass(frozen=True)
class MazeMap:
    """A maze of unit cells.

    Arguments
        layout: rows from the top; 1 is a wall, 0 is free; walls all around, and free cells that are joined by sides.

    Raises
        ParameterError: if the layout is not such a rectangle of zeros and ones.
    """

    layout: Layout

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.layout}
        values = {value for row in self.layout for value in row}
        if len(widths) != 1 or not values <= {0, 1}:
            found = f"row lengths {sorted(widths)} and values {sorted(values)}"
            raise ParameterError("layout", "a rectangle of 0 (free) and 1 (wall)", found, "one row per tuple")
        wall = np.array(self.layout, dtype=bool)
        border = np.concatenate([wall[0], wall[-1], wall[:, 0], wall[:, -1]])
        if not border.all():
            found = f"{int((~border).sum())} free border cells"
            raise ParameterError("layout", "a border of wall", found, "a border of 1")
        _, parts = label(~wall)
        if parts != 1:
            found = f"{parts} separate parts"
            raise ParameterError("layout", "free cells joined by their sides", found, "open a passage")

    @cached_property
    def wall(self) -> Bool[np.ndarray, "rows columns"]:
        """Which cells are wall."""
        return np.array(self.layout, dtype=bool)

    @cached_property
    def free_cells(self) -> Int[np.ndarray, "F 2"]:
        """The (row, column) of every free cell, in reading order."""
        return np.argwhere(~self.wall)

    def centres(self, cells: Int[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Return the positions (x, y) of the middles of cells (row, column)."""
        rows, columns = self.wall.shape
        return np.stack([cells[..., 1] + 0.5 - columns / 2, rows / 2 - cells[..., 0] - 0.5], axis=-1)

    def cells(self, positions: Float[np.ndarray, "*batch 2"]) -> Int[np.ndarray, "*batch 2"]:
        """Return the cell (row, column) of each position.

        Raises
            InvalidInputError: if a position lies outside the map.
        """
        rows, columns = self.wall.shape
        corner = np.stack([rows / 2 - positions[..., 1], positions[..., 0] + columns / 2], axis=-1)
        cells: Int[np.ndarray, "*batch 2"] = np.floor(corner).astype(int)
        outside = ((cells < 0) | (cells >= (rows, columns))).any(axis=-1)
        if outside.any():
            found = f"{int(outside.sum())} outside, such as {positions[outside][0].tolist()}"
            raise InvalidInputError(
                "positions", f"positions on the {rows} by {columns} map", found, "check units"
            )
        return cells

    @cached_property
    def _walls(self) -> Float[np.ndarray, "W 2 2"]:
        """The (lower, upper) corner (x, y) of every wall cell."""
        centres = self.centres(np.argwhere(self.wall))
        return np.stack([centres - 0.5, centres + 0.5], axis=1)

    def wall_distance(self, positions: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, " N"]:
        """Return the Euclidean distance of each position to the nearest wall, 0 inside one."""
        below = self._walls[:, 0] - positions[:, None]
        above = positions[:, None] - self._walls[:, 1]
        outside = np.maximum(np.maximum(below, above), 0)
        distance: Float[np.ndarray, " N"] = np.sqrt((outside**2).sum(axis=-1).min(axis=-1))
        return distance

    @cached_property
    def waypoints(self) -> Float[np.ndarray, "C 2"]:
        """Where shortest paths bend: the corners of walls that stick out, `CLEARANCE` away along both axes."""
        wall = self.wall
        quarters = np.stack([wall[:-1, :-1], wall[:-1, 1:], wall[1:, :-1], wall[1:, 1:]])
        away = np.array([[1, -1], [-1, -1], [1, 1], [-1, 1]])
        rows, columns = np.nonzero(quarters.sum(axis=0) == 1)
        walled = quarters[:, rows, columns].argmax(axis=0)
        crossings = self.centres(np.stack([rows, columns], axis=-1)) + np.array([0.5, -0.5])
        waypoints: Float[np.ndarray, "C 2"] = crossings + CLEARANCE * away[walled]
        return waypoints

    def sees(
        self, starts: Float[np.ndarray, "N 2"], ends: Float[np.ndarray, "N 2"]
    ) -> Bool[np.ndarray, " N"]:
        """Return whether each straight segment keeps `CLEARANCE` from all walls."""
        low = self._walls[:, 0] - (CLEARANCE - _ROUNDING)
        high = self._walls[:, 1] + (CLEARANCE - _ROUNDING)
        direction = (ends - starts)[:, None]
        # Where the segment runs along an axis the quotients are infinite, or NaN on the very edge: no entry either way.
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low - starts[:, None]) / direction, (high - starts[:, None]) / direction
        enter = np.minimum(first, second).max(axis=-1)
        leave = np.maximum(first, second).min(axis=-1)
        clear: Bool[np.ndarray, " N"] = ~(np.maximum(enter, 0) < np.minimum(leave, 1)).any(axis=-1)
        return clear

    def _leg(
        self, starts: Float[np.ndarray, "N 2"], ends: Float[np.ndarray, "N 2"], norm: float
    ) -> Float[np.ndarray, " N"]:
        length = np.linalg.norm(ends - starts, ord=norm, axis=-1)
        return np.where(self.sees(starts, ends), length, np.inf)

    def _to_waypoints(self, positions: Float[np.ndarray, "N 2"], norm: float) -> Float[np.ndarray, "N C"]:
        count, corners = len(positions), len(self.waypoints)
        starts = np.repeat(positions, corners, axis=0)
        return self._leg(starts, np.tile(self.waypoints, (count, 1)), norm).reshape(count, corners)

    def geodesic(
        self, starts: Float[np.ndarray, "N 2"], goals: Float[np.ndarray, "N 2"], norm: float = 2
    ) -> Float[np.ndarray, " N"]:
        """Return the length of the shortest path from each start to its goal around the walls.

        The path keeps `CLEARANCE` from walls along each axis, and lengths are in the given norm of the plane (2, or
        infinity for the larger of the two axes).  Exact for any norm: shortening a path by straight segments never
        makes it longer, and ends at the taut string, whose bends are at corners of walls; so a visibility graph
        of the corners holds a shortest path.  Lengths in cells.

        Raises
            InvalidInputError: if a position is nearer than √2 `CLEARANCE` to a wall.
        """
        for name, positions in (("starts", starts), ("goals", goals)):
            near = self.wall_distance(positions) < np.sqrt(2) * CLEARANCE
            if near.any():
                found = f"{int(near.sum())} nearer, such as {positions[near][0].tolist()}"
                expected = f"positions at least {np.sqrt(2) * CLEARANCE:.3f} cells from walls"
                raise InvalidInputError(name, expected, found, "positions that the ball can take")
        corners = len(self.waypoints)
        between = self._to_waypoints(self.waypoints, norm)
        between = shortest_path(between, directed=False) if corners else between
        length = np.empty(len(starts))
        for i in range(0, len(starts), _CHUNK):
            rows = slice(i, i + _CHUNK)
            shortest = self._leg(starts[rows], goals[rows], norm)
            from_start = self._to_waypoints(starts[rows], norm)
            to_goal = self._to_waypoints(goals[rows], norm)
            for corner in range(corners):
                through = from_start[:, corner, None] + between[corner] + to_goal
                shortest = np.minimum(shortest, through.min(axis=1))
            length[rows] = shortest
        return length

    @cached_property
    def next_cell(self) -> Int[np.ndarray, "F F"]:
        """For free cells i and j (by their index in `free_cells`): the cell after i on a shortest way to j."""
        cells = self.free_cells
        adjacent = np.abs(cells[:, None] - cells).sum(axis=-1) == 1
        _, before = shortest_path(adjacent.astype(float), unweighted=True, return_predecessors=True)
        own = np.arange(len(cells))
        # Ways are reversible: the cell before i on the way from j is the cell after i on the way to j.
        following: Int[np.ndarray, "F F"] = np.where(own[:, None] == own, own, before.T)
        return following

    @cached_property
    def _numbers(self) -> Int[np.ndarray, "rows columns"]:
        numbers = np.full(self.wall.shape, -1)
        numbers[tuple(self.free_cells.T)] = np.arange(len(self.free_cells))
        return numbers

    def free_index(self, positions: Float[np.ndarray, "*batch 2"]) -> Int[np.ndarray, "*batch"]:
        """Return the index in `free_cells` of the cell of each position, -1 in walls.

        Raises
            InvalidInputError: if a position lies outside the map.
        """
        cells = self.cells(positions)
        index: Int[np.ndarray, "*batch"] = self._numbers[cells[..., 0], cells[..., 1]]
        return index
