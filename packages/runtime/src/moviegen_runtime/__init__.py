"""Composes the Movie Gen cast: text encoders, media, data, training, pipelines and the moviegen command."""
