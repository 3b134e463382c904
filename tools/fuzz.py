"""Damaged films through `moviegen reconstruct`, damaged weights through `from_pretrained`, by the thousand.

    python tools/fuzz.py --count 2000

Each file is a seeded mutation of a valid tiny one. What must come of it, within 10 seconds and 2 GB above the
idle process, is a result or a `ValueError`, and no file besides the result. A crash, a hang, another error or
more memory is counted, its number printed (`--first NUMBER --count 1` repeats it), and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path

SECONDS = 10.0
GROWTH_BYTES = 2 << 30
START_SECONDS = 120.0
INTERESTING = (0, 1, 2, 3, 7, 127, 255, 256, 4095, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
GOOD = ("result", "ValueError")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="mutations of each kind of file")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", choices=list(SUBJECTS), help="one kind of file")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else SUBJECTS:
            numbers = range(options.first, options.first + options.count)
            failures += fuzz(name, numbers, Path(folder))
    sys.exit(1 if failures else 0)


def fuzz(name: str, numbers: range, folder: Path) -> int:
    """Put mutations of one kind of file through, say what came of them, and count what must not be."""
    valid, place = folder / name, folder / f"{name}-mutated"
    SUBJECTS[name].make(valid)
    worker = Worker(SUBJECTS[name], place, valid)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in numbers:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(valid, place)
        how = SUBJECTS[name].mutate(place, random.Random(f"{name} {number}"))
        began = time.monotonic()
        outcome = worker.outcome()
        slowest = max(slowest, time.monotonic() - began)
        outcomes[outcome if outcome in GOOD else "failure"] += 1
        if outcome not in GOOD:
            print(f"{name} {number} ({how}): {outcome}", flush=True)
    growth = worker.stop()
    print(
        f"{name}: {len(numbers)} mutations, {outcomes['result']} valid results, {outcomes['ValueError']} "
        f"clear errors, {outcomes['failure']} failures; slowest {slowest:.1f} s, "
        f"memory grew by {growth >> 20} MB"
    )
    return outcomes["failure"]


class Worker:
    """A process that is used again until it dies.

    Args:
        place: folder of the files to try.
        valid: folder of files that are whole, to begin with.
    """

    def __init__(
        self,
        subject: Subject,
        place: Path,
        valid: Path,
        seconds: float = SECONDS,
        growth_bytes: int = GROWTH_BYTES,
    ) -> None:
        self._subject, self._place, self._valid = subject, place, valid
        self._seconds, self._allowed = seconds, growth_bytes
        self._growth = 0
        self._start()

    def outcome(self) -> str:
        """What becomes of the file that lies there now."""
        self._connection.send("go")
        if not self._connection.poll(self._seconds):
            self._process.kill()
            return self._again(f"no answer within {self._seconds:g} s")
        try:
            outcome, growth = self._connection.recv()
        except EOFError:
            self._process.join()
            return self._again(f"the process died with exit code {self._process.exitcode}")
        self._growth = max(self._growth, growth)
        if growth > self._allowed:
            self._process.kill()
            return self._again(f"memory grew by {growth >> 20} MB")
        return str(outcome)

    def stop(self) -> int:
        """End it; the most that a worker grew by, in bytes."""
        self._process.kill()
        self._process.join()
        return self._growth

    def _start(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._valid, self._place)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        given = (theirs, self._subject, self._place, self._allowed)
        self._process = context.Process(target=_work, args=given, daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_SECONDS):
            raise RuntimeError("the worker does not start")
        outcome, _ = self._connection.recv()
        if outcome != "result":
            raise RuntimeError(f"the valid file is refused: {outcome}")

    def _again(self, outcome: str) -> str:
        self._process.join()
        self._start()
        return outcome


def _work(connection: Connection, subject: Subject, place: Path, growth_bytes: int) -> None:
    """Try the valid file, take what memory is held then as idle, and try what comes."""
    connection.send((_tried(subject, place), 0))
    idle = _peak_bytes()
    # What is asked for and not used is no harm; what is used is measured, so the limit may be wider.
    allowed = _data_bytes() + 2 * growth_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    while True:
        connection.recv()
        outcome = _tried(subject, place)
        connection.send((outcome, _peak_bytes() - idle))


def _tried(subject: Subject, place: Path) -> str:
    try:
        subject.use(place)
    except ValueError as error:
        said = str(error)
        left = sorted(path.name for path in place.iterdir() if path.name not in subject.files)
        if left:
            return f"left behind: {left}"
        if not said or "\n" in said:
            return f"a ValueError that is no sentence: {said!r}"
        return "ValueError"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "result"


def _peak_bytes() -> int:
    """Not `getrusage`: a new process inherits its parent's peak there."""
    return _status_bytes("VmHWM")


def _data_bytes() -> int:
    return _status_bytes("VmData")


def _status_bytes(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{name}:\s+(\d+) kB", status).group(1))  # type: ignore[union-attr]


def mutated(data: bytes, rng: random.Random, header: int) -> tuple[bytes, str]:
    """A damaged copy, and how it was damaged.

    Args:
        header: bytes at the beginning that hold the file's own description.
    """
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 16, 64, 256, 1024))
    chunk = data[start : start + length]
    match rng.choice(("bits", "run", "cut", "twice", "removed", "field", "field", "header bits")):
        case "bits":
            return _flipped(data, rng, len(data)), "bit flips"
        case "header bits":
            return _flipped(data, rng, header), "bit flips in the header"
        case "run":
            run = rng.choice((b"\x00", b"\xff", rng.randbytes(1))) * len(chunk)
            return data[:start] + run + data[start + length :], "run overwritten"
        case "cut":
            return data[:start], "cut off"
        case "twice":
            return data[:start] + chunk + data[start:], "chunk twice"
        case "removed":
            return data[:start] + data[start + length :], "chunk removed"
        case _:
            size = rng.choice((1, 2, 4, 4, 8))
            value = rng.choice(INTERESTING) % (1 << 8 * size)
            at = rng.randrange(header)
            field = value.to_bytes(size, rng.choice(("big", "big", "little")))
            return data[:at] + field + data[at + size :], "field overwritten"


def _flipped(data: bytes, rng: random.Random, end: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 32))):
        flipped[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def renumbered(text: bytes, rng: random.Random) -> bytes:
    """JSON with one of its values exchanged."""
    values = list(re.finditer(rb"\b(\d+|true|false)\b", text))
    value = rng.choice(values)
    new = rng.choice((*map(str, INTERESTING), "-1", "0.5", "1e400", "null", '"8"', "[]", "{}", "true"))
    return text[: value.start()] + new.encode() + text[value.end() :]


def make_film(folder: Path) -> None:
    """Twelve frames and a tone, index first; beside it the model to put it through."""
    import av
    import numpy as np

    make_weights(folder)
    pictures = np.random.default_rng(0).integers(0, 256, (12, 6, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    tone = np.sin(np.arange(24000)[None] / 6).astype(np.float32) / 2
    with av.open(str(folder / "in.mp4"), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=8, options={"threads": "1"})
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        container.mux(sound.encode(frame))
        container.mux(sound.encode())


def mutate_film(folder: Path, rng: random.Random) -> str:
    film = folder / "in.mp4"
    data = film.read_bytes()
    data, how = mutated(data, rng, data.index(b"mdat"))
    film.write_bytes(data)
    return how


def use_film(folder: Path) -> None:
    """Reconstruct it, and look at the result."""
    from moviegen_runtime.cli import parse
    from moviegen_runtime.media.reading import read_clip

    output = folder / "out.mp4"
    options = ["--model", str(folder), "--device", "cpu", "--memory", "1", "--overwrite"]
    try:
        with contextlib.redirect_stdout(None):
            parse(["reconstruct", str(folder / "in.mp4"), "-o", str(output), *options]).run()
        read_clip(output)
    finally:
        output.unlink(missing_ok=True)


def make_weights(folder: Path) -> None:
    import moviegen_tae
    import torch

    torch.manual_seed(0)
    config = moviegen_tae.TAEConfig(
        channels=(8, 8, 16, 16),
        encoder_blocks=(0, 0, 0, 0),
        decoder_blocks=(0, 0, 0, 0),
        latent_channels=4,
        patch_size=4,
        norm_groups=4,
    )
    moviegen_tae.save(moviegen_tae.TAE(config), folder)


def mutate_weights(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(("config.json", "model.safetensors", "model.safetensors"))
    data = path.read_bytes()
    header = len(data) if path.suffix == ".json" else 8 + int.from_bytes(data[:8], "little")
    if rng.random() < 0.4:
        path.write_bytes(renumbered(data[:header], rng) + data[header:])
        return f"a value of {path.name} exchanged"
    data, how = mutated(data, rng, header)
    path.write_bytes(data)
    return f"{path.name}, {how}"


def use_weights(folder: Path) -> None:
    """Read them, and use what was read."""
    import moviegen_tae
    import torch
    from moviegen_core import VideoClip

    tae = moviegen_tae.from_pretrained(folder)
    with torch.no_grad():
        tae.decode(tae.encode(VideoClip(torch.zeros(1, 3, 1, 16, 16), 8.0)))


@dataclass(frozen=True)
class Subject:
    """A kind of file that users hand in.

    Args:
        files: names of those that lie in the folder.
    """

    make: Callable[[Path], None]
    mutate: Callable[[Path, random.Random], str]
    use: Callable[[Path], None]
    files: tuple[str, ...]


_WEIGHTS = ("config.json", "model.safetensors")
SUBJECTS = {
    "films": Subject(make_film, mutate_film, use_film, ("in.mp4", *_WEIGHTS)),
    "weights": Subject(make_weights, mutate_weights, use_weights, _WEIGHTS),
}

if __name__ == "__main__":
    main()
