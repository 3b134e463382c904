"""Public interface of moviegen_core 0.1.0; written by tools/api.py."""

class ArchConfig(BaseModel):
    ...

class AttentionFn(Protocol):
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor: ...

class Stride:
    time: int
    height: int
    width: int
    def latent(self, clip: VideoShape) -> VideoShape: ...
    def clip(self, latent: VideoShape) -> VideoShape: ...
    volume: int
    def __init__(self, time: int, height: int, width: int) -> None: ...

class TextContext:
    embeddings: Tensor
    mask: Tensor
    encoder: str
    batch: int
    lengths: Tensor
    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> TextContext: ...
    def __init__(self, embeddings: Tensor, mask: Tensor, encoder: str) -> None: ...

class TextEncoder(Protocol):
    name: str
    width: int
    max_tokens: int
    def encode(self, prompts: Sequence[str]) -> TextContext: ...

class VideoAutoencoder(Protocol):
    stride: Stride
    latent_channels: int
    def encode(self, clip: VideoClip) -> VideoLatent: ...
    def decode(self, latent: VideoLatent) -> VideoClip: ...

class VideoClip:
    frames: Tensor
    fps: float
    batch: int
    shape: VideoShape
    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> VideoClip: ...
    def __init__(self, frames: Tensor, fps: float) -> None: ...

class VideoLatent:
    values: Tensor
    stride: Stride
    num_frames: int
    fps: float
    batch: int
    shape: VideoShape
    clip_shape: VideoShape
    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> VideoLatent: ...
    def __init__(self, values: Tensor, stride: Stride, num_frames: int, fps: float) -> None: ...

class VideoShape:
    frames: int
    height: int
    width: int
    positions: int
    def __init__(self, frames: int, height: int, width: int) -> None: ...

def load_pretrained(folder: Path | str, *, kind: str, config_type: type[ConfigT], build: Callable[[ConfigT], ModuleT]) -> ModuleT: ...

def locate_pretrained(source: Path | str, shipped: Mapping[str, Path]) -> Path: ...

def replacing(target: Path) -> Iterator[Path]: ...

def save_pretrained(module: nn.Module, config: ArchConfig, folder: Path | str, *, kind: str, dtype: torch.dtype | None = None) -> None: ...

def weights_hash(folder: Path | str) -> str: ...
