"""A deeper decoder decodes as the one that it was made of, and every new block can learn."""

from __future__ import annotations

import pytest
import torch
from moviegen_core import VideoShape
from moviegen_tae import TAE, TAEConfig, deepen_decoder

CONFIG = TAEConfig(
    channels=(8, 8, 16, 16),
    encoder_blocks=(0, 1, 0, 0),
    decoder_blocks=(1, 0, 1, 0),
    latent_channels=4,
    patch_size=2,
    norm_groups=4,
)
SHAPE = VideoShape(9, 16, 24)


@pytest.fixture(params=["resampling", "blocks"])
def model(request: pytest.FixtureRequest) -> TAE:
    torch.manual_seed(0)
    if request.param == "blocks":
        return TAE(
            TAEConfig.model_validate(
                {
                    **CONFIG.model_dump(),
                    "width_changes_in": "blocks",
                    "decoder_blocks": (1, 1, 1, 0),
                    "encoder_blocks": (0, 1, 1, 0),
                }
            )
        )
    return TAE(CONFIG)


def latent() -> torch.Tensor:
    return torch.randn(2, 4, 2, 2, 3, generator=torch.Generator().manual_seed(1))


def test_a_deeper_decoder_begins_as_the_one_it_was(model: TAE) -> None:
    deeper = deepen_decoder(model, (2, 3, 1, 1))
    assert deeper.config == model.config.model_copy(update={"decoder_blocks": (2, 3, 1, 1)})
    assert torch.equal(deeper.decode_moments(latent(), SHAPE), model.decode_moments(latent(), SHAPE))
    before, after = model.state_dict(), deeper.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_all_that_is_new_learns_after_the_first_step(model: TAE) -> None:
    deeper = deepen_decoder(model, (2, 2, 2, 2))
    new = {name for name, _ in deeper.named_parameters()} - {name for name, _ in model.named_parameters()}
    optimizer = torch.optim.SGD(deeper.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        deeper.decode_moments(latent(), SHAPE).square().mean().backward()
        optimizer.step()
    gradients = {name: p.grad for name, p in deeper.named_parameters() if name in new}
    assert gradients
    assert all(grad is not None and bool(grad.any()) for grad in gradients.values())


def test_a_decoder_loses_no_block_and_has_no_more_than_a_configuration_may() -> None:
    model = TAE(CONFIG)
    with pytest.raises(ValueError, match=r"can only become deeper: it has \(1, 0, 1, 0\) blocks"):
        deepen_decoder(model, (2, 3, 0, 0))
    with pytest.raises(ValueError, match="less than or equal to 16"):
        deepen_decoder(model, (17, 3, 1, 0))
