"""Recipes of every model. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moviegen_runtime.training.audio_recipe import AudioDiTRecipe, CodecRecipe, SightRecipe
from moviegen_runtime.training.recipe import DiTRecipe, TAERecipe
from moviegen_runtime.training.upsampler_recipe import UpsamplerRecipe

AnyRecipe = TAERecipe | DiTRecipe | UpsamplerRecipe | CodecRecipe | SightRecipe | AudioDiTRecipe
Recipe = Annotated[AnyRecipe, Field(discriminator="model")]
