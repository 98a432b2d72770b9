"""A ball in the plane among walls: a wall to go around, a trap to back out of, a maze."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.worlds.world import Draw, Within, uniform

Rectangle = tuple[float, float, float, float]
"""(x, y, half width, half height)"""


@dataclass(frozen=True, kw_only=True)
class Plane(Within):
    """A ball that moves by v a, first along x and then along y, and loses what would lead into a wall.

        x' = x + v a_x (1 − w(x + v a_x, y)),     y' = y + v a_y (1 − w(x', y + v a_y)),
        1 − w = Π over rectangles of 1 − σ((h_x − |x − x_i|)/τ) σ((h_y − |y − y_i|)/τ).

    No step is longer than v in any component: to come within reach r of a goal takes at least (‖g − s‖_∞ − r) / v steps.
    The witness takes the shortest path around the walls, with a margin.

    Arguments
        walls: rectangles.
        softness: τ; contact is the stiffer, the smaller it is.
        speed: v.
        horizon: T.
        start, goal: (x, y, half width, half height), where problems start and end.
        ways: lists of waypoints; the witness of a problem takes the first or second, whichever is shorter.
    """

    walls: tuple[Rectangle, ...]
    softness: float
    speed: float
    horizon: int
    start: Rectangle
    goal: Rectangle
    ways: tuple[tuple[tuple[float, float], ...], ...]
    states = actions = 2

    def step(self, state: Float[Tensor, "*batch 2"], action: Float[Tensor, "*batch 2"]) -> Tensor:
        """Return F(s, a)."""
        x, y = state.unbind(-1)
        right, up = (self.speed * action).unbind(-1)
        x = x + right * self.free(x + right, y)
        y = y + up * self.free(x, y + up)
        return torch.stack([x, y], -1)

    def free(self, x: Tensor, y: Tensor) -> Tensor:
        """Return 1 − w, 1 in the open and nearly 0 inside walls."""
        free = torch.ones_like(x)
        for middle_x, middle_y, half_x, half_y in self.walls:
            across = torch.sigmoid((half_x - (x - middle_x).abs()) / self.softness)
            free = free * (1 - across * torch.sigmoid((half_y - (y - middle_y).abs()) / self.softness))
        return free

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return problems whose witness walks along the waypoints."""
        start, goal = (
            torch.stack([uniform(generator, count, p - h, p + h) for p, h in zip(box[:2], box[2:], strict=True)], 1)
            for box in (self.start, self.goal)
        )  # fmt: skip
        routes = [
            torch.cat([torch.tensor(way).expand(count, -1, 2), goal.unsqueeze(1)], 1) for way in self.ways
        ]
        lengths = torch.stack([_length(start, route) for route in routes])
        chosen = torch.stack(routes)[lengths.argmin(0), torch.arange(count)]
        least = ((goal - start).abs().amax(1) - self.reach) / self.speed
        return Draw(start, goal, self._walk(start, chosen), least.clamp(min=1))

    def _walk(self, state: Tensor, route: Float[Tensor, "N K 2"]) -> Float[Tensor, "N T 2"]:
        """Return the actions that go straight from waypoint to waypoint."""
        rows, place, actions = torch.arange(len(state)), torch.zeros(len(state), dtype=torch.long), []
        for _ in range(self.horizon):
            near = (route[rows, place] - state).abs().amax(1) < 0.02
            place = (place + near).clamp(max=route.shape[1] - 1)
            actions.append(((route[rows, place] - state) / self.speed).clamp(-1, 1))
            state = self.step(state, actions[-1])
        return torch.stack(actions, 1)


def _length(start: Tensor, route: Tensor) -> Tensor:
    path = torch.cat([start.unsqueeze(1), route], 1)
    return path.diff(dim=1).abs().amax(2).sum(1)


def wall(horizon: int = 30, softness: float = 0.03) -> Plane:
    """Return a wall between start and goal; T steps of 4/T, of which the shortest path around it needs less than 0.85 T."""
    around = tuple(((-0.55, sign * 0.95), (0.55, sign * 0.95)) for sign in (-1.0, 1.0))
    return Plane(
        reach=0.1, walls=((0.0, 0.0, 0.3, 0.7),), softness=softness, speed=4.0 / horizon, horizon=horizon,
        start=(-1.0, 0.0, 0.05, 0.5), goal=(1.0, 0.0, 0.05, 0.5), ways=around,
    )  # fmt: skip


def trap(horizon: int = 40, depth: float = 0.4, softness: float = 0.03) -> Plane:
    """Return a trap around the start that opens away from the goal: its arms are `depth` long, and one must back out of them.

    The distance to the goal grows by about `depth` on the way.
    """
    arms = (
        (-0.5 * depth - 0.1, 0.75, 0.5 * depth + 0.25, 0.15),
        (-0.5 * depth - 0.1, -0.75, 0.5 * depth + 0.25, 0.15),
    )
    mouth = -depth - 0.6
    around = tuple(
        ((mouth, 0.0), (mouth, sign * 1.15), (0.45, sign * 1.15)) for sign in (-1.0, 1.0)
    )  # fmt: skip
    return Plane(
        reach=0.1, walls=((0.0, 0.0, 0.15, 0.9), *(arms if depth else ())), softness=softness,
        speed=(5.4 + 2.4 * depth) / horizon, horizon=horizon,
        start=(-0.45, 0.0, 0.1, 0.3), goal=(0.9, 0.0, 0.1, 0.4), ways=around,
    )  # fmt: skip


def maze(horizon: int = 60, baffles: int = 3, softness: float = 0.03) -> Plane:
    """Return a maze of baffles that are open above and below in turn."""
    places = [2.0 * (i + 1) / (baffles + 1) - 1 for i in range(baffles)]
    walls, way = [], []
    for number, place in enumerate(places):
        side = 1.0 if number % 2 == 0 else -1.0
        walls.append((place, side * (0.4 - 2.0), 0.1, 2.0))
        way += [(place - 0.25, side * 0.6), (place + 0.25, side * 0.6)]
    return Plane(
        reach=0.1, walls=tuple(walls), softness=softness, speed=(3.0 + 1.8 * baffles) / horizon, horizon=horizon,
        start=(-0.95, 0.0, 0.05, 0.3), goal=(0.95, 0.0, 0.05, 0.3), ways=(tuple(way),),
    )  # fmt: skip
