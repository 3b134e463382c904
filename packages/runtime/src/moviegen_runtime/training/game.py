"""What trainings against a discriminator share: one optimizer for both players, each with its own norm."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from moviegen_runtime.training.optimizer import MuonWithAdamW


def add_player(
    optimizer: MuonWithAdamW, player: nn.Module, *, lr: float, betas: tuple[float, float], eps: float
) -> None:
    """Let AdamW move a discriminator too: both players move at once, and a checkpoint has one state."""
    rule = {"rule": "adamw", "lr": lr, "betas": betas, "weight_decay": 0.0, "eps": eps}
    optimizer.add_param_group({**rule, "params": list(player.parameters())})


def clip_players(players: Iterable[nn.Module], norm: float) -> None:
    """Clip the gradient of each by its own norm, so that neither's makes the other's step small."""
    for player in players:
        nn.utils.clip_grad_norm_(player.parameters(), norm)
