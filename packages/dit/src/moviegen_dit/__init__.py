"""Flow matching and the video transformer of Movie Gen."""
