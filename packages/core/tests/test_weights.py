"""The weights format: what is saved comes back, and a hostile folder gets one sentence, never a crash."""

from __future__ import annotations

import json
import pickle
import struct
import sys
from pathlib import Path

import pytest
import torch
from moviegen_core import ArchConfig, load_pretrained, locate_pretrained, save_pretrained, weights_hash
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import nn


class LinearConfig(ArchConfig):
    width: int = Field(ge=1, le=64)


class Linear(nn.Module):
    """A parameter, a bias and a persistent buffer: all that a model may keep."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        if config.width == 13:
            raise ValueError("width 13 is unlucky")
        self.linear = nn.Linear(config.width, 2)
        self.register_buffer("mean", torch.zeros(2))


def load(folder: Path, kind: str = "linear") -> Linear:
    return load_pretrained(folder, kind=kind, config_type=LinearConfig, build=Linear)


@pytest.fixture
def model() -> Linear:
    torch.manual_seed(0)
    return Linear(LinearConfig(width=4))


@pytest.fixture
def folder(tmp_path: Path, model: Linear) -> Path:
    save_pretrained(model, LinearConfig(width=4), tmp_path / "weights", kind="linear")
    return tmp_path / "weights"


def test_round_trip_is_exact(folder: Path, model: Linear) -> None:
    loaded = load(folder)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    expected = model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, expected[name])


def test_half_precision_is_stored_and_read_back_in_single(tmp_path: Path, model: Linear) -> None:
    save_pretrained(model, LinearConfig(width=4), tmp_path / "half", kind="linear", dtype=torch.float16)
    assert {tensor.dtype for tensor in load_file(tmp_path / "half" / "model.safetensors").values()} == {
        torch.float16
    }
    weight = load(tmp_path / "half").linear.weight
    assert torch.equal(weight, model.linear.weight.to(torch.float16).to(torch.float32))


def test_loading_does_not_touch_the_random_state(folder: Path) -> None:
    before = torch.get_rng_state()
    load(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_hash_follows_weights_and_config_and_nothing_else(folder: Path, model: Linear) -> None:
    first = weights_hash(folder)
    assert len(first) == 64
    (folder / "README.md").write_text("a model card")
    assert weights_hash(folder) == first
    with torch.no_grad():
        model.mean.add_(1.0)
    save_pretrained(model, LinearConfig(width=4), folder, kind="linear")
    assert weights_hash(folder) != first


def test_saving_again_keeps_the_model_card_and_drops_the_rest(folder: Path, model: Linear) -> None:
    (folder / "README.md").write_text("a model card")
    (folder / "stale.bin").write_text("from before")
    save_pretrained(model, LinearConfig(width=4), folder, kind="linear")
    assert (folder / "README.md").read_text() == "a model card"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_what_cannot_be_stored_is_refused_and_the_old_weights_stay(
    folder: Path, model: Linear, value: float
) -> None:
    before = weights_hash(folder)
    with torch.no_grad():
        model.linear.weight[0, 0] = value  # 1e6 is finite, but not in float16
    with pytest.raises(ValueError, match=r"'linear.weight' must be floating point and finite"):
        save_pretrained(model, LinearConfig(width=4), folder, kind="linear", dtype=torch.float16)
    assert weights_hash(folder) == before


# --- hostile folders


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2; this version reads 1"),
        ({"format": True}, "format True"),
        ({"kind": "dit"}, "holds 'dit' weights, not 'linear'"),
        ({"extra": 1}, "exactly the keys"),
        ({"config": {"width": 4, "heads": 2}}, "heads: Extra inputs are not permitted"),
        ({"config": {}}, "width: Field required"),
        ({"config": {"width": 10**9}}, "width: Input should be less than or equal to 64"),
        ({"config": [4]}, "config: "),
        ({"config": {"width": 13}}, "cannot be built: width 13 is unlucky"),
    ],
)
def test_a_config_that_does_not_fit(folder: Path, changes: dict[str, object], message: str) -> None:
    edit_config(folder, **changes)
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": ' + b"1" * 5000 + b"}", b'{"format": NaN'],
    ids=["empty", "cut", "not text", "deep", "endless number", "not a number"],
)
def test_a_config_that_is_not_json(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        load(folder)


@pytest.mark.parametrize("content", ["3", "null", "[]", '"text"'])
def test_a_config_that_is_no_object(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match="exactly the keys"):
        load(folder)


def test_a_config_beyond_all_measure_is_not_read(folder: Path) -> None:
    (folder / "config.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(ValueError, match="larger than a config can be"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"cannot read .*{name}"):
        load(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        load(tmp_path / "nowhere")


def test_a_tensor_missing_unknown_misshapen_or_not_floating_point(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = load_file(path)
    damage = {
        "lacks tensor 'mean'": {name: whole[name] for name in whole if name != "mean"},
        "has an unknown tensor 'trap'": whole | {"trap": torch.zeros(1)},
        r"'linear.weight' is F32 \[2, 5\], expected floating point \[2, 4\]": whole
        | {"linear.weight": torch.zeros(2, 5)},
        "'mean' is I64": whole | {"mean": torch.zeros(2, dtype=torch.int64)},
    }
    for message, tensors in damage.items():
        save_file(tensors, path)
        with pytest.raises(ValueError, match=message):
            load(folder)


@pytest.mark.parametrize("kept", [0, 4, 8, 40, -1])
def test_a_truncated_file(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        load(folder)


@pytest.mark.parametrize("length", [2**63, 2**40, 99_999_999])
def test_a_header_length_that_the_file_does_not_have(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        load(folder)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_nothing_is_unpickled(folder: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "unpickled"
    (folder / name).write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(ValueError, match=name):
        load(folder)
    assert not mark.exists()


# --- where weights are


def test_a_shipped_name_comes_before_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "miniature").mkdir()
    monkeypatch.chdir(tmp_path)
    shipped = {"miniature": tmp_path / "shipped"}
    assert locate_pretrained("miniature", shipped) == tmp_path / "shipped"
    assert locate_pretrained(tmp_path, shipped) == tmp_path


@pytest.mark.parametrize("name", ["minature", "", "/no/such/folder", "a/b/c", "../up"])
def test_an_unknown_name_lists_what_there_is(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"give a shipped name \('miniature'\), a folder or a Hub id"):
        locate_pretrained(name, {"miniature": tmp_path})


def test_a_hub_id_without_the_extra_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"needs a network and the extra 'moviegen-core\[hub\]'"):
        locate_pretrained("someone/model", {})
