"""The judge: what a clip shows, read from its frames alone, against what was asked for."""

from moviegen_miniature.judge.scoring import Judge, Verdict

__all__ = ["Judge", "Verdict"]
