"""Flow matching and the video transformer of Movie Gen."""

from moviegen_dit.attention import PackedAttentionFn, sdpa_attention, sdpa_packed_attention
from moviegen_dit.backends import (
    AttentionKind,
    choose_attention,
    resolve_attention,
    resolve_packed_attention,
)
from moviegen_dit.caching import BlockCache
from moviegen_dit.conditions import Positions, PreparedConditions
from moviegen_dit.config import TextEncoderSpec, UpsamplerConfig, VideoDiTConfig, preset, upsampler_preset
from moviegen_dit.flow import FlowPath, FlowSample, logit_normal
from moviegen_dit.growth import grow_positions, split_patches
from moviegen_dit.losses import flow_matching_loss
from moviegen_dit.model import VideoDiT
from moviegen_dit.sampling import (
    ALL_TIMES,
    ConditionalVelocity,
    Conditions,
    Method,
    StepCallback,
    VelocityFn,
    classifier_free_guidance,
    integrate,
)
from moviegen_dit.schedules import Linear, LinearQuadratic, Quadratic, Schedule
from moviegen_dit.upsampler import SpatialUpsampler, upsampler_state
from moviegen_dit.weights import (
    from_pretrained,
    locate,
    locate_upsampler,
    save,
    save_upsampler,
    upsampler_from_pretrained,
)
from moviegen_dit.windows import Blend, Windows, WindowVelocity, multidiffusion

__all__ = [
    "ALL_TIMES",
    "AttentionKind",
    "Blend",
    "BlockCache",
    "ConditionalVelocity",
    "Conditions",
    "FlowPath",
    "FlowSample",
    "Linear",
    "LinearQuadratic",
    "Method",
    "PackedAttentionFn",
    "Positions",
    "PreparedConditions",
    "Quadratic",
    "Schedule",
    "SpatialUpsampler",
    "StepCallback",
    "TextEncoderSpec",
    "UpsamplerConfig",
    "VelocityFn",
    "VideoDiT",
    "VideoDiTConfig",
    "WindowVelocity",
    "Windows",
    "choose_attention",
    "classifier_free_guidance",
    "flow_matching_loss",
    "from_pretrained",
    "grow_positions",
    "integrate",
    "locate",
    "locate_upsampler",
    "logit_normal",
    "multidiffusion",
    "preset",
    "resolve_attention",
    "resolve_packed_attention",
    "save",
    "save_upsampler",
    "sdpa_attention",
    "sdpa_packed_attention",
    "split_patches",
    "upsampler_from_pretrained",
    "upsampler_preset",
    "upsampler_state",
]
