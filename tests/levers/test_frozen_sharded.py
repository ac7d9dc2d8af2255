"""A frozen backbone in parts, one in each gloo process."""

import json

import pytest
import torch
import torch.distributed as dist
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS, MODELS
from processes import run_in_processes
from toy import BACKBONES, METHODS, build, image, runner_cfg

from mmest.anatomy.lists import find_block_names
from mmest.backbones.sharded import own_part
from mmest.checkpoints.digests import digest, digests
from mmest.configs import open_config
from mmest.engine.launch import build_runner
from mmest.engine.processes import bare
from mmest.engine.training_guard import InvalidTraining
from mmest.levers import named, put_on
from mmest.levers.frozen_sharded import FrozenSharded


@METRICS.register_module(force=True)
class MeanScore(BaseMetric):
    """Of all scores: something that depends on weights."""

    def process(self, data_batch, data_samples):
        self.results.extend(float(s.mean()) for s in data_samples)

    def compute_metrics(self, results):
        return dict(score=sum(results) / len(results))


class Look(Hook):
    """Bytes of the backbone that a process keeps while it trains, losses, and what the first process sees when it runs
    the model alone in a validation.
    """

    def __init__(self):
        self.losses, self.alone = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        backbone = bare(runner).backbone.backbone
        self.bytes = sum(own_part(p.data).nbytes for p in backbone.parameters())
        self.losses.append(float(outputs['loss']))

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if dist.get_rank() == 0:
            self.alone.append(digest(bare(runner)(image())))


def lengthen(cfg):
    cfg.val_cfg, cfg.val_evaluator = dict(), dict(type='MeanScore')
    cfg.val_dataloader = dict(cfg.train_dataloader, sampler=dict(type='DefaultSampler', shuffle=False))
    cfg.train_cfg.val_interval = 1


def train(rank, method, frozen_dtype, checkpoint, folder):
    for memory in ([], ['frozen_sharded']):
        name = '-'.join(['with', *memory])
        cfg = runner_cfg('swin', METHODS[method], checkpoint, folder / name, memory=memory)
        cfg.model.backbone.frozen_dtype = frozen_dtype
        lengthen(cfg)
        runner, look = build_runner(cfg, 'pytorch'), Look()
        runner.register_hook(look, 'VERY_LOW')
        runner.train()
        model = bare(runner)
        found = dict(vars(look), weights=digests((n, p) for n, p in model.named_parameters() if p.requires_grad))
        if rank == 0:  # after the training a process may be alone
            model.eval()
            found['end'] = digest(model(image()))
        (folder / f'{name}-{rank}.json').write_text(json.dumps(found))


@pytest.mark.parametrize('processes, method, frozen_dtype', [(2, 'frozen', None), (3, 'est', 'bf16')])
def test_training_is_the_same_and_a_process_keeps_a_part(processes, method, frozen_dtype, weights, tmp_path):
    run_in_processes(train, processes, tmp_path, method, frozen_dtype, weights['swin'], tmp_path)
    tuned = dict(type='TunedBackbone', backbone=BACKBONES['swin'], tuning=METHODS[method], frozen_dtype=frozen_dtype)
    backbone = MODELS.build(tuned).backbone
    blocks = sum(p.nbytes for name in find_block_names(backbone) for p in backbone.get_submodule(name).parameters())
    for rank in range(processes):
        plain, sharded = (
            json.loads((tmp_path / f'{name}-{rank}.json').read_text()) for name in ('with', 'with-frozen_sharded')
        )
        saved = plain.pop('bytes') - sharded.pop('bytes')
        assert saved == pytest.approx(blocks * (1 - 1 / processes), rel=0.1)
        assert plain == sharded and len(plain['losses']) == 2 * -(-3 // processes) and plain['weights']
    plain, sharded = (torch.load(tmp_path / name / 'epoch_2.pth') for name in ('with', 'with-frozen_sharded'))
    assert digests(plain['state_dict'].items()) == digests(sharded['state_dict'].items()), 'the deltas are alike'
    assert not any('blocks' in key and key.startswith('backbone.backbone.') for key in sharded['state_dict'])


class Meddle(Hook):
    """Writes to what the last process keeps of one frozen tensor."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if dist.get_rank() == 1:
            own_part(bare(runner).backbone.backbone.stages[0].blocks[0].norm1.weight.data).add_(1)


def train_and_meddle(rank, checkpoint, folder):
    cfg = runner_cfg('swin', METHODS['est'], checkpoint, folder / 'work', epochs=1, memory=['frozen_sharded'])
    runner = build_runner(cfg, 'pytorch')
    runner.register_hook(Meddle())
    with pytest.raises(InvalidTraining if rank else RuntimeError) as said:
        runner.train()
    if rank:
        assert '1 frozen tensors of backbone.backbone have changed during training' in str(said.value)
        assert 'first stages.0.blocks.0.norm1.weight' in str(said.value)


def test_a_process_proves_its_part(weights, tmp_path):
    run_in_processes(train_and_meddle, 2, tmp_path, weights['swin'], tmp_path)


def shard_what_no_file_gives(rank, folder):
    dist.init_process_group('gloo')
    model = torch.nn.Sequential(build('swin', METHODS['est']))
    (folder / f'{rank}.txt').write_text(put_on(model, ['frozen_sharded'])[0])


def test_what_no_file_gives_back_stays_whole(tmp_path):
    """The first process alone writes checkpoints, and has to have all that is in them."""
    run_in_processes(shard_what_no_file_gives, 2, tmp_path, tmp_path)
    said = {(tmp_path / f'{rank}.txt').read_text() for rank in (0, 1)}
    assert len(said) == 1 and said.pop().startswith('frozen_sharded: 0 stays whole in every process')


def test_one_process_keeps_all_and_says_so():
    said = put_on(torch.nn.Sequential(build('swin', METHODS['est'])), ['frozen_sharded'])
    assert said == ['frozen_sharded: this is one process, which keeps all. torchrun starts several.']


@pytest.mark.parametrize(
    'method, changes, reason',
    [
        ('full', {}, 'Full trains inside the backbone'),
        ('steered_est', {}, 'SteeredEST trains inside the backbone'),
        ('e3va', {}, 'E3VA runs layers of the frozen backbone again'),
        ('est', {'model.backbone.compile': True}, 'its backbone is compiled'),
        ('est', {'model.backbone.frozen_dtype': 'int8'}, 'its frozen weights are in 8 bits'),
        ('est', {'memory': ['frozen_sharded', 'frozen_int8']}, 'its frozen weights are in 8 bits'),
        ('est', {'feature_cache': dict(folder='here')}, 'with a feature cache the processes run the backbone at times'),
        ('est', {'custom_hooks': [dict(type='ESTHook'), dict(type='EMAHook')]}, 'EMAHook averages weights that are'),
        ('est', {'custom_hooks': [dict(type='mmdet.MeanTeacherHook')]}, 'mmdet.MeanTeacherHook averages weights'),
    ],
)
def test_what_does_not_go_with_it_gets_a_sentence(method, changes, reason):
    cfg = open_config('mmest::demo/fpn_swin_est', tuning=method)
    cfg.merge_from_dict({'memory': ['frozen_sharded'], **changes})
    with pytest.raises(ValueError, match=f'frozen_sharded does not suit this training: {reason}'):
        named(cfg)


def test_an_older_torch_is_named(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.6.0+cu124')
    said = FrozenSharded().unsuited(open_config('mmest::demo/fpn_swin_est'))
    assert said == 'it needs torch 2.7 or later, and this is 2.6.0+cu124'
