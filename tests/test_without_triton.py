"""macOS and Windows have no Triton: every module imports without it, and what needs none of it runs."""

from __future__ import annotations

import subprocess
import sys

from projects import PROJECTS

HIDE = """
import importlib.machinery, sys
find = importlib.machinery.PathFinder.find_spec
def without_triton(name, path=None, target=None):
    return None if name.partition(".")[0] == "triton" else find(name, path, target)
importlib.machinery.PathFinder.find_spec = without_triton
"""
IMPORT = """
import importlib, pkgutil
for name in {modules}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
assert not any(name.partition(".")[0] == "triton" for name in sys.modules)
"""
RUN = """
import torch
from moviegen_core import TextContext, VideoShape
from moviegen_dit import VideoDiT, preset
model = VideoDiT(preset("miniature")).eval()
contexts = [TextContext(torch.zeros(1, 2, spec.width), torch.ones(1, 2, dtype=torch.bool), spec.name)
            for spec in model.config.text_encoders]
with torch.no_grad():
    x = torch.zeros(1, model.config.latent_channels, 2, 8, 8)
    assert model(x, torch.zeros(1), model.prepare(contexts)).shape == x.shape
"""


def test_everything_imports_and_a_model_runs() -> None:
    modules = [project.module for project in PROJECTS]
    source = HIDE + IMPORT.format(modules=modules) + RUN
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_disguise_works() -> None:
    source = HIDE + "\nimport importlib.util\nsys.exit(importlib.util.find_spec('triton') is not None)"
    subprocess.run([sys.executable, "-c", source], check=True)
