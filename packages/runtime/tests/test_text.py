"""Prompts and the encoder that reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from moviegen_runtime.text import MiniLM, clean_prompt, text_encoder, with_fps
from moviegen_runtime.text.bert import from_published_names

PROMPTS = ["FPS-8. a red bus", "FPS-8. over the snowy hills, a penguin stands still", "FPS-8. a red cow"]


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM.load()


def test_the_frame_rate_stands_in_front_of_the_prompt() -> None:
    assert with_fps("  a red bus\n", 8) == "FPS-8. a red bus"
    assert with_fps("a red bus", 29.97) == "FPS-29.97. a red bus"
    assert with_fps("FPS-16. a red bus", 8) == "FPS-8. a red bus"
    assert with_fps("FPS-16. FPS-24: a red bus", 8) == "FPS-8. a red bus"
    for kept in ("a bus, FPS-16. drives", "FPS-16.5mm film", "FPS-60,000 frames", "FPS-24"):
        assert with_fps(kept, 8) == f"FPS-8. {kept}"


@pytest.mark.parametrize("prompt", ["", "  ", "\n\t"])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="the prompt is empty"):
        clean_prompt(prompt)


def test_states_equal_those_of_an_independent_implementation(
    encoder: MiniLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    from moviegen_runtime.text import minilm
    from transformers.models.bert.modeling_bert import BertModel
    from transformers.models.bert.tokenization_bert import BertTokenizer

    folder = minilm._installed_folder()
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()
    batch = BertTokenizer.from_pretrained(folder)(PROMPTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**batch).last_hidden_state
    context = encoder.encode(PROMPTS)
    mask = batch["attention_mask"].bool()
    assert torch.equal(context.mask, mask)
    torch.testing.assert_close(context.embeddings[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_a_prompt_reads_the_same_alone_and_among_others(encoder: MiniLM) -> None:
    together = encoder.encode(PROMPTS)
    for index, prompt in enumerate(PROMPTS):
        alone = encoder.encode([prompt])
        length = int(together.lengths[index])
        assert alone.embeddings.shape[1] == length == encoder.count_tokens(prompt)
        torch.testing.assert_close(together.embeddings[index, :length], alone.embeddings[0])
        assert not together.embeddings[index, length:].any()


def test_the_same_prompt_gives_the_same_bits(encoder: MiniLM) -> None:
    assert torch.equal(encoder.encode(PROMPTS[:1]).embeddings, encoder.encode(PROMPTS[:1]).embeddings)


def test_a_prompt_that_is_too_long_is_refused_with_its_count(encoder: MiniLM) -> None:
    longest = " ".join(["bus"] * (encoder.max_tokens - 2))
    assert encoder.encode([longest]).embeddings.shape[1] == encoder.max_tokens
    with pytest.raises(
        ValueError, match=f"has {encoder.max_tokens + 1} tokens .* at most {encoder.max_tokens}"
    ):
        encoder.encode(["a bus", longest + " bus"])


def test_encoding_nothing_is_refused(encoder: MiniLM) -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        encoder.encode([])


def test_an_unknown_encoder_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'ul3'; known: byt5, metaclip, minilm, t5, ul2"):
        text_encoder("ul3")


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks .*model\.safetensors"):
        MiniLM.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        MiniLM.load(tmp_path)


def test_a_foreign_tensor_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no tensor 'encoder\.layer\.0\.rotary\.weight'"):
        from_published_names({"encoder.layer.0.rotary.weight": torch.zeros(1)})
