"""A unicycle to be parked, and an arm of n links with a disc in its way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.worlds.world import Draw, Within, uniform


@dataclass(frozen=True, kw_only=True)
class Unicycle(Within):
    """(x, y, cos φ, sin φ): turns by 8/T a₂, then drives 3/T a₁ along its heading; goals lie beside it, heading alike.

    At the start no action changes the distance to such a goal to first order.  At least ‖Δ(x, y)‖ T/3 steps are
    needed; turn, drive, turn is a witness.

    Arguments
        horizon: T.
    """

    horizon: int = 30
    reach: float = 0.15
    states, actions = 4, 2

    def step(self, state: Float[Tensor, "*batch 4"], action: Float[Tensor, "*batch 2"]) -> Tensor:
        """Return F(s, a)."""
        x, y, cosine, sine = state.unbind(-1)
        drive, turn = 3.0 / self.horizon * action[..., 0], 8.0 / self.horizon * action[..., 1]
        cosine, sine = cosine * turn.cos() - sine * turn.sin(), sine * turn.cos() + cosine * turn.sin()
        return torch.stack([x + drive * cosine, y + drive * sine, cosine, sine], -1)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return places 0.5 to 1.2 beside the start, up to 0.1 ahead or behind."""
        ahead, beside = uniform(generator, count, -0.1, 0.1), uniform(generator, count, 0.5, 1.2)
        side = torch.randint(2, (count,), generator=generator) * 2.0 - 1
        zero, one = torch.zeros(count), torch.ones(count)
        distance, bearing = torch.hypot(ahead, beside), torch.atan2(side * beside, ahead)
        steps = torch.arange(self.horizon).unsqueeze(0)
        turning = (bearing.abs() * self.horizon / 8).ceil().unsqueeze(1)
        driving = (distance * self.horizon / 3).ceil().unsqueeze(1)
        back = (steps >= turning + driving) & (steps < 2 * turning + driving)
        turn = bearing.unsqueeze(1) / turning * self.horizon / 8 * ((steps < turning).float() - back.float())
        drive = distance.unsqueeze(1) / driving * self.horizon / 3
        drive = drive * ((steps >= turning) & (steps < turning + driving))
        return Draw(
            torch.stack([zero, zero, one, zero], 1), torch.stack([ahead, side * beside, one, zero], 1),
            torch.stack([drive, turn], 2), ((distance - self.reach) * self.horizon / 3).clamp(min=1),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Arm(Within):
    """n relative joint angles in the plane, θ' = θ + v f(θ + v a) a with v = 9/T; links of length 1/n, a disc in the way.

    f = Π over three points of each link of 1 − σ((0.2 − d)/τ), d the distance to the disc's middle (0.75, 0): a step that
    would lead into the disc is lost.  The stretched arm must fold to pass the disc, and stretch again.  At least
    ‖Δθ‖_∞ T/9 steps are needed.

    Arguments
        links: n, the dimension of states and of actions.
        horizon: T.
        softness: τ; contact is the stiffer, the smaller it is.
    """

    links: int = 4
    horizon: int = 40
    softness: float = 0.02
    reach: float = 0.2

    @property
    def states(self) -> int:
        """The number of joints."""
        return self.links

    @property
    def actions(self) -> int:
        """The number of joints."""
        return self.links

    def step(self, state: Float[Tensor, "*batch n"], action: Float[Tensor, "*batch n"]) -> Tensor:
        """Return F(s, a)."""
        move = 9.0 / self.horizon * action
        return state + move * self.free(state + move).unsqueeze(-1)

    def free(self, angles: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """Return f, 1 in the open and nearly 0 where the arm would be in the disc."""
        heading = angles.cumsum(-1)
        link = torch.stack([heading.cos(), heading.sin()], -1) / self.links
        tips = link.cumsum(-2)
        places = torch.cat([tips, tips - link / 3, tips - 2 * link / 3], -2)
        distance = (places - places.new_tensor([0.75, 0.0])).norm(dim=-1)
        return (1 - torch.sigmoid((0.2 - distance) / self.softness)).prod(-1)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return stretched arms on either side of the disc; the witness folds into a zigzag, turns and stretches."""
        side = torch.randint(2, (count,), generator=generator) * 2.0 - 1
        bends = 0.1 * (2 * torch.rand(2, count, self.links, generator=generator) - 1)
        zigzag = 2.5 * torch.ones(self.links)
        zigzag[1::2] *= -1
        zigzag[0] = 1.25
        start, goal = (each.clone() for each in bends)
        start[:, 0] = 0.7 * side + bends[0, :, 0]
        goal[:, 0] = -0.7 * side + bends[1, :, 0]
        fold = zigzag * torch.where(side > 0, 1.0, -1.0).unsqueeze(1)
        folded, turned = start + fold, goal - fold
        turned[:, 1:] = folded[:, 1:]
        turned[:, 0] = goal[:, 0] + fold[:, 0]
        route = torch.stack([folded, turned, goal], 1)
        state, place, actions, rows = start, torch.zeros(count, dtype=torch.long), [], torch.arange(count)
        for _ in range(self.horizon):
            near = (route[rows, place] - state).abs().amax(1) < 0.02
            place = (place + near).clamp(max=2)
            actions.append(((route[rows, place] - state) * self.horizon / 9).clamp(-1, 1))
            state = self.step(state, actions[-1])
        turn = (goal - start).abs().amax(1)
        return Draw(
            start, goal, torch.stack(actions, 1), ((turn - self.reach) * self.horizon / 9).clamp(min=1)
        )
