"""Tests against others' implementations, each in an environment of its own.

Peers are never in a workspace group, whose one resolution would carry what they pin.
"""

from __future__ import annotations

import tempfile

import nox

from sessions.workspace import PROJECTS, distribution, pytest, sync

DIFFUSERS = "diffusers==0.42.1"
DAC = "descript-audio-codec==1.0.0"


@nox.session
def inflate(session: nox.Session) -> None:
    """Inflation agrees with the real image autoencoder of diffusers, which no other session has."""
    sync(session, "--package", distribution("tae"), "--group", "test")
    session.install("--quiet", DIFFUSERS)
    pytest(session, str(PROJECTS["tae"] / "peer_tests"))


@nox.session
def codec(session: nox.Session) -> None:
    """Codec, losses and discriminators agree with descript-audio-codec, which no other session has."""
    sync(session, "--package", distribution("audio"), "--group", "test")
    install_dac(session)
    pytest(session, str(PROJECTS["audio"] / "peer_tests"))


def install_dac(session: nox.Session, *others: str) -> None:
    """Install descript-audio-codec away from the workspace, whose pins uv applies in every folder of it."""
    with tempfile.TemporaryDirectory() as outside, session.chdir(outside):
        session.install("--quiet", DAC, *others)  # it excludes some of the pins
