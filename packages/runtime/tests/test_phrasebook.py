"""A prompt in words that a model never read becomes one in phrases that it knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moviegen_runtime.pipelines.settings import PHRASEBOOK_FILE, cast_phrasebook
from moviegen_runtime.text import MiniLM
from moviegen_runtime.text.phrasebook import (
    Phrasebook,
    PhrasebookRewriter,
    Slot,
    words_of,
)
from moviegen_runtime.validation import read_model

BOOK = Phrasebook(
    slots=(
        Slot(name="actor", meanings=(("a cow", "a bovine"), ("a boat", "a sloop"))),
        Slot(name="motion", meanings=(("goes up", "rises"), ("stands still", "does not move"))),
        Slot(
            name="second", meanings=(("beside a cow",), ("beside a boat",)), opened_by=("beside", "next to")
        ),
        Slot(name="set", meanings=(("on a green field", "in a meadow"), ("on the sea", "over the ocean"))),
        Slot(name="camera", meanings=(("the camera turns",),), before=", ", opened_by=("the camera",)),
    ),
    words=frozenset(
        words_of("a cow boat goes up stands still beside on green field the sea camera turns sloop rises")
    ),
)


@pytest.fixture(scope="module")
def rewriter() -> PhrasebookRewriter:
    return PhrasebookRewriter(BOOK, MiniLM.load())


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a heifer ascends in a pasture", "a cow goes up on a green field"),
        ("In a PASTURE, a heifer is motionless!", "a cow stands still on a green field"),
        ("on the atlantic a yacht ascends", "a boat goes up on the sea"),
        ("a yacht", "a boat"),
        ("a yacht in the pacific ocean", "a boat on the sea"),
        (
            "a heifer ascends next to a yacht on the atlantic, the camera rotates",
            "a cow goes up beside a boat on the sea, the camera turns",
        ),
    ],
)
def test_each_piece_becomes_the_nearest_phrase(rewriter: PhrasebookRewriter, prompt: str, said: str) -> None:
    assert rewriter.rewrite(prompt) == said
    assert rewriter.rewrite(said) == said


@pytest.mark.parametrize(
    "prompt",
    [
        "the sloop rises on the sea",  # every word is known
        "still, on a sea: Sloop",
        "FPS-8. a cow",
        "FPS-8.",
        'a heifer with a sign "Closed"',  # no phrase has a sign
        "amid the, over and under",  # nothing is said
        "!!",
    ],
)
def test_what_cannot_be_said_better_stays(rewriter: PhrasebookRewriter, prompt: str) -> None:
    assert rewriter.rewrite(prompt) == prompt


def test_a_frame_rate_in_front_is_no_word(rewriter: PhrasebookRewriter) -> None:
    assert rewriter.rewrite("FPS-8. a yacht") == "a boat"


def test_the_encoder_is_loaded_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> MiniLM:
        raise ValueError("not installed")

    monkeypatch.setattr(MiniLM, "load", refuse)
    unloaded = PhrasebookRewriter(BOOK)
    assert unloaded.rewrite("a cow goes up") == "a cow goes up"
    with pytest.raises(ValueError, match="not installed"):
        unloaded.rewrite("a heifer")


def test_the_cut_is_the_best_of_all_cuts(rewriter: PhrasebookRewriter) -> None:
    """Against every cut of the words into at most two pieces, with each of the slots that need no opener."""
    words = words_of("a weary heifer wanders")
    nearest = rewriter._nearest(words)
    free = (0, 1, 3)

    def worth(start: int, end: int, slot: int) -> float:
        if words[start:end] == ["a"]:
            return float("-inf")
        return nearest[start, end][slot][0] - 0.4

    one = [(worth(0, 4, 0), [(0, 4, 0)])]
    two = [
        (worth(0, cut, left) + worth(cut, 4, right), [(0, cut, left), (cut, 4, right)])
        for cut in (1, 2, 3)
        for left in free
        for right in free
        if left != right and 0 in (left, right)
    ]
    value, best = max(one + two)
    found = rewriter._read(words)
    assert len(found) <= 2
    assert [(piece.start, piece.end, piece.slot) for piece in found] == best
    assert sum(worth(piece.start, piece.end, piece.slot) for piece in found) == pytest.approx(value)


def test_long_prompts_are_refused_unless_all_is_known(rewriter: PhrasebookRewriter) -> None:
    known = "a cow goes up " * 20
    assert rewriter.rewrite(known) == known.strip()
    with pytest.raises(ValueError, match=r"has 31 words, .* up to 30"):
        rewriter.rewrite("yak " * 31)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not valid JSON"),
        ({"slots": [], "words": []}, "slots"),
        ({"slots": [{"name": "a", "meanings": [[]]}], "words": []}, "slots.0.meanings.0"),
        (
            {"slots": [{"name": "a", "meanings": [["a yak", "cow"]]}], "words": ["a"]},
            "the usual phrase 'a yak' has a word that is not among the known words: 'yak'",
        ),
        ({"slots": [{"name": "a", "meanings": [["a", "!"]]}], "words": ["a"]}, "and '!' has none"),
        ({"slots": [{"name": "a", "meanings": [["a" * 101]]}], "words": []}, "at most 100 characters"),
        ({"slots": [{"name": "a", "meanings": [["a"]] * 5001}], "words": ["a"]}, "at most 5000 phrases"),
        ('{"slots": ' + "9" * 5000 + "}", "phrasebook.json is not valid JSON: Exceeds the limit"),
        (
            {"slots": [{"name": "a", "meanings": [["a"]], "size": 1}], "words": ["a"]},
            "size is not known here",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: object, sentence: str) -> None:
    path = tmp_path / PHRASEBOOK_FILE
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=sentence) as caught:
        cast_phrasebook(tmp_path)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_a_word_is_known_however_its_marks_are_written() -> None:
    assert words_of("Cupid\u2019s t\u2011rex, nai\u0308ve") == ["cupid's", "t-rex", "na\u00efve"]


def test_a_cast_has_the_phrasebook_of_its_folder(tmp_path: Path) -> None:
    assert cast_phrasebook(tmp_path) is None
    content = BOOK.model_dump() | {"words": sorted(BOOK.words)}
    (tmp_path / PHRASEBOOK_FILE).write_text(json.dumps(content))
    assert cast_phrasebook(tmp_path) == read_model(tmp_path / PHRASEBOOK_FILE, Phrasebook) == BOOK
