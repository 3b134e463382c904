"""The nox sessions by subject; `noxfile.py` loads them."""
