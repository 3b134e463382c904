"""The paper's text encoders in miniature: real classes of transformers with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import moviegen_dit
import moviegen_tae
import pytest
import torch
import transformers
from moviegen_core import TextContext
from moviegen_runtime import TextToVideoRequest, load
from moviegen_runtime.cli import main
from moviegen_runtime.cli.data import Latents, Pack
from moviegen_runtime.data.latents import LatentSample, ShardedLatents, collate, parse_latent, write_latent
from moviegen_runtime.text import CachedTextEncoder, PublishedEncoder, quoted_strings, text_encoder
from moviegen_runtime.text.positions import KEPT_ROWS, lengthened
from moviegen_runtime.text.published import PUBLISHED, bytes_of_quoted
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
)

WORDS = ["<pad>", "</s>", "<s>", "[UNK]", "fps", "-", "8", ".", "a", "red", "bus", "cow", "with", "sign"]


def tiny_encoder(name: str, folder: Path) -> Path:
    """Write an encoder as it is published: with the decoder, or the picture tower, that nobody needs here."""
    with torch.random.fork_rng():
        torch.manual_seed(len(name))
        if name == "metaclip":
            _clip().save_pretrained(folder)
            _tokenizer("<s> $A </s>").save(str(folder / "tokenizer.json"))
        else:
            byt5 = name == "byt5"
            _t5(384 if byt5 else 32, width=24 if byt5 else 16).save_pretrained(folder)
            if not byt5:
                _tokenizer("$A </s>").save(str(folder / "tokenizer.json"))
    return folder


def _t5(vocabulary: int, width: int) -> T5ForConditionalGeneration:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary,
            d_model=width,
            d_kv=4,
            d_ff=20,
            num_layers=2,
            num_heads=3,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
        )
    )


def _clip() -> CLIPModel:
    text = CLIPTextConfig(
        vocab_size=32,
        hidden_size=20,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=2,
        eos_token_id=1,
    )
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=8,
        patch_size=4,
    )
    return CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8))


def _tokenizer(template: str) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=[("<s>", 2), ("</s>", 1)])
    tokenizer.enable_truncation(5)  # published files have both, and neither may come to work
    tokenizer.enable_padding(length=9)
    return tokenizer


PROMPTS = ["FPS-8. a red bus", 'FPS-8. a sign with "Hé" and “ho”', "a cow"]
OF_VIDEO = {"ul2": 16, "metaclip": 20, "byt5": 24}
WIDTHS = {**OF_VIDEO, "t5": 16}


@pytest.fixture(scope="module", autouse=True)
def _offline() -> None:
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {name: tiny_encoder(name, root / name) for name in PUBLISHED}


def copied(folders: dict[str, Path], name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders[name], tmp_path / name))


def states(context: TextContext, place: int) -> torch.Tensor:
    return context.embeddings[place, : int(context.lengths[place])]


def test_ul2_states_are_those_of_the_whole_model(folders: dict[str, Path]) -> None:
    model = T5ForConditionalGeneration.from_pretrained(folders["ul2"]).eval()
    context = text_encoder("ul2", folders["ul2"]).encode(PROMPTS)
    assert context.lengths.tolist() == [8, 15, 3]  # nothing was cut at 5 or padded to 9
    for place, words in ((0, "fps - 8 . a red bus </s>"), (2, "a cow </s>")):
        ids = torch.tensor([[WORDS.index(word) for word in words.split()]])
        with torch.inference_mode():
            expected = model.encoder(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(states(context, place), expected, rtol=1e-5, atol=1e-6)


def test_metaclip_states_are_those_of_the_whole_model_where_positions_stay(folders: dict[str, Path]) -> None:
    model = CLIPModel.from_pretrained(folders["metaclip"]).eval()
    context = text_encoder("metaclip", folders["metaclip"]).encode(PROMPTS[:1])
    words = "<s> fps - 8 . a red bus </s>"
    ids = torch.tensor([[WORDS.index(word) for word in words.split()]])
    with torch.inference_mode():
        expected = model.text_model(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(states(context, 0), expected, rtol=1e-5, atol=1e-6)


def test_byt5_reads_the_bytes_of_quoted_strings_only(folders: dict[str, Path]) -> None:
    encoder = text_encoder("byt5", folders["byt5"])
    context = encoder.encode(PROMPTS)
    assert context.lengths.tolist() == [0, len("Hé\nho".encode()) + 1, 0]
    model = T5ForConditionalGeneration.from_pretrained(folders["byt5"]).eval()
    ids = torch.tensor([transformers.ByT5Tokenizer()("Hé\nho").input_ids])
    with torch.inference_mode():
        expected = model.encoder(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(states(context, 1), expected, rtol=1e-5, atol=1e-6)
    assert encoder.encode(PROMPTS[:1]).embeddings.shape == (1, 1, 24)


def test_special_tokens_in_a_quote_are_letters() -> None:
    assert bytes_of_quoted('"</s>"') == [ord(letter) + 3 for letter in "</s>"] + [1]


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a red bus", ()),
        ("the dog's bowl isn't 'full'", ()),
        ('a sign "STOP" and "Go  now"', ("STOP", "Go  now")),
        ("a sign “Zurück” beside «là»", ("Zurück", "là")),
        ('an empty one "" and " " and an open "one', ()),
        ('a 6" robot and a 5.5" cake that says "route 66" and "7"', ("route 66", "7")),
    ],
)
def test_quoted_strings(prompt: str, found: tuple[str, ...]) -> None:
    assert quoted_strings(prompt) == found


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_prompt_reads_the_same_alone_and_among_others(folders: dict[str, Path], name: str) -> None:
    encoder = text_encoder(name, folders[name])
    together = encoder.encode([*PROMPTS, PROMPTS[0]])
    assert together.embeddings.dtype == torch.float32
    assert (encoder.width, encoder.precision, together.encoder) == (WIDTHS[name], "float32", name)
    for place, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(states(encoder.encode([prompt]), 0), states(together, place))
        assert not together.embeddings[place, int(together.lengths[place]) :].any()


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_longest_prompt_is_read_and_a_longer_one_refused(folders: dict[str, Path], name: str) -> None:
    encoder = text_encoder(name, folders[name])
    specials = 2 if name == "metaclip" else 1
    count = encoder.max_tokens - specials
    longest = f'"{count * "x"}"' if name == "byt5" else " ".join(["bus"] * count)
    longer = longest.replace("x", "xx", 1) if name == "byt5" else f"{longest} bus"
    assert encoder.encode([longest]).lengths.tolist() == [encoder.max_tokens]
    most = encoder.max_tokens
    with pytest.raises(ValueError, match=f"has {most + 1} tokens .* encoder {name} reads at most {most}"):
        encoder.encode([longer])


def test_weights_are_in_memory_from_the_first_prompt_until_they_are_freed(folders: dict[str, Path]) -> None:
    encoder = PublishedEncoder("ul2", folders["ul2"])
    assert encoder._model is None
    before = encoder.encode(PROMPTS)
    assert encoder._model is not None
    assert not any(parameter.requires_grad for parameter in encoder._model.parameters())
    encoder.free()
    assert encoder._model is None
    assert torch.equal(encoder.encode(PROMPTS).embeddings, before.embeddings)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_states_in_half_precision_are_nearly_the_same(
    folders: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = text_encoder(name, folders[name]).encode(PROMPTS).embeddings
    monkeypatch.setattr("moviegen_runtime.text.published.precision_on", lambda _: "bfloat16")
    encoder = PublishedEncoder(name, folders[name])
    halved = encoder.encode(PROMPTS).embeddings
    assert encoder.precision == "bfloat16"
    assert encoder._model is not None
    assert torch.bfloat16 in {parameter.dtype for parameter in encoder._model.parameters()}
    assert 0 < float((halved - expected).norm() / expected.norm()) < 0.03


def test_lengthened_positions_keep_the_first_and_the_last_row() -> None:
    table = torch.randn(77, 3, dtype=torch.float64)
    longer = lengthened(table, 256)
    assert longer.shape == (256, 3)
    assert torch.equal(longer[:KEPT_ROWS], table[:KEPT_ROWS])
    torch.testing.assert_close(longer[KEPT_ROWS], table[KEPT_ROWS])
    torch.testing.assert_close(longer[-1], table[-1])
    assert torch.equal(lengthened(table, 77), table)
    line = torch.arange(77, dtype=torch.float64)[:, None]
    steps = lengthened(line, 256)[KEPT_ROWS:].diff(dim=0)
    torch.testing.assert_close(steps, torch.full_like(steps, 56 / 235))  # a straight line stays one
    with pytest.raises(ValueError, match="77 positions cannot be lengthened to 76"):
        lengthened(table, 76)


def test_missing_files_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder .*|no weights at .*nowhere"):
        text_encoder("ul2", tmp_path / "nowhere")
    with pytest.raises(
        ValueError,
        match=r"ul2 lacks in .*: config\.json, tokenizer\.json, model\.safetensors \(or model\.safeten",
    ):
        text_encoder("ul2", tmp_path)
    folder = copied(folders, "byt5", tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")  # pickles are not looked at
    with pytest.raises(ValueError, match=r"byt5 lacks in .*byt5: model\.safetensors"):
        text_encoder("byt5", folder)
    with pytest.raises(ValueError, match="comes with no package: give a folder"):
        text_encoder("metaclip")


def test_sharded_weights_are_read_and_missing_shards_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(folders, "ul2", tmp_path)
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    shards = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({key: whole[key] for key in keys}, folder / file, metadata={"format": "pt"})
    places = {key: file for file, keys in shards.items() for key in keys}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    sharded = text_encoder("ul2", folder).encode(PROMPTS)
    assert torch.equal(sharded.embeddings, text_encoder("ul2", folders["ul2"]).encode(PROMPTS).embeddings)
    (folder / "two.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks in .*ul2: two\.safetensors"):
        text_encoder("ul2", folder)
    index.write_text(json.dumps({"weight_map": {"a": "../one.safetensors"}}))
    with pytest.raises(ValueError, match="which is not in its folder"):
        text_encoder("ul2", folder)


def test_what_does_not_fit_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="describes a model of type 'clip', not a t5"):
        text_encoder("ul2", folders["metaclip"])
    folder = copied(folders, "ul2", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = "encoder.final_layer_norm.weight"
    save_file({k: v for k, v in tensors.items() if k != name}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=f"lacks the tensor '{name}'"):
        text_encoder("ul2", folder).encode(PROMPTS)
    save_file(tensors | {name: torch.ones(3)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="cannot be read"):
        text_encoder("ul2", folder).encode(PROMPTS)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="cannot be read"):
        text_encoder("ul2", folder).encode(PROMPTS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 3}))
    with pytest.raises(ValueError, match="vocabulary of 3, and its tokenizer 14"):
        text_encoder("ul2", folder)
    (folder / "config.json").write_text(json.dumps(config | {"d_model": "wide"}))
    with pytest.raises(ValueError, match="must say d_model as a number"):
        text_encoder("ul2", folder)


def test_a_missing_extra_is_said(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moviegen_runtime.pretrained.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"needs the extra 'moviegen-runtime\[encoders\]'"):
        text_encoder("ul2", folders["ul2"])


def test_other_files_have_another_hash(folders: dict[str, Path], tmp_path: Path) -> None:
    first = text_encoder("ul2", folders["ul2"]).weights_hash
    folder = copied(folders, "ul2", tmp_path)
    assert text_encoder("ul2", folder).weights_hash == first
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    assert text_encoder("ul2", folder).weights_hash != first


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_what_was_read_is_kept_on_disk(folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    plain = PublishedEncoder(name, folders[name])
    expected = plain.encode(PROMPTS)
    cached = CachedTextEncoder(plain, tmp_path / "cache")
    first = cached.encode(PROMPTS)
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == len(PROMPTS)
    assert all(file.suffix == ".safetensors" for file in files)
    cached.free()
    again = cached.encode([PROMPTS[1], PROMPTS[0], PROMPTS[1], PROMPTS[2]])
    assert plain._model is None  # it was not loaded again
    for place, prompt in enumerate((1, 0, 1, 2)):
        assert torch.equal(states(again, place), states(expected, prompt))
    assert torch.equal(first.mask, expected.mask)
    with pytest.raises(ValueError, match="at least one prompt"):
        cached.encode([])


def test_another_encoder_or_precision_finds_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    encoder = PublishedEncoder("ul2", folders["ul2"])
    paths = {CachedTextEncoder(encoder, tmp_path)._path("a cow")}
    encoder.precision = "bfloat16"
    paths.add(CachedTextEncoder(encoder, tmp_path)._path("a cow"))
    encoder.weights_hash = "0" * 64
    paths.add(CachedTextEncoder(encoder, tmp_path)._path("a cow"))
    assert len(paths) == 3


def test_a_damaged_file_of_the_cache_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    cached = CachedTextEncoder(text_encoder("ul2", folders["ul2"]), tmp_path)
    cached.encode(["a cow"])
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=f"{path.name} is damaged: delete it"):
        cached.encode(["a cow"])
    save_file({"states": torch.full((2, 16), torch.nan)}, path)
    with pytest.raises(ValueError, match="must hold finite float32 states"):
        cached.encode(["a cow"])


def test_latents_of_a_clip_without_quoted_text_train_beside_others() -> None:
    samples = [
        LatentSample(torch.zeros(4, 1, 2, 2), {"byt5": torch.ones(length, 3)}, "a cow", 8.0, 8)
        for length in (0, 2)
    ]
    read = [parse_latent(write_latent(sample), {"byt5": 3}) for sample in samples]
    (text,) = collate(read, moviegen_tae.preset("miniature").stride).text
    assert text.lengths.tolist() == [0, 2]
    (text,) = collate(read[:1], moviegen_tae.preset("miniature").stride).text
    assert (tuple(text.embeddings.shape), text.lengths.tolist()) == ((1, 1, 3), [0])


@pytest.fixture
def large_model(tiny_model: Path, folders: dict[str, Path], tmp_path: Path) -> Path:
    """The tiny cast with the paper's three encoders: one beside the models, two named by `cast.json`."""
    model = tmp_path / "model"
    shutil.copytree(tiny_model / "tae", model / "tae")
    shutil.copytree(folders["ul2"], model / "ul2")
    shutil.copytree(folders["byt5"], model / "letters")
    settings = json.loads((tiny_model / "cast.json").read_text())
    settings["text_encoders"] = {"byt5": "letters", "metaclip": str(folders["metaclip"])}
    (model / "cast.json").write_text(json.dumps(settings))
    config = moviegen_dit.from_pretrained(tiny_model / "dit").config
    specs = tuple(moviegen_dit.TextEncoderSpec(name=name, width=width) for name, width in OF_VIDEO.items())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dit = moviegen_dit.VideoDiT(config.model_copy(update={"text_encoders": specs}))
        for parameter in dit.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    moviegen_dit.save(dit, model / "dit")
    return model


def test_a_cast_with_three_encoders_makes_a_clip_and_frees_them(large_model: Path, tmp_path: Path) -> None:
    cast = load(large_model, device="cpu", embeddings=tmp_path / "embeddings")
    plain, quoted = (
        TextToVideoRequest(prompt=prompt, steps=2, frames=1) for prompt in ("a cow", 'a sign with "ho"')
    )
    video, other = cast.generate([plain, quoted])
    assert set(video.weights) == {"tae", "dit", "ul2", "metaclip", "byt5"}
    read = video.stages["reading the prompt"]["encoders"]
    assert read == [
        {"name": "ul2", "tokens": 7, "precision": "float32"},
        {"name": "metaclip", "tokens": 8, "precision": "float32"},
        {"name": "byt5", "tokens": 0, "precision": "float32"},
    ]
    assert not torch.equal(video.clip.frames, other.clip.frames)
    for encoder in cast.encoders:
        assert isinstance(encoder, CachedTextEncoder)
        assert isinstance(encoder._encoder, PublishedEncoder)
        assert encoder._encoder._model is None
    without = load(large_model, device="cpu")
    assert torch.equal(without.generate(plain).clip.frames, video.clip.frames)


def test_a_prompt_that_one_encoder_refuses_loads_none(
    large_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = load(large_model, device="cpu")
    monkeypatch.setattr(PublishedEncoder, "_load", None)  # whoever loads comes to grief
    words = f'a sign with "{"o" * 100}"'
    with pytest.raises(ValueError, match=r"has 101 tokens .* text encoder byt5"):
        cast.generate(TextToVideoRequest(prompt=words, steps=1, frames=1))


def test_what_fails_while_it_reads_is_freed(large_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = load(large_model, device="cpu")
    first = cast.encoders[0]
    assert isinstance(first, PublishedEncoder)

    def damaged(self: PublishedEncoder, ids: object) -> object:
        del ids
        self._model = torch.nn.Identity()
        raise ValueError("its weights are damaged")

    monkeypatch.setattr(PublishedEncoder, "_read", damaged)
    with pytest.raises(ValueError, match="its weights are damaged"):
        cast.generate(TextToVideoRequest(prompt="a cow", steps=1, frames=1))
    assert first._model is None


def test_the_command_keeps_what_was_read(
    large_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--model", str(large_model), "--steps", "1"]
    main(["generate", "a cow", "-o", "plain.png", *options])
    main(["generate", "a cow", "-o", "first.png", "--embeddings", "kept", *options])
    assert len(list(Path("kept").iterdir())) == 3  # one an encoder
    monkeypatch.setattr(PublishedEncoder, "_load", None)  # whoever loads now comes to grief
    main(["generate", "a cow", "-o", "second.png", "--embeddings", "kept", *options])
    main(["generate", "--from-sidecar", "first.json", "-o", "again.png", "--embeddings", "kept"])
    assert len({Path(f"{name}.png").read_bytes() for name in ("plain", "first", "second", "again")}) == 1


def test_latents_are_cached_with_the_states_of_every_encoder(
    large_model: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{name}.png")
    (tmp_path / "clips.csv").write_text('path,caption\none.png,"a ""ho"" sign"\ntwo.png,a cow\n')
    Pack(clips=tmp_path / "clips.csv", out=tmp_path / "shards", size="16", frames=1).run()
    chosen = tuple(f"{name}={folders[name]}" for name in ("ul2", "byt5"))
    shards, tae = tmp_path / "shards", str(large_model / "tae")
    Latents(out=tmp_path / "latents", tae=tae, shards=shards, encoder=chosen, device="cpu").run()
    cached = ShardedLatents(tmp_path / "latents")
    assert cached.properties.encoders == {"ul2": 16, "byt5": 24}
    assert sorted(len(cached[index].text["byt5"]) for index in range(2)) == [0, 3]
    with pytest.raises(ValueError, match="the text encoder metaclip comes with no package"):
        Latents(out=tmp_path / "other", tae=tae, shards=shards, encoder=("metaclip",), device="cpu").run()


def test_an_encoder_that_a_cast_lacks_is_named(large_model: Path) -> None:
    shutil.rmtree(large_model / "ul2")
    with pytest.raises(ValueError, match=r"no folder .*ul2 with the text encoder ul2; put it there, or name"):
        load(large_model, device="cpu")
    shutil.copytree(large_model / "letters", large_model / "ul2")
    (large_model / "ul2" / "tokenizer.json").write_text(_tokenizer("$A </s>").to_str())
    with pytest.raises(ValueError, match="ul2 states of width 16, and this encoder's are 24 wide"):
        load(large_model, device="cpu")
