"""The recipes of the paper, and an experiment on the dots that it saw in its latents."""
