"""The raster: exact where it claims to be, positions to a small fraction of a pixel, nothing touched elsewhere."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_theory.tasks.raster import (
    Viewport,
    blank,
    draw_convex_polygons,
    draw_discs,
    rectangle,
)

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def darkness(picture: np.ndarray) -> np.ndarray:
    return (255.0 - picture[..., 0]) / 255.0


def centroid(dark: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(dark.shape) + 0.5
    return np.array([(columns * dark).sum(), (rows * dark).sum()]) / dark.sum()


@given(x=st.floats(6, 26), y=st.floats(6, 26), radius=st.floats(1.5, 4))
def test_a_disc_has_its_centre_and_area(x: float, y: float, radius: float) -> None:
    picture = blank(1, 32, WHITE)
    draw_discs(picture, np.array([[x, y]]), radius, BLACK)
    dark = darkness(picture[0])
    # Over the plane, the clipped distance integrates to pi (r^2 + 1/12); sampled at the pixels' centres, it was off
    # by at most 4.2%, and its centroid by 0.051 px, over a fine sweep of centres and radii.
    assert np.abs(centroid(dark) - (x, y)).max() < 0.06
    assert dark.sum() == pytest.approx(np.pi * (radius**2 + 1 / 12), rel=0.05)


@given(edge=st.floats(10, 11), far=st.floats(20, 21))
def test_a_rectangle_covers_each_pixel_by_its_share(edge: float, far: float) -> None:
    picture = blank(1, 32, WHITE)
    draw_convex_polygons(picture, rectangle(edge, 5, far, 25)[None], BLACK)
    row = darkness(picture[0])[15]
    shares = np.clip(np.minimum(np.arange(1, 33) - edge, far - np.arange(32)), 0, 1)
    # Half a grey level of rounding, and float32 in the distances.
    assert np.abs(row - shares).max() <= 0.5 / 255 + 1e-4


def test_polygons_take_their_corners_in_either_order() -> None:
    corners = np.array([[[3.2, 4.1], [12.7, 6.0], [10.3, 13.9], [4.4, 11.5]]])
    pictures = [blank(1, 16, WHITE) for _ in range(2)]
    draw_convex_polygons(pictures[0], corners, BLACK)
    draw_convex_polygons(pictures[1], corners[:, ::-1], BLACK)
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (1.3, 15.9), (16.0, 7.0), (-2.0, 8.0), (-50.0, 90.0)])
def test_a_disc_that_is_cut_off_is_the_cut_out_of_a_larger_picture(centre: tuple[float, float]) -> None:
    small, large = blank(1, 16, WHITE), blank(1, 216, WHITE)
    draw_discs(small, np.array([centre]), 3.0, BLACK)
    draw_discs(large, np.array([centre]) + 100, 3.0, BLACK)
    np.testing.assert_array_equal(small, large[:, 100:116, 100:116])


def test_each_row_of_a_batch_is_drawn_as_it_is_alone() -> None:
    rng = np.random.default_rng(0)
    centres = rng.uniform(-2, 34, (20, 2))
    quads = centres[:, None] + rectangle(-3, -2, 3, 2) @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    together = blank(20, 32, WHITE)
    draw_discs(together, centres, 2.5, (200, 30, 40))
    draw_convex_polygons(together, quads, (10, 20, 250))
    for k in range(20):
        alone = blank(1, 32, WHITE)
        draw_discs(alone, centres[k : k + 1], 2.5, (200, 30, 40))
        draw_convex_polygons(alone, quads[k : k + 1], (10, 20, 250))
        np.testing.assert_array_equal(together[k], alone[0])


def test_viewport_maps_world_to_pixels_with_either_axis() -> None:
    points = np.array([[-1.0, 2.0], [1.0, 1.0]])
    down = Viewport(left=-1, top=0, extent=4, size=64)
    up = Viewport(left=-1, top=2, extent=4, size=64, y_up=True)
    np.testing.assert_allclose(down.pixels(points), [[0, 32], [32, 16]])
    np.testing.assert_allclose(up.pixels(points), [[0, 0], [32, 16]])
    assert down.length(0.5) == 8


def test_golden_picture() -> None:
    picture = blank(1, 24, (240, 240, 240))
    draw_convex_polygons(picture, np.array([[[4.0, 3.5], [19.25, 6.0], [11.0, 20.0]]]), (30, 60, 90))
    draw_discs(picture, np.array([[15.5, 16.25]]), 3.0, (220, 20, 20))
    assert picture[0, 8, 11].tolist() == [30, 60, 90]
    assert picture[0, 16, 15].tolist() == [220, 20, 20]
    assert picture[0, 0, 0].tolist() == [240, 240, 240]
    digest = "2550f49328cc9452ddb6a6cb3bbd53d79757e5f2e97f0c7994f8d7e2244ce21a"
    assert sha256(picture.tobytes()).hexdigest() == digest
