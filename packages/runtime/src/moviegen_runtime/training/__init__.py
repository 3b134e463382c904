"""Training of the cast under Lightning: recipes, optimizer, moving averages, modules and resumable runs."""
