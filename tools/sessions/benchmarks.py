"""Not checks: speed, memory and length, measured and written into `benchmarks/results` and the docs."""

from __future__ import annotations

import nox

from sessions.peers import DIFFUSERS, install_dac
from sessions.workspace import MATPLOTLIB, ROOT, distribution, sync


@nox.session(name="bench-codec")
def bench_codec(session: nox.Session) -> None:
    """Not a check: speed and memory of the codec beside peers, into benchmarks/results and the docs."""
    sync(session, "--package", distribution("audio"))
    install_dac(session, DIFFUSERS)
    session.run("python", "benchmarks/audio_codec.py", "--write", *session.posargs)


@nox.session(name="codec-peer")
def codec_peer(session: nox.Session) -> None:
    """Not a check: train the codec beside descript-audio-codec's network, and write the table of the docs.

    Takes hours of a core. With options, such as `-- --steps 5 --seeds 0`, it only prints; `--write` is one.
    """
    sync(session, "--package", distribution("miniature"))
    install_dac(session)
    session.run("python", "benchmarks/codec_peer.py", *(session.posargs or ["--write"]))


@nox.session(name="bench-audio-dit")
def bench_audio_dit(session: nox.Session) -> None:
    """Not a check: speed and memory of the audio transformer beside a peer, into the results and the docs.

    Needs a quiet machine.
    """
    sync(session, "--package", distribution("audio"))
    session.install("--quiet", DIFFUSERS)
    session.run("python", "benchmarks/audio_dit.py", "--write", *session.posargs)


@nox.session(name="bench-length")
def bench_length(session: nox.Session) -> None:
    """Not a check: long sounds, what is heard at the borders and what memory they take, into the docs.

    Needs half an hour of two cores, and with folders of weights: -- --codec DIR --dit DIR.
    """
    sync(session, "--all-packages")
    session.run("python", "benchmarks/audio_length.py", "--memory", "--write")
    session.run("python", "benchmarks/audio_length.py", "--write", *session.posargs)


@nox.session(name="bench-score-length")
def bench_score_length(session: nox.Session) -> None:
    """Not a check: memory, time and room that films of up to three hours take, into the results and the docs.

    Needs half an hour.
    """
    sync(session, "--all-packages")
    session.run("python", "benchmarks/score_length.py", "--write", *session.posargs)


@nox.session(name="bench-generate")
def bench_generate(session: nox.Session) -> None:
    """Not a check: seconds from the command `moviegen generate` to the file, into the results and the README.

    Needs a quiet machine and three minutes.
    """
    sync(session, "--all-packages")
    session.run("python", "benchmarks/generate_time.py", "--write", *session.posargs)


@nox.session(name="bench-tae")
def bench_tae(session: nox.Session) -> None:
    """Not a check: speed and memory beside peers, and how they grow, into benchmarks/results and the docs."""
    sync(session, "--package", distribution("tae"))
    session.install("--quiet", DIFFUSERS, MATPLOTLIB)
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    for options in [[], ["--scaling"]]:
        session.run("python", "benchmarks/tae_speed.py", "--write", *options, *session.posargs)


@nox.session(name="bench-dit")
def bench_dit(session: nox.Session) -> None:
    """Not a check: the transformer beside peers and over tokens, and the sampler's own cost, into the docs.

    Needs a quiet machine and half an hour of two cores.
    """
    sync(session, "--package", distribution("runtime"))
    session.install("--quiet", DIFFUSERS, MATPLOTLIB)
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    for options in [["dit_speed.py"], ["dit_speed.py", "--scaling"], ["sampler_cost.py"]]:
        session.run("python", f"benchmarks/{options[0]}", "--write", *options[1:], *session.posargs)
