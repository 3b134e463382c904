"""The paper's three text encoders, read through transformers (section 3.1.4 and Fig. 8).

UL2 and MetaCLIP read the whole prompt, ByT5 only what stands in quotation marks: the text that is to be seen.
Token states are those after the last norm. Weights are read from safetensors only.

Legend: B batch, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from moviegen_core import TextContext, locate_pretrained
from safetensors import SafetensorError
from torch import Tensor, nn

from moviegen_runtime.text.positions import lengthened
from moviegen_runtime.text.prompt import quoted_strings
from moviegen_runtime.text.reading import (
    PrecisionName,
    check_length,
    files_hash,
    read_tokenizer,
    states_by_length,
)
from moviegen_runtime.validation import read_json

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
# Prompts read at once.
_MAX_BATCH = 32
# A byte's id is its value after the three special ones; the text ends with 1 (arXiv 2105.13626).
_BYTE_OFFSET, _BYTE_END = 3, 1


@dataclass(frozen=True)
class EncoderKind:
    """What is particular to a published encoder.

    Args:
        family: "t5", or "clip" for the text tower of a CLIP.
        max_tokens: longest prompt, special tokens included.
        quoted: reads the quoted strings of a prompt only, byte by byte.
    """

    family: Literal["t5", "clip"]
    max_tokens: int
    quoted: bool = False


# The paper prints the 256 of MetaCLIP and the 512 of T5-base, which reads captions of sound. The other two
# are our choice: a detailed caption of about 200 words, and a sign's worth of letters. A prompt that is
# longer is refused, never cut.
PUBLISHED = {
    "ul2": EncoderKind("t5", max_tokens=300),
    "metaclip": EncoderKind("clip", max_tokens=256),
    "byt5": EncoderKind("t5", max_tokens=100, quoted=True),
    "t5": EncoderKind("t5", max_tokens=512),
}


class PublishedEncoder:
    """A frozen encoder whose weights are in memory from the first prompt to `free`.

    Args:
        name: a key of `PUBLISHED`.
        source: folder with config.json, tokenizer.json (not for ByT5) and safetensors, or a Hub id.
        device: where it runs; in bfloat16 where the device computes with it, else in float32. Not in float16,
            beyond whose range T5's states go.

    Raises:
        ValueError: transformers is not installed, or a file is missing or damaged.
    """

    def __init__(self, name: str, source: Path | str, device: str = "cpu") -> None:
        if find_spec("transformers") is None:
            raise ValueError(f"the text encoder {name} needs the extra 'moviegen-runtime[encoders]'")
        self.name, self.device = name, device
        self._kind = PUBLISHED[name]
        self.max_tokens = self._kind.max_tokens
        wanted = [CONFIG_FILE, *([] if self._kind.quoted else [TOKENIZER_FILE])]
        self.folder = locate_pretrained(source, {}, [*wanted, "*.safetensors", INDEX_FILE])
        weights = _weights(self.folder, name, wanted)
        sizes = _sizes(self.folder / CONFIG_FILE, self._kind.family)
        self.width = _size(self.folder, sizes, "d_model" if self._kind.family == "t5" else "hidden_size")
        self._tokenize = self._tokenizer(_size(self.folder, sizes, "vocab_size"))
        self.weights_hash = files_hash(*(self.folder / file for file in wanted), *weights)
        self.precision: PrecisionName = "bfloat16" if _computes_in_bfloat16(device) else "float32"
        self._model: nn.Module | None = None

    @torch.inference_mode()
    def encode(self, prompts: Sequence[str]) -> TextContext:
        """Token states (B, S, D) of the prompts in float32 on the CPU, S the longest prompt's tokens.

        A prompt without quoted strings has no tokens of ByT5.

        Raises:
            ValueError: no prompts, one that is longer than `max_tokens`, or weights that do not fit.
        """
        tokens = [self._tokenize(prompt) for prompt in prompts]
        for ids in tokens:
            check_length(len(ids), self.max_tokens, self.name)
        return states_by_length(tokens, self._read, width=self.width, most=_MAX_BATCH, encoder=self.name)

    def free(self) -> None:
        """Give the memory of the weights back; the next prompt loads them again."""
        self._model = None
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _read(self, ids_BS: Tensor) -> Tensor:
        if self._model is None:
            self._model = _load(self.folder, self._kind, self.precision).to(self.device)
        states_BSD: Tensor = self._model(input_ids=ids_BS.to(self.device)).last_hidden_state
        return states_BSD

    def _tokenizer(self, vocabulary: int) -> Callable[[str], list[int]]:
        if self._kind.quoted:
            needed, tokenize = _BYTE_OFFSET + 256, bytes_of_quoted
        else:
            tokenizer = read_tokenizer(self.folder / TOKENIZER_FILE)
            needed = tokenizer.get_vocab_size()

            def tokenize(prompt: str) -> list[int]:
                ids: list[int] = tokenizer.encode(prompt).ids
                return ids

        if needed > vocabulary:
            raise ValueError(f"{self.folder} has a vocabulary of {vocabulary}, and its tokenizer {needed}")
        return tokenize


def bytes_of_quoted(prompt: str) -> list[int]:
    """ByT5's ids of the quoted strings, each on a line of its own; none if there are none."""
    text = "\n".join(quoted_strings(prompt))
    return [byte + _BYTE_OFFSET for byte in text.encode()] + [_BYTE_END] if text else []


def _computes_in_bfloat16(device: str) -> bool:
    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


def _weights(folder: Path, name: str, files: Sequence[str]) -> list[Path]:
    """The weights files; all files of the encoder are there.

    Raises:
        ValueError: it says which are missing, and what was looked for.
    """
    missing = [file for file in files if not (folder / file).is_file()]
    weights = [folder / WEIGHTS_FILE]
    if (folder / INDEX_FILE).is_file():
        index = read_json(folder / INDEX_FILE)
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or not places:
            raise ValueError(f"{folder / INDEX_FILE} has no weight_map, so it names no weights")
        shards = sorted({str(file) for file in places.values()})
        if strangers := [file for file in shards if Path(file).name != file]:
            raise ValueError(f"{folder / INDEX_FILE} names {strangers[0]!r}, which is not in its folder")
        weights = [folder / file for file in shards]
        missing += [file for file in shards if not (folder / file).is_file()]
    elif not weights[0].is_file():
        missing.append(f"{WEIGHTS_FILE} (or {INDEX_FILE} and what it names)")
    if missing:
        raise ValueError(f"the text encoder {name} lacks in {folder}: {', '.join(missing)}")
    return weights


def _sizes(path: Path, family: str) -> Mapping[str, Any]:
    config = read_json(path)
    if not isinstance(config, dict):
        raise ValueError(f"{path} does not describe an encoder")
    if config.get("model_type") not in ("t5", "clip", "clip_text_model"):
        raise ValueError(f"{path} describes a model of type {config.get('model_type')!r}, not a {family}")
    if str(config["model_type"]).partition("_")[0] != family:
        raise ValueError(f"{path} describes a model of type {config['model_type']!r}, not a {family}")
    sizes = config.get("text_config", config)
    return sizes if isinstance(sizes, dict) else {}


def _size(folder: Path, sizes: Mapping[str, Any], key: str) -> int:
    size = sizes.get(key)
    if type(size) is not int or not 1 <= size <= 1 << 20:
        raise ValueError(f"{folder / CONFIG_FILE} must say {key} as a number of 1 or more, not {size!r}")
    return size


def _load(folder: Path, kind: EncoderKind, precision: PrecisionName) -> nn.Module:
    """The encoder in evaluation mode, on the CPU; MetaCLIP with positions for all its tokens.

    Raises:
        ValueError: the weights are damaged, lack a tensor, or do not fit the config.
    """
    import transformers

    model_class: Any = transformers.T5EncoderModel if kind.family == "t5" else transformers.CLIPTextModel
    try:
        with _quiet_transformers():
            model, info = model_class.from_pretrained(
                folder,
                dtype=getattr(torch, precision),
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, ImportError, SafetensorError) as error:
        raise ValueError(
            f"the text encoder in {folder} cannot be read: {' '.join(str(error).split())}"
        ) from error
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"the text encoder in {folder} lacks the tensor {missing[0]!r}")
    if kind.family == "clip":
        _lengthen(model, kind.max_tokens)
    encoder: nn.Module = model.eval().requires_grad_(False)
    return encoder


def _lengthen(model: nn.Module, length: int) -> None:
    """Positions for `length` tokens, where the published tower has 77."""
    from transformers.models.clip.modeling_clip import CLIPTextEmbeddings

    for part in model.modules():
        if isinstance(part, CLIPTextEmbeddings) and part.position_embedding.num_embeddings < length:
            table = lengthened(part.position_embedding.weight.detach(), length)
            part.position_embedding = nn.Embedding(length, table.shape[1], _weight=table)
            part.position_ids = nn.Buffer(torch.arange(length)[None], persistent=False)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hide the bar and the report of what a checkpoint holds besides the encoder, such as a decoder."""
    logging: Any = import_module("transformers.utils.logging")
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
