"""What others do to a model, or with it, leaves what a method adds in its place and working."""

import copy
import threading

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model.utils import convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn
from toy import BACKBONES, METHODS, TWO_A_STAGE, build, image

INSERTED = ('ssf', 'lora', 'adapter', 'adaptformer', 'convpass', 'lorand', 'mona')
WITH_DROPOUT = ('adaptformer', 'convpass', 'mona')
NOTHING: dict = {}
BUILT: dict[str, nn.Module] = {}
KINDS = ('swin', 'vit', 'resnet')
every_method = pytest.mark.parametrize('method', METHODS)
every_kind = pytest.mark.parametrize('name', KINDS)


def tuned_model(name: str, method: str, tuning: dict = NOTHING, **changes) -> nn.Module:
    """A model whose method does something, with the same values each time: a copy, which costs less than building."""
    key = repr((name, method, tuning, changes))
    if key not in BUILT:
        torch.manual_seed(0)
        if method in WITH_DROPOUT:
            tuning = dict(tuning, dropout=0.0)
        cfg = ConfigDict(copy.deepcopy(BACKBONES[name]), **changes)
        tuned = MODELS.build(dict(type='TunedBackbone', backbone=cfg, tuning=dict(METHODS[method], **tuning)))
        with torch.no_grad():
            for p in tuned.method.parameters():
                p.add_(torch.randn_like(p) * 0.1)
        BUILT[key] = tuned
    torch.manual_seed(0)
    return copy.deepcopy(BUILT[key])


def same(a, b) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b))


@every_kind
@every_method
def test_four_threads_give_what_one_gives(name, method):
    tuned = tuned_model(name, method).eval()
    images = [image(64, 64) * (1 + i) for i in range(2)] + [image(96, 64), image(64, 96)]
    with torch.no_grad():
        wanted = [tuned(x) for x in images]
    found: dict[int, list] = {i: [] for i in range(4)}
    start = threading.Barrier(4)

    def run(i: int) -> None:
        start.wait()
        with torch.no_grad():
            for _ in range(3):
                try:
                    found[i].append(same(tuned(images[i]), wanted[i]))
                except Exception as error:
                    found[i].append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: [True] * 3 for i in range(4)}
    with torch.no_grad():
        assert same(tuned(images[0]), wanted[0])


@every_kind
@every_method
def test_train_of_single_modules_leaves_what_is_frozen_in_eval_mode(name, method):
    tuned = tuned_model(name, method, norm_eval=True) if name == 'resnet' else tuned_model(name, method)
    tuned.train()
    wanted = {key: module.training for key, module in tuned.named_modules()}
    before = {key: value.clone() for key, value in tuned.backbone.named_buffers()}
    for module in tuned.modules():
        module.train()
    assert {key: module.training for key, module in tuned.named_modules()} == wanted
    tuned.backbone.train()
    assert {key: module.training for key, module in tuned.named_modules()} == wanted
    for module in tuned.backbone.modules():
        module.training = True  # by nobody's train()
    tuned(image())
    frozen = {key for key, trains in wanted.items() if not trains}
    assert not any(module.training for key, module in tuned.named_modules() if key in frozen)
    assert all(torch.equal(value, before[key]) for key, value in tuned.backbone.named_buffers())
    assert not any(module.training for module in copy.deepcopy(tuned).eval().modules())


@every_method
@pytest.mark.parametrize('norm', ['SyncBN', 'BN'])
def test_conversion_of_batch_norms_keeps_what_was_inserted(method, norm):
    tuned = tuned_model('resnet', method, norm_cfg=dict(type=norm, requires_grad=True))
    reference = tuned_model('resnet', method, norm_cfg=dict(type='BN', requires_grad=True))
    reference.load_state_dict(tuned.state_dict())
    if norm == 'BN':
        tuned = convert_sync_batchnorm(tuned)
        assert any(isinstance(module, nn.SyncBatchNorm) for module in tuned.backbone.modules())
    tuned = revert_sync_batchnorm(tuned)
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in tuned.backbone.modules())
    twin = copy.deepcopy(tuned)
    for model in (tuned, twin, tuned):  # once more: hooks must not be there twice
        assert same(model.eval()(image()), reference.eval()(image()))
    if method not in ('full', 'partial'):
        assert same(tuned.train().backbone(image()), twin.backbone(image())), 'new modules are in eval mode too'


@pytest.mark.parametrize('method', INSERTED)
@every_kind
def test_recomputed_blocks_of_two_passes_give_the_same_gradients(name, method):
    found = []
    for with_cp in (False, True):
        tuned = tuned_model(name, method, with_cp=with_cp)
        tuned.train()
        loss = sum(f.square().mean() for size in ((64, 96), (96, 64)) for f in tuned(image(*size)))
        loss.backward()
        found.append([loss, *(p.grad for p in tuned.method.parameters())])
    assert sum(g.abs().max() > 1e-8 for g in found[0]) > 4
    for plain, recomputed in zip(*found):
        torch.testing.assert_close(recomputed, plain, rtol=1e-4, atol=1e-7)


@every_kind
@every_method
def test_outputs_under_autocast_are_of_the_type_of_the_plain_backbone(name, method):
    tuned = tuned_model(name, method).eval()
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        wanted = [f.dtype for f in build(name).to(torch.float32)(image())]
        assert [f.dtype for f in tuned(image())] == wanted


@pytest.mark.parametrize('method', ['lora', 'adapter', 'mona', 'est', 'e3va'])
def test_a_model_that_has_lost_a_place_says_so(method):
    tuned = tuned_model('swin', method, **TWO_A_STAGE).eval()
    del tuned.backbone.stages[1].blocks[1]
    with pytest.raises(RuntimeError, match=r'places in SwinTransformer did not run .* first "stages.1.blocks.1'):
        tuned(image())


def test_a_part_of_a_block_by_itself_says_what_it_needs():
    tuned = tuned_model('swin', 'mona').eval()
    with pytest.raises(RuntimeError, match='Mona acts inside the blocks .* run the whole block or the backbone'):
        tuned.backbone.stages[0].blocks[0].norm1(torch.rand(1, 4, 16))
    assert same(tuned.backbone(image()), tuned(image())), 'the backbone by itself works'
