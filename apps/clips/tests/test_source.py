"""The clip source, on a little material made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from moviegen_clips.material import HELD_OUT_FILMS, Kind, open_shelf, split_of
from moviegen_clips.source import Clips, open_clips
from moviegen_runtime.data.source import open_source


def opened(cache: Path, **options: object) -> Clips:
    return open_clips(cache=str(cache), **{"num_clips": 60, "frames": 5, "size": 32, **options})  # type: ignore[arg-type]


def test_a_clip_is_a_function_of_its_index(cache: Path) -> None:
    clips, again = opened(cache), opened(cache)
    order = [3, 0, 7, 3]
    for index, clip in zip(order, [again[i] for i in order], strict=True):
        assert clip.frames.shape == (5, 32, 32, 3)
        np.testing.assert_array_equal(clip.frames, clips[index].frames)
    assert len({clips[i].frames.tobytes() for i in range(20)}) == 20
    assert not np.array_equal(opened(cache, seed=1)[0].frames, clips[0].frames)


def test_other_threads_of_torch_give_the_same_clip(cache: Path) -> None:
    import torch

    whole = [opened(cache)[i].frames for i in range(8)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = [opened(cache)[i].frames for i in range(8)]
    finally:
        torch.set_num_threads(threads)
    for first, second in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(first, second)


def test_every_variant_of_a_subject_is_in_one_split() -> None:
    kinds: tuple[Kind, ...] = ("photographs", "drawings", "animations")
    for kind in kinds:
        splits = [split_of(kind, f"subject{i}/{variant}") for i in range(300) for variant in "abc"]
        assert all(len(set(splits[i : i + 3])) == 1 for i in range(0, 900, 3))
        assert 0.05 < splits.count("held_out") / 900 < 0.2
    assert all(split_of("films", name) == "held_out" for name in HELD_OUT_FILMS)
    assert split_of("films", "earth") == "train"


def test_splits_share_no_material(cache: Path) -> None:
    kinds: tuple[Kind, ...] = ("films", "photographs", "drawings", "animations")
    for kind in kinds:
        train, held_out = (set(open_shelf(cache, kind, split).names) for split in ("train", "held_out"))  # type: ignore[arg-type]
        assert train
        assert held_out
        assert not train & held_out


def test_held_out_films_are_in_no_clip(cache: Path) -> None:
    assert opened(cache, split="held_out").films is None
    films = opened(cache).films
    assert films is not None
    assert films.names == ("street",)


def test_animations_alone_have_an_actor_in_every_clip(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="only must be one of pictures, animations, not 'films'"):
        opened(cache, only="films")
    drawn: list[int] = []
    actor = Clips._actor
    monkeypatch.setattr(Clips, "_actor", lambda self, *given: drawn.append(1) or actor(self, *given))
    for only in ("pictures", "animations"):
        clips = opened(cache, only=only, split="held_out")
        for index in range(10):
            drawn.clear()
            clips[index]
            assert bool(drawn) == (only == "animations")


def test_the_share_of_animations_is_as_set(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="animations_share must be from 0 to 1, not 2"):
        opened(cache, animations_share=2)
    drawn: set[str] = set()
    for name in ("_film", "_actor"):
        monkeypatch.setattr(Clips, name, lambda *given, name=name: drawn.add(name) or given[1])
    monkeypatch.setattr(Clips, "_picture", lambda *_: drawn.add("_picture"))
    for share, expected in ((0.0, {"_film", "_picture"}), (1.0, {"_film", "_picture", "_actor"})):
        drawn.clear()
        clips = opened(cache, animations_share=share)
        for seed in range(40):
            clips._shot(np.random.default_rng(seed))
        assert drawn == expected


def test_a_shelf_reads_the_part_that_is_asked_for(cache: Path) -> None:
    shelf = open_shelf(cache, "films", "train")
    whole = shelf.read(0)
    assert whole.shape == shelf.shapes[0]
    part = shelf.read(0, slice(3, 9), slice(1, 5), slice(2, 40))
    np.testing.assert_array_equal(part, whole[3:9, 1:5, 2:40])


def test_the_source_is_found_by_name(cache: Path) -> None:
    source = open_source("clips", {"cache": str(cache), "num_clips": 3, "frames": 1, "size": 16})
    assert len(source) == 3
    assert source[2].frames.shape == (1, 16, 16, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "split must be one of train, held_out"),
        ({"num_clips": 0}, "num_clips must be a whole number of at least 1"),
        ({"frames": 0}, "frames must be a whole number of at least 1"),
        ({"size": 8}, "size must be a whole number of at least 16"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_bad_options_are_refused(cache: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        opened(cache, **options)


def test_no_material_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `python -m moviegen_clips fetch` first"):
        open_clips(cache=str(tmp_path))


def test_damaged_material_says_what_to_run(cache: Path, tmp_path: Path) -> None:
    for path in cache.glob("*.safetensors"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        ValueError, match="is damaged: remove it and run `python -m moviegen_clips fetch` again"
    ):
        open_clips(cache=str(tmp_path))


def test_beyond_the_end_there_is_no_clip(cache: Path) -> None:
    with pytest.raises(IndexError, match="clip 60 is beyond the 60 clips"):
        opened(cache)[60]
