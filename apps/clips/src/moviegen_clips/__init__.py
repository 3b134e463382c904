"""Real and animated clips for the autoencoder `clips`, and the linear code that it is measured against."""
