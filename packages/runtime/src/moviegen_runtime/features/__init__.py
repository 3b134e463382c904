"""Frozen features of pretrained networks, for losses and measures."""
