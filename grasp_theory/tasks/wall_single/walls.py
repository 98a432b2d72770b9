"""A point among axis-aligned walls in a square room: exact motion with contacts, and exact geodesics.

The free space is the closed square [low, high]² without K open rectangles.  Everything is batched over N points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse.csgraph import shortest_path

from linear_systems.errors import ParameterError

_GRAZE = 1e-9
"""Lengths below this inside a wall are rounding: a segment along a face or through a corner is free."""


@dataclass(frozen=True)
class Walls:
    """A square room with rectangular walls.

    Arguments
        low, high: the room is [low, high]² for the point.
        rectangles: (left, top, right, bottom) of each wall; it may reach outside the room.

    Raises
        ParameterError: if the room is empty or a rectangle is.
    """

    low: float
    high: float
    rectangles: tuple[tuple[float, float, float, float], ...]

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ParameterError("low, high", "low < high", f"{self.low}, {self.high}", "swap them")
        for left, top, right, bottom in self.rectangles:
            if not (left < right and top < bottom):
                found = f"{(left, top, right, bottom)}"
                raise ParameterError(
                    "rectangles", "left < right and top < bottom", found, "reorder its sides"
                )

    @cached_property
    def corners(self) -> Float[np.ndarray, "C 2"]:
        """The corners of the walls that are in the free space: where shortest paths may bend."""
        sides = np.array(self.rectangles, dtype=float).reshape(-1, 4)
        every = np.concatenate([sides[:, [x, y]] for x in (0, 2) for y in (1, 3)])
        corners: Float[np.ndarray, "C 2"] = every[np.isfinite(every).all(axis=1) & self.free(every)]
        return corners

    @cached_property
    def _lows(self) -> Float[np.ndarray, "boxes 2"]:
        """Lower sides of the walls and of the four half-planes outside the room."""
        inf = np.inf
        outside = [(-inf, -inf), (-inf, -inf), (self.high, -inf), (-inf, self.high)]
        return np.array([(left, top) for left, top, _, _ in self.rectangles] + outside)

    @cached_property
    def _highs(self) -> Float[np.ndarray, "boxes 2"]:
        """Upper sides, in the order of `_lows`."""
        inf = np.inf
        outside = [(self.low, inf), (inf, self.low), (inf, inf), (inf, inf)]
        return np.array([(right, bottom) for _, _, right, bottom in self.rectangles] + outside)

    @cached_property
    def _between_corners(self) -> Float[np.ndarray, "C C"]:
        """Geodesic distances between all corners."""
        straight = self._straight(self.corners[:, None], self.corners[None])
        between: Float[np.ndarray, "C C"] = shortest_path(straight)
        return between

    def free(self, points: Float[np.ndarray, "*batch 2"]) -> Bool[np.ndarray, "*batch"]:
        """Return whether each point is in the free space, its edges included."""
        inside = (points[..., None, :] > self._lows) & (points[..., None, :] < self._highs)
        free: Bool[np.ndarray, "*batch"] = np.logical_not(inside.all(axis=-1).any(axis=-1))
        return free

    def move(
        self, points: Float[np.ndarray, "N 2"], displacements: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, "N 2"]:
        """Return where free points come to rest after a displacement, sliding along walls without friction.

        The point moves straight to the first contact; there the part of the remaining displacement that
        points into the wall is lost, and it slides by the other part, to the next contact at most.  As all
        walls are axis-aligned, that contact ends the motion.  No path enters a wall, however long.
        """
        moved, rest = self._until_contact(points, displacements)
        sliding = np.flatnonzero((rest != 0).any(axis=1))
        if sliding.size:
            moved[sliding] = self._until_contact(moved[sliding], rest[sliding])[0]
        return moved

    def geodesic(
        self, starts: Float[np.ndarray, "N 2"], ends: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, " N"]:
        """Return the lengths of the shortest free paths between points (inf where there is none)."""
        bent = self._to_corners(starts) + self._straight(ends[:, None], self.corners[None])
        shortest: Float[np.ndarray, " N"] = np.minimum(
            self._straight(starts, ends), bent.min(axis=1, initial=np.inf)
        )
        return shortest

    def geodesic_to_disc(
        self, starts: Float[np.ndarray, "N 2"], centres: Float[np.ndarray, "N 2"], radius: float
    ) -> Float[np.ndarray, " N"]:
        """Return the lengths of the shortest free paths into discs (Euclidean, also around a wall's corner).

        A shortest path ends on the disc either perpendicularly, coming straight from its last bend, or where
        the circle meets a wall; all such ends are tried.
        """
        corners = np.broadcast_to(self.corners, (len(starts), *self.corners.shape))
        before = np.concatenate([np.zeros((len(starts), 1)), self._to_corners(starts)], axis=1)
        bends = np.concatenate([starts[:, None], corners], axis=1)
        offsets = bends - centres[:, None]
        lengths = np.linalg.norm(offsets, axis=-1, keepdims=True)
        feet = centres[:, None] + offsets * np.minimum(1, radius / np.maximum(lengths, radius))
        perpendicular = (before + self._straight(bends, feet)).min(axis=1)
        met = self._circle_meets_walls(centres, radius)
        missing = np.isnan(met).any(axis=-1)
        most = int((~missing).sum(axis=1).max(initial=0))
        kept = np.argsort(missing, axis=1, kind="stable")[:, :most]
        missing = np.take_along_axis(missing, kept, axis=1)
        ends = np.where(missing[..., None], 0, np.take_along_axis(met, kept[..., None], axis=1))
        along = before[:, :, None] + self._straight(bends[:, :, None], ends[:, None])
        grazing = np.where(missing[:, None], np.inf, along).min(axis=(1, 2), initial=np.inf)
        shortest: Float[np.ndarray, " N"] = np.minimum(perpendicular, grazing)
        return shortest

    def waypoints(
        self, points: Float[np.ndarray, "N 2"], goals: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, "N 2"]:
        """Return the first bend of a shortest path from each point to its goal, or the goal where it is straight."""
        remaining = self._to_corners(goals) + self._straight(points[:, None], self.corners[None])
        # A corner that the point stands on is no progress unless the path goes on from there.
        remaining = np.where((points[:, None] == self.corners).all(axis=-1), np.inf, remaining)
        towards = np.concatenate([self._straight(points, goals)[:, None], remaining], axis=1)
        targets = np.concatenate(
            [goals[:, None], np.broadcast_to(self.corners, (*remaining.shape, 2))], axis=1
        )
        first: Float[np.ndarray, "N 2"] = targets[np.arange(len(points)), towards.argmin(axis=1)]
        return first

    def _to_corners(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N C"]:
        """Return the geodesic distances from points to all corners."""
        direct = self._straight(points[:, None], self.corners[None])
        bent = direct[:, :, None] + self._between_corners
        shortest: Float[np.ndarray, "N C"] = bent.min(axis=1, initial=np.inf)
        return shortest

    def _straight(
        self, starts: Float[np.ndarray, "*#batch 2"], ends: Float[np.ndarray, "*#batch 2"]
    ) -> Float[np.ndarray, "*batch"]:
        """Return the distances between points that see each other, inf between the others."""
        starts, ends = np.broadcast_arrays(starts, ends)
        lengths = np.linalg.norm(ends - starts, axis=-1)
        entry, leave, _ = self._crossings(starts, ends - starts)
        inside = (np.clip(leave, 0, 1) - np.clip(entry, 0, 1)) * lengths[..., None]
        return np.where(np.any(inside > _GRAZE, axis=-1), np.inf, lengths)

    def _crossings(
        self, points: Float[np.ndarray, "*batch 2"], displacements: Float[np.ndarray, "*batch 2"]
    ) -> tuple[Float[np.ndarray, "*batch K"], Float[np.ndarray, "*batch K"], Bool[np.ndarray, "*batch K"]]:
        """Return when each line enters and leaves each open rectangle, and whether it enters along axis 1.

        In units of the displacement; a line that misses a rectangle enters after it leaves.
        """
        p, d = points[..., None, :], displacements[..., None, :]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            first, second = (self._lows - p) / d, (self._highs - p) / d
        parallel = d == 0
        between = (p > self._lows) & (p < self._highs)
        entries = np.where(parallel, np.where(between, -np.inf, np.inf), np.minimum(first, second))
        leaves = np.where(parallel, np.inf, np.maximum(first, second))
        return entries.max(axis=-1), leaves.min(axis=-1), entries[..., 1] > entries[..., 0]

    def _until_contact(
        self, points: Float[np.ndarray, "N 2"], displacements: Float[np.ndarray, "N 2"]
    ) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N 2"]]:
        """Return the points moved up to the first contact, and what is left of the displacement along the wall."""
        entry, leave, across = self._crossings(points, displacements)
        entry = np.where((entry < leave) & (entry >= 0) & (entry < 1), entry, np.inf)
        rows, first = np.arange(len(points)), entry.argmin(axis=1)
        time = np.minimum(entry[rows, first], 1)
        moved = points + time[:, None] * displacements
        rest = (1 - time)[:, None] * displacements
        hit = np.flatnonzero(time < 1)
        axis, wall = across[hit, first[hit]].astype(int), first[hit]
        forward = displacements[hit, axis] > 0
        moved[hit, axis] = np.where(forward, self._lows[wall, axis], self._highs[wall, axis])
        rest[hit, axis] = 0
        return self._out_of_rounding(moved), rest

    def _out_of_rounding(self, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """Put points that rounding (never more) left within a wall on its nearest face, in place."""
        for low, high in zip(self._lows, self._highs, strict=True):
            inside = np.flatnonzero(((points > low) & (points < high)).all(axis=1))
            if inside.size:
                depths = np.concatenate([points[inside] - low, high - points[inside]], axis=1)
                face = depths.argmin(axis=1)
                points[inside, face % 2] = np.concatenate([low, high])[face]
        return points

    def _circle_meets_walls(
        self, centres: Float[np.ndarray, "N 2"], radius: float
    ) -> Float[np.ndarray, "N 8K 2"]:
        """Return the free points where circles meet the walls' sides, NaN for those that are not."""
        count = len(self.rectangles)
        points = []
        for axis in (0, 1):
            for sides in (self._lows[:count], self._highs[:count]):
                height = sides[:, axis] - centres[:, axis, None]
                with np.errstate(invalid="ignore"):
                    half = np.sqrt(radius**2 - height**2)
                for sign in (-1, 1):
                    along = centres[:, 1 - axis, None] + sign * half
                    on_side = (along >= self._lows[:count, 1 - axis]) & (
                        along <= self._highs[:count, 1 - axis]
                    )
                    pair = [np.broadcast_to(sides[:, axis], along.shape), np.where(on_side, along, np.nan)]
                    points.append(np.stack(pair if axis == 0 else pair[::-1], axis=-1))
        met = np.concatenate(points, axis=1)
        return np.where(self.free(met)[..., None], met, np.nan)
