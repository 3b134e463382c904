"""Position tables that grow from one stage to the next."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import pytest
import torch
from moviegen_core import TextContext
from moviegen_dit import VideoDiT, VideoDiTConfig, grow_positions, split_patches
from torch import Tensor

MakeContexts = Callable[[list[list[int]]], list[TextContext]]


def grown(model: VideoDiT, positions: tuple[int, int, int]) -> VideoDiT:
    larger = VideoDiT(model.config.model_copy(update={"positions": positions})).double()
    larger.load_state_dict(grow_positions(model.state_dict(), positions))
    return larger


def tables(*shapes: tuple[int, int]) -> dict[str, Tensor]:
    names = ("frame_positions", "row_positions", "column_positions")
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in zip(names, shapes, strict=True)
    }


def test_the_same_lengths_change_nothing(model: VideoDiT) -> None:
    state = model.state_dict()
    again = grow_positions(state, model.config.positions)
    assert list(again) == list(state)
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_only_the_tables_change_and_the_old_state_stays(model: VideoDiT) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    after = grow_positions(model.state_dict(), (6, 8, 15))
    assert {name for name in before if before[name].shape != after[name].shape} == {
        "frame_positions",
        "row_positions",
        "column_positions",
    }
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("length", [5, 6, 7, 10, 15, 32])
def test_a_linear_table_stays_linear(length: int) -> None:
    slope, start = torch.tensor([2.0, -1.0]).double(), torch.tensor([0.5, 3.0]).double()
    line = start + torch.arange(5, dtype=torch.float64)[:, None] * slope
    state = tables((1, 2), (1, 2), (1, 2)) | {"row_positions": line}
    rows = grow_positions(state, (1, length, 1))["row_positions"]
    centres = (torch.arange(length, dtype=torch.float64) + 0.5) * 5 / length - 0.5
    torch.testing.assert_close(rows, start + centres[:, None] * slope)


def test_three_times_as_many_patches_keep_every_old_row_in_the_middle_of_its_three() -> None:
    state = tables((2, 3), (4, 3), (5, 3))
    after = grow_positions(state, (6, 12, 15))
    for name, table in state.items():
        torch.testing.assert_close(after[name][1::3], table, rtol=0, atol=1e-15)


def test_twice_as_many_patches_have_a_quarter_of_the_neighbour() -> None:
    state = tables((2, 3), (4, 3), (2, 3))
    rows, old = grow_positions(state, (2, 8, 2))["row_positions"], state["row_positions"]
    torch.testing.assert_close(rows[2], 0.75 * old[1] + 0.25 * old[0])
    torch.testing.assert_close(rows[3], 0.75 * old[1] + 0.25 * old[2])
    torch.testing.assert_close(rows[0], old[0] - 0.25 * (old[1] - old[0]))  # a straight line beyond the end


def test_images_become_videos_whose_frames_are_all_alike_at_first() -> None:
    frames = grow_positions(tables((1, 3), (2, 3), (2, 3)), (32, 2, 2))["frame_positions"]
    assert torch.equal(frames, frames[:1].expand(32, -1))
    assert frames.shape == (32, 3)


def test_gradients_reach_every_old_row() -> None:
    state = {name: table.requires_grad_() for name, table in tables((1, 2), (3, 2), (4, 2)).items()}
    after = grow_positions(state, (8, 6, 12))
    torch.stack([table.sum() for table in after.values()]).sum().backward()
    for name, table in state.items():
        assert table.grad is not None
        assert bool((table.grad != 0).all())
        # Interpolation weights of a row sum to one, so all gradients together count the new rows.
        torch.testing.assert_close(table.grad.sum(0), torch.full((2,), float(len(after[name]))).double())


def test_a_small_model_goes_on_in_a_grown_one(model: VideoDiT, contexts: MakeContexts) -> None:
    larger = grown(model, (3, 12, 15))
    prompts = contexts([[2], [1]])
    t = torch.tensor([0.4], dtype=torch.float64)
    x = torch.randn(1, 4, 2, 8, 10, dtype=torch.float64)
    # The middle patch of every three has its old position, so a model that sees only these is the old one.
    middle = VideoDiT(model.config).double()
    state = larger.state_dict()
    middle.load_state_dict(
        state | {name: state[name][1::3] for name in ("row_positions", "column_positions")}
    )
    torch.testing.assert_close(
        middle(x, t, middle.prepare(prompts)), model(x, t, model.prepare(prompts)), rtol=1e-12, atol=1e-12
    )


def test_any_aspect_ratio_inside_the_tables_is_taken_and_none_outside(
    model: VideoDiT, contexts: MakeContexts
) -> None:
    larger = grown(model, (4, 6, 6))
    conditions = larger.prepare(contexts([[2], [1]]))
    t = torch.tensor([0.4], dtype=torch.float64)
    for frames, rows, columns in product((1, 4), (1, 6), (2, 6)):
        x = torch.randn(1, 4, frames, 2 * rows, 2 * columns, dtype=torch.float64)
        velocity = larger(x, t, conditions)
        assert velocity.shape == x.shape
        assert bool(velocity.isfinite().all())
    with pytest.raises(ValueError, match="latent width must be a multiple of 2 and at most 12, not 14"):
        larger(torch.randn(1, 4, 1, 4, 14, dtype=torch.float64), t, conditions)


def test_the_papers_stages_reach_the_published_tables() -> None:
    """256 px images, images and videos of any aspect, 768 px: 16 -> 32 -> 96 rows, 1 -> 32 frames."""
    state = tables((1, 2), (16, 2), (16, 2))
    state = grow_positions(state, (32, 32, 32))
    state = grow_positions(state, (32, 96, 96))
    assert [len(table) for table in state.values()] == [32, 96, 96]


def test_what_cannot_grow_is_refused(config: VideoDiTConfig, model: VideoDiT) -> None:
    frames, rows, columns = config.positions
    with pytest.raises(ValueError, match=f"row_positions has {rows} rows and can only grow, not to 2"):
        grow_positions(model.state_dict(), (frames, 2, columns))
    with pytest.raises(ValueError, match="has the table 'frame_positions', and this one has not"):
        grow_positions({}, (1, 1, 1))


def split(model: VideoDiT) -> VideoDiT:
    shape = model.config.max_latent_shape
    changes = {"patch": (1, 1, 1), "positions": (shape.frames, shape.height, shape.width)}
    finer = VideoDiT(model.config.model_copy(update=changes)).double()
    finer.load_state_dict(split_patches(model.state_dict(), model.config.patch))
    return finer


def test_split_patches_say_what_the_patch_said_on_average_where_all_places_are_alike(
    model: VideoDiT, contexts: MakeContexts
) -> None:
    with torch.no_grad():
        for table in (model.frame_positions, model.row_positions, model.column_positions):
            table.copy_(table[:1].expand_as(table))
    x = torch.randn(2, 4, 1, 1, 1, dtype=torch.float64).expand(-1, -1, 2, 4, 6)
    t, prompts = torch.tensor([0.2, 0.7], dtype=torch.float64), contexts([[3, 1], [2, 4]])
    coarse, fine = model(x, t, model.prepare(prompts)), split(model)
    expected = coarse.mean(dim=(2, 3, 4), keepdim=True).expand_as(x)
    torch.testing.assert_close(fine(x, t, fine.prepare(prompts)), expected, rtol=1e-10, atol=1e-10)


def test_split_patches_stand_where_their_part_of_the_patch_stood(model: VideoDiT) -> None:
    frames, rows, columns = model.config.positions
    fine = split_patches(model.state_dict(), model.config.patch)
    expected = grow_positions(model.state_dict(), (frames, 2 * rows, 2 * columns))
    for name in ("frame_positions", "row_positions", "column_positions"):
        assert torch.equal(fine[name], expected[name])
    assert fine["patch_in.weight"].shape[1] * prod(model.config.patch) == model.patch_in.weight.shape[1]
