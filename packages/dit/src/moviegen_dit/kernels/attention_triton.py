# mypy: ignore-errors
# The bodies below are in Triton's language, which has no types.
"""Attention as Triton kernels, forward and backward (FlashAttention-2, arXiv 2307.08691, no atomics).

No kernel holds more of the score matrix than one tile. Each output element is written by one program in one
order, so results are the same in every run with the same tiles. Offsets between rows, heads and samples are
64 bits wide.

The gradient of a score s_ij = scale * q_i . k_j, with p the softmax, D_i = dO_i . O_i and g the gradient of
the logsumexp, is p_ij (dO_i . v_j - D_i + g_i): the logsumexp costs the backward one subtraction a row.

Legend: S queries, L keys, K channels of a head, `left` rows or keys that remain from here on.
"""

from __future__ import annotations

from moviegen_dit.kernels.triton_or_not import entry, jit, tl


@jit
def _place(starts, extent, samples, heads, BLOCK: tl.constexpr, SAMPLES: tl.constexpr):
    """Sample, head, and first row within the sample, of this program; neighbours share a head and its keys.

    A packed sample has the tiles from `starts // BLOCK + sample` on, up to those of the next. They are enough
    for its rows, and the last may be one too many.
    """
    program = tl.program_id(0)
    if starts is None:
        tiles = tl.cdiv(extent, BLOCK)
        sample = program // tiles // heads
        tile = program % tiles
    else:
        tiles = extent // BLOCK + samples
        number = tl.arange(0, SAMPLES)
        begin = tl.load(starts + number, mask=number < samples, other=extent)
        tile = program % tiles
        sample = tl.sum((begin // BLOCK + number <= tile).to(tl.int32), 0) - 1
        tile -= tl.load(starts + sample) // BLOCK + sample
    head = program // tiles % heads
    return sample.to(tl.int64), head.to(tl.int64), tile.to(tl.int64) * BLOCK


@jit
def _span(starts, sample, extent):
    """Where a sample lies: its index along the batch, its first row there, and how many rows it has."""
    if starts is None:
        batch = sample
        first = tl.full((), 0, tl.int64)
        rows = extent
    else:
        batch = tl.full((), 0, tl.int64)
        first = tl.load(starts + sample).to(tl.int64)
        rows = tl.load(starts + sample + 1) - tl.load(starts + sample)
    return batch, first, rows


@jit
def _at(base, batch, row, head, batch_stride, row_stride, head_stride):
    return base + batch * batch_stride + row * row_stride + head * head_stride


@jit
def _length(key_lengths, sample, keys):
    """Keys that count: inside the tensor whatever the length says, for nobody has looked at it."""
    if key_lengths is None:
        return keys
    return tl.minimum(tl.maximum(tl.load(key_lengths + sample), 0), keys).to(tl.int32)


@jit
def _offsets(row_stride, channel_stride, ROWS: tl.constexpr, PADDED: tl.constexpr, WIDE: tl.constexpr):
    """Within a tile: 32 bits, which saves registers, unless strides are so large that a tile needs 64."""
    rows = tl.arange(0, ROWS)[:, None]
    channels = tl.arange(0, PADDED)[None, :]
    if WIDE:
        rows = rows.to(tl.int64)
        channels = channels.to(tl.int64)
    return rows * row_stride + channels * channel_stride


@jit
def _inside(left, ROWS: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr):
    inside = tl.arange(0, ROWS)[:, None] < left
    if HEAD < PADDED:
        inside = inside & (tl.arange(0, PADDED)[None, :] < HEAD)
    return inside


@jit
def _load(tile, left, ROWS: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr, BOUNDED: tl.constexpr):
    """Rows of a tile, 0 outside. Not BOUNDED: all of its rows are known to be there."""
    if BOUNDED or HEAD < PADDED:
        return tl.load(tile, mask=_inside(left if BOUNDED else ROWS, ROWS, HEAD, PADDED), other=0.0)
    return tl.load(tile)


@jit
def _dot(a, b, UPCAST: tl.constexpr):
    """Product in float32. UPCAST, for the interpreter, which takes the bits of bfloat16 for integers."""
    if UPCAST:
        return tl.dot(a.to(tl.float32), b.to(tl.float32), input_precision="ieee")
    return tl.dot(a, b, input_precision="ieee")


@jit
def _add_dot(a, b, to, UPCAST: tl.constexpr):
    if UPCAST:
        return tl.dot(a.to(tl.float32), b.to(tl.float32), to, input_precision="ieee")
    return tl.dot(a, b, to, input_precision="ieee")


@jit
def _absorb(
    q_SK, k, v, total_S, largest_S, sum_SK, scale2, left,
    BLOCK_L: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr, BOUNDED: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """Take in one tile of keys; logits are in units of log 2, which exp2 needs."""
    k_LK = _load(k, left, BLOCK_L, HEAD, PADDED, BOUNDED)
    scores_SL = _dot(q_SK, tl.trans(k_LK), UPCAST)
    if BOUNDED:
        scores_SL = tl.where(tl.arange(0, BLOCK_L)[None, :] < left, scores_SL, float("-inf"))
    raised_S = tl.maximum(largest_S, tl.max(scores_SL, 1) * scale2)
    weights_SL = tl.exp2(scores_SL * scale2 - raised_S[:, None])
    shrink_S = tl.exp2(largest_S - raised_S)
    total_S = total_S * shrink_S + tl.sum(weights_SL, 1)
    v_LK = _load(v, left, BLOCK_L, HEAD, PADDED, BOUNDED)
    sum_SK = _add_dot(weights_SL.to(v_LK.dtype), v_LK, sum_SK * shrink_S[:, None], UPCAST)
    return total_S, raised_S, sum_SK


@entry
def forward(
    q, k, v, key_lengths, query_starts, key_starts, out, logsumexp,
    q_b, q_s, q_n, q_k, k_b, k_s, k_n, k_k, v_b, v_s, v_n, v_k,
    out_b, out_s, out_n, out_k, lse_b, lse_s, lse_n,
    queries, keys, samples, heads, scale,
    BLOCK_S: tl.constexpr, BLOCK_L: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr,
    SAMPLES: tl.constexpr, WIDE: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """One tile of queries against all keys."""
    sample, head, start = _place(query_starts, queries, samples, heads, BLOCK_S, SAMPLES)
    q_batch, q_first, q_rows = _span(query_starts, sample, queries)
    k_batch, k_first, k_rows = _span(key_starts, sample, keys)
    left = (q_rows - start).to(tl.int32)
    length = _length(key_lengths, sample, k_rows)
    if query_starts is not None:
        length = tl.where(left > 0, length, 0)  # a tile too many has nothing to do
    scale2 = scale * 1.4426950408889634

    row = q_first + start
    q = _at(q, q_batch, row, head, q_b, q_s, q_n)
    k = _at(k, k_batch, k_first, head, k_b, k_s, k_n)
    v = _at(v, k_batch, k_first, head, v_b, v_s, v_n)
    k_tile = _offsets(k_s, k_k, BLOCK_L, PADDED, WIDE)
    v_tile = _offsets(v_s, v_k, BLOCK_L, PADDED, WIDE)
    k_step = tl.full((), BLOCK_L, tl.int64) * k_s
    v_step = tl.full((), BLOCK_L, tl.int64) * v_s

    q_SK = _load(q + _offsets(q_s, q_k, BLOCK_S, PADDED, WIDE), left, BLOCK_S, HEAD, PADDED, True)
    largest_S = tl.full((BLOCK_S,), float("-inf"), tl.float32)
    total_S = tl.zeros((BLOCK_S,), tl.float32)
    sum_SK = tl.zeros((BLOCK_S, PADDED), tl.float32)
    whole = length // BLOCK_L * BLOCK_L
    for _ in range(0, whole, BLOCK_L):
        total_S, largest_S, sum_SK = _absorb(
            q_SK, k + k_tile, v + v_tile, total_S, largest_S, sum_SK, scale2, 0,
            BLOCK_L, HEAD, PADDED, False, UPCAST,
        )  # fmt: skip
        k += k_step
        v += v_step
    if whole < length:
        total_S, largest_S, sum_SK = _absorb(
            q_SK, k + k_tile, v + v_tile, total_S, largest_S, sum_SK, scale2, length - whole,
            BLOCK_L, HEAD, PADDED, True, UPCAST,
        )  # fmt: skip

    # Without keys the total is 0 and the largest -inf, which makes the result 0 and -inf.
    total_S = tl.where(total_S == 0.0, 1.0, total_S)
    out_SK = sum_SK / total_S[:, None]
    logsumexp_S = 0.6931471805599453 * (largest_S + tl.log2(total_S))
    out = _at(out, q_batch, row, head, out_b, out_s, out_n) + _offsets(out_s, out_k, BLOCK_S, PADDED, WIDE)
    tl.store(out, out_SK.to(out.dtype.element_ty), mask=_inside(left, BLOCK_S, HEAD, PADDED))
    logsumexp = _at(logsumexp, q_batch, row + tl.arange(0, BLOCK_S), head, lse_b, lse_s, lse_n)
    tl.store(logsumexp, logsumexp_S, mask=tl.arange(0, BLOCK_S) < left)


@jit
def _query_gradient(
    q_SK, grad_SK, k, v, lse2_S, delta_S, sum_SK, scale2, left,
    BLOCK_L: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr, BOUNDED: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """Take in what one tile of keys gives to the gradient of the queries, less the scale."""
    k_LK = _load(k, left, BLOCK_L, HEAD, PADDED, BOUNDED)
    v_LK = _load(v, left, BLOCK_L, HEAD, PADDED, BOUNDED)
    scores_SL = _dot(q_SK, tl.trans(k_LK), UPCAST)
    weights_SL = tl.exp2(scores_SL * scale2 - lse2_S[:, None])
    if BOUNDED:
        weights_SL = tl.where(tl.arange(0, BLOCK_L)[None, :] < left, weights_SL, 0.0)
    back_SL = _dot(grad_SK, tl.trans(v_LK), UPCAST)
    slope_SL = weights_SL * (back_SL - delta_S[:, None])
    return _add_dot(slope_SL.to(k_LK.dtype), k_LK, sum_SK, UPCAST)


@entry
def backward_queries(
    q, k, v, key_lengths, query_starts, key_starts, out, logsumexp, out_grad, logsumexp_grad, q_grad, delta,
    q_b, q_s, q_n, q_k, k_b, k_s, k_n, k_k, v_b, v_s, v_n, v_k,
    out_b, out_s, out_n, out_k, lse_b, lse_s, lse_n,
    og_b, og_s, og_n, og_k, lg_b, lg_s, lg_n, qg_b, qg_s, qg_n, qg_k,
    queries, keys, samples, heads, scale,
    BLOCK_S: tl.constexpr, BLOCK_L: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr,
    SAMPLES: tl.constexpr, WIDE: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Gradient of one tile of queries; `delta` (as logsumexp, D less g) is left for `backward_keys`."""
    sample, head, start = _place(query_starts, queries, samples, heads, BLOCK_S, SAMPLES)
    q_batch, q_first, q_rows = _span(query_starts, sample, queries)
    k_batch, k_first, k_rows = _span(key_starts, sample, keys)
    left = (q_rows - start).to(tl.int32)
    length = _length(key_lengths, sample, k_rows)
    if query_starts is not None:
        length = tl.where(left > 0, length, 0)  # a tile too many has nothing to do
    scale2 = scale * 1.4426950408889634

    k = _at(k, k_batch, k_first, head, k_b, k_s, k_n)
    v = _at(v, k_batch, k_first, head, v_b, v_s, v_n)
    k_tile = _offsets(k_s, k_k, BLOCK_L, PADDED, WIDE)
    v_tile = _offsets(v_s, v_k, BLOCK_L, PADDED, WIDE)
    k_step = tl.full((), BLOCK_L, tl.int64) * k_s
    v_step = tl.full((), BLOCK_L, tl.int64) * v_s

    row = q_first + start
    out = _at(out, q_batch, row, head, out_b, out_s, out_n) + _offsets(out_s, out_k, BLOCK_S, PADDED, WIDE)
    out_SK = _load(out, left, BLOCK_S, HEAD, PADDED, True)
    out_grad = _at(out_grad, q_batch, row, head, og_b, og_s, og_n)
    grad_SK = _load(out_grad + _offsets(og_s, og_k, BLOCK_S, PADDED, WIDE), left, BLOCK_S, HEAD, PADDED, True)
    rows = row + tl.arange(0, BLOCK_S)
    there = tl.arange(0, BLOCK_S) < left
    delta_S = tl.sum(out_SK.to(tl.float32) * grad_SK.to(tl.float32), 1)
    logsumexp_grad = _at(logsumexp_grad, q_batch, rows, head, lg_b, lg_s, lg_n)
    delta_S -= tl.load(logsumexp_grad, mask=there, other=0.0)
    tl.store(_at(delta, q_batch, rows, head, lse_b, lse_s, lse_n), delta_S, mask=there)
    logsumexp = _at(logsumexp, q_batch, rows, head, lse_b, lse_s, lse_n)
    lse_S = tl.load(logsumexp, mask=there, other=float("inf"))
    lse2_S = lse_S * 1.4426950408889634

    q = _at(q, q_batch, row, head, q_b, q_s, q_n) + _offsets(q_s, q_k, BLOCK_S, PADDED, WIDE)
    q_SK = _load(q, left, BLOCK_S, HEAD, PADDED, True)
    sum_SK = tl.zeros((BLOCK_S, PADDED), tl.float32)
    whole = length // BLOCK_L * BLOCK_L
    for _ in range(0, whole, BLOCK_L):
        sum_SK = _query_gradient(
            q_SK, grad_SK, k + k_tile, v + v_tile, lse2_S, delta_S, sum_SK, scale2, 0,
            BLOCK_L, HEAD, PADDED, False, UPCAST,
        )  # fmt: skip
        k += k_step
        v += v_step
    if whole < length:
        sum_SK = _query_gradient(
            q_SK, grad_SK, k + k_tile, v + v_tile, lse2_S, delta_S, sum_SK, scale2, length - whole,
            BLOCK_L, HEAD, PADDED, True, UPCAST,
        )  # fmt: skip
    q_grad = _at(q_grad, q_batch, row, head, qg_b, qg_s, qg_n) + _offsets(qg_s, qg_k, BLOCK_S, PADDED, WIDE)
    q_grad_SK = (sum_SK * scale).to(q_grad.dtype.element_ty)
    tl.store(q_grad, q_grad_SK, mask=_inside(left, BLOCK_S, HEAD, PADDED))


@jit
def _key_gradient(
    k_LK, v_LK, q, out_grad, logsumexp, delta, k_sum_LK, v_sum_LK, scale2, left,
    BLOCK_S: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr, BOUNDED: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """Take in what one tile of queries gives to the gradients of keys and values."""
    q_SK = _load(q, left, BLOCK_S, HEAD, PADDED, BOUNDED)
    grad_SK = _load(out_grad, left, BLOCK_S, HEAD, PADDED, BOUNDED)
    if BOUNDED:  # an infinite logsumexp makes every weight of a row 0
        there = tl.arange(0, BLOCK_S) < left
        lse_S = tl.load(logsumexp, mask=there, other=float("inf"))
        delta_S = tl.load(delta, mask=there, other=0.0)
    else:
        lse_S = tl.load(logsumexp)
        delta_S = tl.load(delta)
    scores_LS = _dot(k_LK, tl.trans(q_SK), UPCAST)
    weights_LS = tl.exp2(scores_LS * scale2 - (lse_S * 1.4426950408889634)[None, :])
    v_sum_LK = _add_dot(weights_LS.to(grad_SK.dtype), grad_SK, v_sum_LK, UPCAST)
    back_LS = _dot(v_LK, tl.trans(grad_SK), UPCAST)
    slope_LS = weights_LS * (back_LS - delta_S[None, :])
    k_sum_LK = _add_dot(slope_LS.to(q_SK.dtype), q_SK, k_sum_LK, UPCAST)
    return k_sum_LK, v_sum_LK


@entry
def backward_keys(
    q, k, v, key_lengths, query_starts, key_starts, logsumexp, delta, out_grad, k_grad, v_grad,
    q_b, q_s, q_n, q_k, k_b, k_s, k_n, k_k, v_b, v_s, v_n, v_k, lse_b, lse_s, lse_n,
    og_b, og_s, og_n, og_k, kg_b, kg_s, kg_n, kg_k, vg_b, vg_s, vg_n, vg_k,
    queries, keys, samples, heads, scale,
    BLOCK_L: tl.constexpr, BLOCK_S: tl.constexpr, HEAD: tl.constexpr, PADDED: tl.constexpr,
    SAMPLES: tl.constexpr, WIDE: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Gradients of one tile of keys and values; 0 for those beyond the length."""
    sample, head, start = _place(key_starts, keys, samples, heads, BLOCK_L, SAMPLES)
    q_batch, q_first, q_rows = _span(query_starts, sample, queries)
    k_batch, k_first, k_rows = _span(key_starts, sample, keys)
    left = (k_rows - start).to(tl.int32)
    counted = (_length(key_lengths, sample, k_rows) - start).to(tl.int32)
    scale2 = scale * 1.4426950408889634

    row = k_first + start
    k = _at(k, k_batch, row, head, k_b, k_s, k_n) + _offsets(k_s, k_k, BLOCK_L, PADDED, WIDE)
    v = _at(v, k_batch, row, head, v_b, v_s, v_n) + _offsets(v_s, v_k, BLOCK_L, PADDED, WIDE)
    k_LK = _load(k, counted, BLOCK_L, HEAD, PADDED, True)
    v_LK = _load(v, counted, BLOCK_L, HEAD, PADDED, True)
    q = _at(q, q_batch, q_first, head, q_b, q_s, q_n)
    out_grad = _at(out_grad, q_batch, q_first, head, og_b, og_s, og_n)
    logsumexp = _at(logsumexp, q_batch, q_first, head, lse_b, lse_s, lse_n)
    delta = _at(delta, q_batch, q_first, head, lse_b, lse_s, lse_n)
    q_tile = _offsets(q_s, q_k, BLOCK_S, PADDED, WIDE)
    grad_tile = _offsets(og_s, og_k, BLOCK_S, PADDED, WIDE)
    row_tile = tl.arange(0, BLOCK_S).to(tl.int64) * lse_s
    q_step = tl.full((), BLOCK_S, tl.int64) * q_s
    grad_step = tl.full((), BLOCK_S, tl.int64) * og_s
    lse_step = tl.full((), BLOCK_S, tl.int64) * lse_s

    k_sum_LK = tl.zeros((BLOCK_L, PADDED), tl.float32)
    v_sum_LK = tl.zeros((BLOCK_L, PADDED), tl.float32)
    reached = tl.where(counted > 0, q_rows, 0)  # no query reaches a tile that is all padding
    whole = reached // BLOCK_S * BLOCK_S
    for _ in range(0, whole, BLOCK_S):
        k_sum_LK, v_sum_LK = _key_gradient(
            k_LK, v_LK, q + q_tile, out_grad + grad_tile, logsumexp + row_tile, delta + row_tile,
            k_sum_LK, v_sum_LK, scale2, 0,
            BLOCK_S, HEAD, PADDED, False, UPCAST,
        )  # fmt: skip
        q += q_step
        out_grad += grad_step
        logsumexp += lse_step
        delta += lse_step
    if whole < reached:
        k_sum_LK, v_sum_LK = _key_gradient(
            k_LK, v_LK, q + q_tile, out_grad + grad_tile, logsumexp + row_tile, delta + row_tile,
            k_sum_LK, v_sum_LK, scale2, reached - whole,
            BLOCK_S, HEAD, PADDED, True, UPCAST,
        )  # fmt: skip

    counts = tl.arange(0, BLOCK_L)[:, None] < counted
    inside = _inside(left, BLOCK_L, HEAD, PADDED)
    k_grad = _at(k_grad, k_batch, row, head, kg_b, kg_s, kg_n) + _offsets(kg_s, kg_k, BLOCK_L, PADDED, WIDE)
    v_grad = _at(v_grad, k_batch, row, head, vg_b, vg_s, vg_n) + _offsets(vg_s, vg_k, BLOCK_L, PADDED, WIDE)
    k_grad_LK = tl.where(counts, k_sum_LK * scale, 0.0)
    tl.store(k_grad, k_grad_LK.to(k_grad.dtype.element_ty), mask=inside)
    tl.store(v_grad, tl.where(counts, v_sum_LK, 0.0).to(v_grad.dtype.element_ty), mask=inside)
