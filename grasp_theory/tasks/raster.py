"""A small raster: anti-aliased discs and convex polygons in numpy, batched, with no system libraries.

Pictures are (N, size, size, 3) uint8; row 0 is the top.  World coordinates are mapped to pixels by a `Viewport`.
The coverage of a pixel by a shape is its signed distance to the shape's edge in pixels, clipped to half a pixel
on either side: exact for a straight edge along the axes, and smooth in the shape's position, so that a picture
tells positions to a small fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Viewport:
    """The square of the world that a picture shows.

    Arguments
        left, top: the world coordinates of the picture's upper left corner.
        extent: the length of the square's side, in world units.
        size: the number of pixels of a side.
        y_up: whether the world's second axis points up; pictures count their rows downwards.
    """

    left: float
    top: float
    extent: float
    size: int
    y_up: bool = False

    def pixels(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Return the pixel coordinates (column, row) of world points; the centre of pixel (0, 0) is (0.5, 0.5)."""
        scale = self.size / self.extent
        column = (points[..., 0] - self.left) * scale
        row = (self.top - points[..., 1] if self.y_up else points[..., 1] - self.top) * scale
        return np.stack([column, row], axis=-1)

    def length(self, length: float) -> float:
        """Return a length of the world in pixels."""
        return length * self.size / self.extent


def blank(count: int, size: int, colour: Colour) -> UInt8[np.ndarray, "N size size 3"]:
    """Return `count` pictures of one colour."""
    return np.broadcast_to(np.array(colour, dtype=np.uint8), (count, size, size, 3)).copy()


def draw_discs(
    pictures: UInt8[np.ndarray, "N size size 3"],
    centres: Float[np.ndarray, "N 2"],
    radius: float,
    colour: Colour,
) -> None:
    """Draw one disc on each picture, in place; centres (column, row) and radius in pixels.

    Only the square around each disc is touched, so the cost does not depend on the size of the pictures.
    """
    count, size = pictures.shape[:2]
    side = min(int(np.ceil(2 * radius)) + 3, size)
    corner = np.clip(np.floor(centres - side / 2).astype(int), 0, size - side)
    offsets = np.arange(side)
    columns = corner[:, 0, None] + offsets
    rows = corner[:, 1, None] + offsets
    across = (columns + 0.5 - centres[:, 0, None]).astype(np.float32)
    down = (rows + 0.5 - centres[:, 1, None]).astype(np.float32)
    distance = np.sqrt(across[:, None, :] ** 2 + down[:, :, None] ** 2)
    which = (np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :])
    pictures[which] = _blend(pictures[which], np.float32(radius) - distance, colour)


def draw_convex_polygons(
    pictures: UInt8[np.ndarray, "N size size 3"],
    corners: Float[np.ndarray, "N K 2"],
    colour: Colour,
) -> None:
    """Draw one convex polygon on each picture, in place; its K corners (column, row) in pixels, in order.

    Either order of the corners will do.  Only the square around the largest polygon is touched.
    """
    count, size = pictures.shape[:2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    side = min(int(np.ceil((high - low).max())) + 3, size)
    corner = np.clip(np.floor((low + high - side) / 2).astype(int), 0, size - side)
    offsets = np.arange(side)
    columns = corner[:, 0, None] + offsets
    rows = corner[:, 1, None] + offsets
    edges = np.roll(corners, -1, axis=1) - corners
    following = np.roll(edges, -1, axis=1)
    turn = np.sign((edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]).sum(axis=1))
    inward = np.stack([-edges[..., 1], edges[..., 0]], axis=-1) * turn[:, None, None]
    inward = (inward / np.linalg.norm(edges, axis=-1, keepdims=True)).astype(np.float32)
    inside = np.full((count, side, side), np.inf, dtype=np.float32)
    for k in range(corners.shape[1]):
        across = (columns + 0.5 - corners[:, k, 0, None]).astype(np.float32) * inward[:, k, 0, None]
        down = (rows + 0.5 - corners[:, k, 1, None]).astype(np.float32) * inward[:, k, 1, None]
        np.minimum(inside, across[:, None, :] + down[:, :, None], out=inside)
    which = (np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :])
    pictures[which] = _blend(pictures[which], inside, colour)


def rectangle(left: float, top: float, right: float, bottom: float) -> Float[np.ndarray, "4 2"]:
    """Return the corners of an axis-aligned rectangle, in order."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _blend(
    under: UInt8[np.ndarray, "N h w 3"], inside: Float[np.ndarray, "N h w"], colour: Colour
) -> UInt8[np.ndarray, "N h w 3"]:
    """Return the colours of pixels whose centres lie `inside` pixels within a shape of the given colour."""
    coverage = np.clip(inside + np.float32(0.5), 0, 1)[..., None]
    paint = np.array(colour, dtype=np.float32)
    mixed = under + coverage * (paint - under)
    rounded: UInt8[np.ndarray, "N h w 3"] = np.rint(mixed).astype(np.uint8)
    return rounded
