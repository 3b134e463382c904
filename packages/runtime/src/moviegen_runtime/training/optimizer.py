"""Muon for matrices and kernels, AdamW for everything else, as one optimizer with one state.

Muon (Keller Jordan, 2024): momentum, then the nearest semi-orthogonal matrix, found by five Newton-Schulz
steps. The update is scaled by 0.2 * sqrt(max(rows, columns)), which gives its entries the size of AdamW's
(Moonlight, arXiv 2502.16982). The optimizer of the paper is not known: all of this is our choice.

Legend: G matrices of one shape, M rows, N columns, M <= N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from moviegen_runtime.training.recipe import OptimizerRecipe

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the quintic of the published algorithm
_NEWTON_SCHULZ_STEPS = 5


def orthogonalise(g_GMN: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Matrices with singular values near 1 and the singular vectors of those given.

    Args:
        dtype: what the steps are computed in, float32 or bfloat16; see `MuonWithAdamW`.
    """
    x_GMN = g_GMN / g_GMN.flatten(1).norm(dim=1).clamp_min(1e-7)[:, None, None]
    if dtype == torch.float32:
        return _by_gram_matrix(x_GMN)
    return _as_published(x_GMN.to(dtype)).to(g_GMN.dtype)


def _as_published(x_GMN: Tensor) -> Tensor:
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x_GMN @ x_GMN.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        x_GMN = torch.baddbmm(x_GMN, polynomial, x_GMN, beta=_A)
    return x_GMN


def _by_gram_matrix(x_GMN: Tensor) -> Tensor:
    """The same with less work, for precision that can afford it.

    Every iterate is a polynomial of the Gram matrix times the input, so the steps run on M x M matrices only
    and the input is multiplied once, at the end. In bfloat16 the powers of the Gram matrix would lose the
    small singular values.
    """
    gram = x_GMN @ x_GMN.mT
    product = gram
    for step in range(_NEWTON_SCHULZ_STEPS):
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        polynomial.diagonal(dim1=1, dim2=2).add_(_A)
        product = polynomial if step == 0 else polynomial @ product
        if step < _NEWTON_SCHULZ_STEPS - 1:
            gram = polynomial @ gram @ polynomial  # all are polynomials of one symmetric matrix: they commute
    return torch.bmm(product, x_GMN)


class MuonWithAdamW(torch.optim.Optimizer):
    """One optimizer over groups that are moved by Muon or by AdamW.

    Args:
        groups: each with "params", "rule" ("muon" or "adamw"), "lr", "weight_decay", and "momentum", or
            "betas" and "eps". The rate of a step is "lr" times the group's "factor", which starts at 1.
        matrix_dtype: what Muon's Newton-Schulz steps are computed in. bfloat16 changes an update by less
            than 2 percent, and is for devices whose matrix products in it are fast.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], matrix_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {"factor": 1.0})
        self.matrix_dtype = matrix_dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                (self._muon if group["rule"] == "muon" else self._adamw)(params, group)
        return loss

    def _muon(self, params: list[nn.Parameter], group: dict[str, Any]) -> None:
        rate, momentum = group["lr"] * group["factor"], group["momentum"]
        weights: list[Tensor] = list(params)
        grads = [p.grad for p in params if p.grad is not None]
        for p in params:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        averages: list[Tensor] = [self.state[p]["momentum"] for p in params]
        torch._foreach_lerp_(averages, grads, 1.0 - momentum)
        updates = torch._foreach_lerp(grads, averages, momentum)  # Nesterov's look ahead
        torch._foreach_mul_(weights, 1.0 - rate * group["weight_decay"])
        for members in _same_shape(params).values():
            stacked_GMN = torch.stack([_as_matrix(updates[i]) for i in members])
            scale = 0.2 * math.sqrt(max(stacked_GMN.shape[1:]))
            for i, update_MN in zip(members, orthogonalise(stacked_GMN, self.matrix_dtype), strict=True):
                _add_matrix(params[i], update_MN, -rate * scale)

    def _adamw(self, params: list[nn.Parameter], group: dict[str, Any]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p]["step"] = torch.zeros(())
                self.state[p]["exp_avg"] = torch.zeros_like(p)
                self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
        states = [self.state[p] for p in params]
        adamw(
            params,  # type: ignore[arg-type]  # parameters are tensors
            [p.grad for p in params if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"] * group["factor"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def build_optimizer(
    model: nn.Module,
    recipe: OptimizerRecipe,
    is_inner: Callable[[str], bool],
    matrix_dtype: torch.dtype = torch.float32,
) -> MuonWithAdamW:
    """The optimizer of a recipe for a model.

    Args:
        is_inner: whether the parameter of a name lies inside the model, not in its first or last layers. With
            "muon", inner matrices and kernels go to Muon. Weight decay falls on all that is no vector.
        matrix_dtype: of Muon's Newton-Schulz steps; see `MuonWithAdamW`.
    """
    muon: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.numel() == max(parameter.shape, default=1):  # one value a channel, in whatever shape
            vectors.append(parameter)
        elif recipe.name == "muon" and is_inner(name):
            muon.append(parameter)
        else:
            decayed.append(parameter)
    adam = {"rule": "adamw", "lr": recipe.lr, "betas": recipe.betas, "eps": recipe.eps}
    groups: list[dict[str, Any]] = [
        {**adam, "params": decayed, "weight_decay": recipe.weight_decay},
        {**adam, "params": vectors, "weight_decay": 0.0},
    ]
    if muon:
        rule = {"rule": "muon", "lr": recipe.muon_lr, "momentum": recipe.momentum}
        groups.append({**rule, "params": muon, "weight_decay": recipe.weight_decay})
    return MuonWithAdamW((group for group in groups if group["params"]), matrix_dtype)


def _same_shape(params: list[nn.Parameter]) -> dict[tuple[int, int], list[int]]:
    """Indices of the parameters by the shape of their wide matrix."""
    members: dict[tuple[int, int], list[int]] = {}
    for i, p in enumerate(params):
        sides = p.shape[0], p[0].numel()
        members.setdefault((min(sides), max(sides)), []).append(i)
    return members


def _as_matrix(tensor: Tensor) -> Tensor:
    """(out, in, ...) as (out, rest), transposed if that is what makes it wide."""
    matrix = tensor.reshape(tensor.shape[0], -1)
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _add_matrix(parameter: nn.Parameter, update_MN: Tensor, factor: float) -> None:
    """Add factor times a wide matrix to the parameter that it was made of."""
    rows = parameter.shape[0]
    update = update_MN if rows == update_MN.shape[0] else update_MN.mT
    parameter.add_(update.reshape(parameter.shape), alpha=factor)
