"""How many parameters each method trains on Swin-B, in closed form."""

import pytest
from mmengine.registry import MODELS
from toy import METHODS

from mmest.tuning import build_tuning

SWIN_B = dict(
    type='mmdet.SwinTransformer', embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), window_size=7
)
WIDTHS = [128] * 2 + [256] * 2 + [512] * 18 + [1024] * 2  # of the 24 blocks
STAGES = [128, 256, 512, 1024]
THIN = [c // 8 for c in WIDTHS]
# One Swin block of width C: attention 4C² + 4C and a table, MLP 8C² + 5C, two norms 4C.
BLOCK = {c: 12 * c**2 + 13 * c + 13 * 13 * c // 32 for c in STAGES}


def lorand(c: int, branches: int, hidden: int) -> int:
    """Values of one adapter of products of rank 8."""
    return 2 * branches * (8 * c + 64 + 8 * hidden) + hidden + c


def est_block(c: int, d: int) -> int:
    """Values of an EST Block with its gate: D; the norm, two adapters of d/2 and d/4 channels and their mixture; the
    depthwise convolution; the gate.
    """
    hidden = d // 2 + d // 4
    return c * d + d + 2 * d + 2 * d * hidden + hidden + d + 2 + 49 * d + d + 2 * d**2 + d


SIDE = {128: 64, 256: 96, 512: 96, 1024: 96}  # EST's width beside each stage
# (method, closed form)
COUNTS = {
    # patch embedding and its norm; blocks; patch merging: norm 8C and 4C × 2C; output norms
    'Full': 48 * 128
    + 3 * 128
    + sum(BLOCK[c] for c in WIDTHS)
    + sum(8 * c + 8 * c**2 for c in STAGES[:3])
    + 2 * sum(STAGES),
    'Frozen': 0,
    'Partial': BLOCK[1024] + 2 * sum(STAGES),
    # attention 3C + C, MLP 4C + C, two norms; patch embedding and its norm; norms of patch merging; output norms
    'BitFit': sum(11 * c for c in WIDTHS) + 2 * 128 + 4 * sum(STAGES[:3]) + sum(STAGES),
    'NormTuning': 2 * (sum(2 * c for c in WIDTHS) + 128 + 4 * sum(STAGES[:3]) + sum(STAGES)),
    # the same places and the linear layers of patch merging, which have no bias
    'SSF': 2 * sum(11 * c for c in WIDTHS) + 4 * 128 + sum(8 * c + 2 * c for c in STAGES[:3]) + 2 * sum(STAGES),
    'LoRA': sum(16 * (c + 3 * c) for c in WIDTHS),
    'Adapter': sum(2 * (2 * 64 * c + 64 + c) for c in WIDTHS),
    'AdaptFormer': sum(2 * 64 * c + 64 + c for c in WIDTHS),
    'Convpass': sum(2 * (2 * 8 * c + 8 + c + 8 * 8 * 9 + 8) for c in WIDTHS),
    'LoRand': sum(2 * lorand(c, 4, c // 2) for c in WIDTHS),
    'Mona': sum(2 * (2 * 64 * c + 64 + c + 4 * c + 64 * (9 + 25 + 49) + 3 * 64 + 64 * 64 + 64) for c in WIDTHS),
    # five convolutions with their norms; a projection and α per output
    'SideTuning': 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128 + 128 * 128)
    + 2 * (16 + 32 + 64 + 2 * 128)
    + sum(c * w + c + 1 for c, w in zip(STAGES, (32, 64, 128, 128))),
    # rungs and gates, thin blocks, stage changes, outputs
    'LST': sum(c * d + d + 12 * d**2 + 13 * d for c, d in zip(WIDTHS, THIN))
    + 23
    + sum(c // 8 * (c // 4) + c // 4 for c in STAGES[:3])
    + sum(c // 8 * c + c for c in STAGES),
    'E3VA': sum(2 * lorand(c, 2, c // 2) for c in WIDTHS) + 2 * sum(STAGES),
    'DTL': sum(2 * 4 * c + c for c in WIDTHS) + 25 * sum(STAGES),
    # the first block has no gate; stage changes; outputs
    'EST': sum(est_block(c, SIDE[c]) for c in WIDTHS)
    - (2 * 64**2 + 64)
    + sum(SIDE[a] * SIDE[b] + SIDE[b] for a, b in zip(STAGES, STAGES[1:]))
    + sum(SIDE[c] * c + c for c in STAGES),
}
COUNTS['SteeredEST'] = COUNTS['EST'] + COUNTS['LoRA']


@pytest.mark.parametrize('method', COUNTS)
def test_parameter_counts_on_swin_b(method, empty_init):
    swin_b = MODELS.build(SWIN_B)
    built = build_tuning(dict(type=method), swin_b)
    trained = [*built.parameters(), *built.trained_parameters(swin_b)]
    assert sum(p.numel() for p in trained) == COUNTS[method]


def test_every_method_is_counted():
    assert set(COUNTS) == {tuning['type'] for tuning in METHODS.values()}


def test_published_sizes():
    assert COUNTS['E3VA'] == 1_207_296 and COUNTS['LoRand'] == 2_370_816 and COUNTS['Partial'] == 12_605_472
