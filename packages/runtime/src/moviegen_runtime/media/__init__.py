"""Reading and writing of video and picture files."""
