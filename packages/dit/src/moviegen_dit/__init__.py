"""Flow matching and the video transformer of Movie Gen."""

from moviegen_dit.attention import PackedAttentionFn, sdpa_attention, sdpa_packed_attention
from moviegen_dit.backends import AttentionKind, resolve_attention, resolve_packed_attention
from moviegen_dit.conditions import PreparedConditions
from moviegen_dit.config import TextEncoderSpec, VideoDiTConfig, preset
from moviegen_dit.flow import FlowPath, FlowSample, logit_normal
from moviegen_dit.growth import grow_positions
from moviegen_dit.losses import flow_matching_loss
from moviegen_dit.model import VideoDiT
from moviegen_dit.sampling import (
    ConditionalVelocity,
    Method,
    StepCallback,
    VelocityFn,
    classifier_free_guidance,
    integrate,
)
from moviegen_dit.schedules import Linear, LinearQuadratic, Schedule
from moviegen_dit.weights import from_pretrained, locate, save

__all__ = [
    "AttentionKind",
    "ConditionalVelocity",
    "FlowPath",
    "FlowSample",
    "Linear",
    "LinearQuadratic",
    "Method",
    "PackedAttentionFn",
    "PreparedConditions",
    "Schedule",
    "StepCallback",
    "TextEncoderSpec",
    "VelocityFn",
    "VideoDiT",
    "VideoDiTConfig",
    "classifier_free_guidance",
    "flow_matching_loss",
    "from_pretrained",
    "grow_positions",
    "integrate",
    "locate",
    "logit_normal",
    "preset",
    "resolve_attention",
    "resolve_packed_attention",
    "save",
    "sdpa_attention",
    "sdpa_packed_attention",
]
