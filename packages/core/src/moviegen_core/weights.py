"""The weights format: a folder with `config.json` and `model.safetensors`. Nothing is ever unpickled.

`config.json` holds the format's version, the kind of model and its architecture. Both files are treated as
hostile: sizes are bounded, unknown keys refused, and every tensor's name, shape and dtype is compared with
the model's own (built on the meta device, so without memory) before anything is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from moviegen_core.config import ArchConfig
from moviegen_core.files import replacing

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_MAX_CONFIG_BYTES = 1 << 20
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

ConfigT = TypeVar("ConfigT", bound=ArchConfig)
ModuleT = TypeVar("ModuleT", bound=nn.Module)


def save_pretrained(
    module: nn.Module, config: ArchConfig, folder: Path | str, *, kind: str, dtype: torch.dtype | None = None
) -> None:
    """Write a model's weights and architecture; the folder appears complete or not at all.

    Args:
        kind: what the weights are of, e.g. "tae"; `load_pretrained` refuses another kind.
        dtype: floating-point type to store; None keeps each tensor's own.

    Raises:
        ValueError: a tensor is not floating point or not finite.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    tensors: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        stored = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
        if not stored.is_floating_point() or not bool(torch.isfinite(stored).all()):
            raise ValueError(
                f"tensor {name!r} must be floating point and finite to be saved as {stored.dtype}"
            )
        tensors[name] = stored
    header = {"format": FORMAT_VERSION, "kind": kind, "config": config.model_dump(mode="json")}
    folder.parent.mkdir(parents=True, exist_ok=True)
    kept = {path.name: path.read_bytes() for path in folder.glob("*.md")} if folder.is_dir() else {}
    with replacing(folder) as aside:
        aside.mkdir()
        (aside / CONFIG_FILE).write_text(json.dumps(header, indent=2) + "\n")
        save_file(tensors, aside / WEIGHTS_FILE)
        for name, text in kept.items():  # the model card and licence stay beside retrained weights
            (aside / name).write_bytes(text)


def load_pretrained(
    folder: Path | str, *, kind: str, config_type: type[ConfigT], build: Callable[[ConfigT], ModuleT]
) -> ModuleT:
    """Read a model in float32 on the CPU, in evaluation mode, with the memory format that `build` gives it.

    Args:
        build: makes the module of a config; called under the meta device, so it must register every value
            that it needs as a parameter or persistent buffer.

    Raises:
        ValueError: a file is missing, damaged, of another kind or version, or does not fit its own config.
    """
    folder = Path(folder)
    config = _read_config(folder, kind, config_type)
    try:
        with torch.device("meta"), _WithoutInitialisation():
            module = build(config)
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG_FILE} describes a model that cannot be built: {error}") from error
    module.load_state_dict(_read_tensors(folder / WEIGHTS_FILE, module.state_dict()), assign=True)
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    return module.eval()


def locate_pretrained(
    source: Path | str, shipped: Mapping[str, Path], files: Sequence[str] = (CONFIG_FILE, WEIGHTS_FILE)
) -> Path:
    """The folder of a name: a shipped name ("miniature"), a folder, or a Hub id ("organisation/model").

    Args:
        files: what is fetched from the Hub, as names or patterns such as "*.safetensors".

    Raises:
        ValueError: it is none of them, or a Hub id that cannot be fetched.
    """
    name = str(source)
    if name in shipped:
        return shipped[name]
    if name and Path(name).is_dir():  # Path("") is the working folder, which nobody meant
        return Path(name)
    known = ", ".join(repr(key) for key in shipped) or "none here"
    if not _HUB_ID.fullmatch(name) or Path(name).exists():
        raise ValueError(f"no weights at {name!r}: give a shipped name ({known}), a folder or a Hub id")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(
            f"there is no folder {name!r}, and reading it as a Hub id needs a network and the extra "
            "'moviegen-core[hub]'"
        ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (OSError, ValueError) as error:
        raise ValueError(f"there is no folder {name!r}, and the Hub did not give it: {error}") from error


def weights_hash(folder: Path | str) -> str:
    """SHA-256 over the weights and the config of a folder, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        with (Path(folder) / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class _WithoutInitialisation(TorchFunctionMode):
    """Leaves tensors as they are where `torch.nn.init` would fill them.

    Filling tensors on the meta device does nothing but make torch import its compiler, which takes seconds.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _read_config(folder: Path, kind: str, config_type: type[ConfigT]) -> ConfigT:
    path = folder / CONFIG_FILE
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ValueError(f"{path} is larger than a config can be ({_MAX_CONFIG_BYTES} bytes)")
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:  # not JSON, not text, a number without end, nested too deep
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(header, dict) or set(header) != {"format", "kind", "config"}:
        raise ValueError(f"{path} must hold exactly the keys format, kind and config")
    if header["format"] is True or header["format"] != FORMAT_VERSION:
        raise ValueError(f"{path} has format {header['format']!r}; this version reads {FORMAT_VERSION}")
    if header["kind"] != kind:
        raise ValueError(f"{folder} holds {header['kind']!r} weights, not {kind!r}")
    try:
        return config_type.model_validate(header["config"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "config"
        raise ValueError(f"{path}: {where}: {first['msg']}") from error


def _read_tensors(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if names != set(wanted):
                odd = sorted(names ^ set(wanted))[0]
                problem = "lacks" if odd in wanted else "has an unknown"
                raise ValueError(f"{path} {problem} tensor {odd!r}")
            tensors = {}
            for name, template in wanted.items():
                piece = file.get_slice(name)
                shape, dtype = list(piece.get_shape()), piece.get_dtype()
                if shape != list(template.shape) or dtype not in _DTYPES:
                    raise ValueError(
                        f"{path}: tensor {name!r} is {dtype} {shape}, expected floating point "
                        f"{list(template.shape)}"
                    )
                tensors[name] = _laid_out_as(template, file.get_tensor(name).to(torch.float32))
            return tensors
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def _laid_out_as(template: Tensor, tensor: Tensor) -> Tensor:
    """The tensor with its template's strides: files hold every tensor row by row, and models need not."""
    if tensor.stride() == template.stride():
        return tensor
    return torch.empty_like(template, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
