"""A longer position table for the text tower of CLIP (paper, section 3.1.4: MetaCLIP from 77 to 256 tokens).

Legend: L old length, M new length, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Most captions that CLIP saw are short, so only its first rows are well trained (arXiv 2403.15378).
KEPT_ROWS = 20


def lengthened(table_LD: Tensor, length: int) -> Tensor:
    """(M, D) table whose first 20 rows stay as they are, and whose other rows are stretched over the rest.

    Linear interpolation, whose last row is the old last row. The paper finetunes MetaCLIP on long captions
    with the longer table, and does not say how the table is made. Until somebody has finetuned it, tokens
    beyond the first 20 are read by positions between those that were trained.

    Raises:
        ValueError: the table would become shorter, or has no rows beyond those that stay.
    """
    old = len(table_LD)
    if length == old:
        return table_LD
    if old < KEPT_ROWS + 2 or length < old:
        raise ValueError(f"a table of {old} positions cannot be lengthened to {length}")
    tail = old - KEPT_ROWS
    places_M = torch.linspace(0, tail - 1, length - KEPT_ROWS, dtype=torch.float64)
    below_M = places_M.floor().clamp(max=tail - 2)
    share_M1 = (places_M - below_M)[:, None].to(table_LD)
    rows_LD, below_M = table_LD[KEPT_ROWS:], below_M.long().to(table_LD.device)
    return torch.cat([table_LD[:KEPT_ROWS], torch.lerp(rows_LD[below_M], rows_LD[below_M + 1], share_M1)])
