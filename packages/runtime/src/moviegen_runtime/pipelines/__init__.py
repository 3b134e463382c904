"""The jobs of the cast, composed from the models' parts."""
