"""The temporal autoencoder of Movie Gen: video to latent and back."""
