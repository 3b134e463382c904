"""Base of every architecture configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ArchConfig(BaseModel):
    """Architecture of a model: frozen, unknown keys refused by name, saved beside the weights.

    Subclasses bound every number from above, so that a hostile file cannot ask for an endless model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
