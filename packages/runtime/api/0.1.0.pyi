"""Public interface of moviegen_runtime 0.1.0; written by tools/api.py."""

class Cast:
    model: str
    machine: Machine
    settings: CastSettings
    tae: TAE
    dit: VideoDiT
    encoders: tuple[FrozenTextEncoder, ...]
    weights: dict[str, str]
    def generate(self, request: TextToVideoRequest | Sequence[TextToVideoRequest], *, on_progress: ProgressCallback | None = None) -> GeneratedVideo | list[GeneratedVideo]: ...
    def __init__(self, model: str, machine: Machine, settings: CastSettings, tae: TAE, dit: VideoDiT, encoders: tuple[FrozenTextEncoder, ...], weights: dict[str, str]) -> None: ...

class GeneratedVideo:
    clip: VideoClip
    request: TextToVideoRequest
    model: str
    machine: Machine
    weights: Mapping[str, str]
    stages: Mapping[str, Mapping[str, JsonValue]]
    def __init__(self, clip: VideoClip, request: TextToVideoRequest, model: str, machine: Machine, weights: Mapping[str, str], stages: Mapping[str, Mapping[str, JsonValue]]) -> None: ...

class Machine(BaseModel):
    device: str
    dtype: DtypeName
    threads: int
    micro_batch: int
    def __init__(self, *, device: str, dtype: DtypeName, threads: int, micro_batch: int) -> None: ...

class Progress:
    stage: str
    done: int
    total: int
    def __init__(self, stage: str, done: int, total: int) -> None: ...

class TextToVideoRequest(BaseModel):
    prompt: Annotated[str, AfterValidator(clean_prompt)]
    seed: int
    frames: Frames | None
    size: Size | None
    fps: Fps | None
    steps: Steps | None
    guidance: Guidance | None
    schedule: ScheduleName | None
    method: MethodName | None
    def resolved(self, defaults: SamplingSettings) -> TextToVideoRequest: ...
    def settings(self) -> SamplingSettings: ...
    def __init__(self, *, prompt: Annotated[str, AfterValidator(clean_prompt)], seed: int = ..., frames: Frames | None = ..., size: Size | None = ..., fps: Fps | None = ..., steps: Steps | None = ..., guidance: Guidance | None = ..., schedule: ScheduleName | None = ..., method: MethodName | None = ...) -> None: ...

def load(model: Path | str = MINIATURE, *, device: str = 'auto', dtype: DtypeName = 'float32', micro_batch: int = 1) -> Cast: ...

def save(video: GeneratedVideo, path: Path | str, *, display_scale: int | None = None, overwrite: bool = False) -> Sidecar: ...
