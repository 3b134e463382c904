"""Training entry points and the recipes of the paper."""
