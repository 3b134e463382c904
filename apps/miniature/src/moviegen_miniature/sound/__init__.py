"""The stage's sound: what is heard of a scene, when, and how it is said; and the judge of what a model plays.

The paper's sound model learns from films of the world (section 6.3). The stage makes its own: each event on
the picture has a sound at its exact time, each set an ambience, and some clips have music.
"""
