"""The miniature: a procedural stage with ground truth, its recipes and its judge."""
