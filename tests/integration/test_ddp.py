"""Gloo processes through mmengine's Runner, without find_unused_parameters."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import DATASETS, MODELS
from processes import run_in_processes
from torch import nn
from torch.utils.data import Dataset
from toy import METHODS, ToyModel, runner_cfg

from mmest.checkpoints.digests import changed, digests
from mmest.engine.launch import build_runner
from mmest.engine.processes import bare


class Record(Hook):
    """Digests of a step's images, of the gradients its optimizer meets, of the parameters before and after, and of the
    buffers after.
    """

    def before_train(self, runner):
        self.before = digests(runner.model.named_parameters())
        self.gradients, self.images = [], []
        runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self.gradients.append(
                digests((name, p.grad) for name, p in runner.model.named_parameters() if p.grad is not None)
            )
        )

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.images.append(digests([('images', data_batch['inputs'])]))

    def after_train(self, runner):
        self.after = digests(runner.model.named_parameters())
        self.buffers = digests(runner.model.named_buffers())
        self.trains = sorted(name for name, p in runner.model.named_parameters() if p.requires_grad)


def train_every_method(rank, checkpoint, folder):
    for method, tuning in METHODS.items():
        runner = build_runner(runner_cfg('swin', tuning, checkpoint, folder / method), 'pytorch')
        assert isinstance(runner.model, MMDistributedDataParallel) and not runner.model.find_unused_parameters
        record = Record()
        runner.register_hook(record)
        runner.train()
        torch.save(vars(record), folder / f'{method}{rank}.pth')


@pytest.fixture(scope='module')
def folder(weights, tmp_path_factory):
    """Both processes train every method, one after the other: starting them takes longer than the trainings."""
    folder = tmp_path_factory.mktemp('ddp')
    run_in_processes(train_every_method, 2, folder, weights['swin'], folder)
    return folder


@pytest.mark.parametrize('method', METHODS)
def test_two_processes_agree(method, folder):
    first, second = (torch.load(folder / f'{method}{rank}.pth') for rank in (0, 1))
    assert len(first['images']) == 4 and all(a != b for a, b in zip(first['images'], second['images']))
    assert first['gradients'] == second['gradients']
    assert all(sorted(step) == first['trains'] for step in first['gradients']), (
        'every trainable parameter has a gradient'
    )
    assert first['after'] == second['after']
    assert first['buffers'] == second['buffers'], 'validation and what is saved are of the same statistics'
    moved = changed(first['before'], first['after'])
    assert moved and set(moved) <= set(first['trains'])
    assert (folder / method / 'epoch_2.pth').is_file()


@MODELS.register_module(force=True)
class PlainToyModel(ToyModel):
    """Without what makes a loss of a batch another than the mean of its parts': BatchNorm and dropout."""

    def forward(self, inputs, target=None, mode='tensor'):
        maps = [F.interpolate(h(f), size=inputs.shape[-2:]) for h, f in zip(self.head, self.backbone(inputs))]
        return dict(loss=F.cross_entropy(sum(maps), target) + 0 * sum(p.sum() for p in self.norm.parameters()))


@DATASETS.register_module(force=True)
class PlainToyData(Dataset):
    """Twelve noise images that are the same in every process."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        x = torch.from_numpy(np.random.RandomState(index).rand(3, 64, 64).astype('float32'))
        return dict(inputs=x, target=(x[0] > 0.5).long())


class KeepGradients(Hook):
    """What the optimizer meets in each step."""

    def before_train(self, runner):
        self.steps, parameters = [], list(bare(runner).named_parameters())
        runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self.steps.append({name: p.grad.clone() for name, p in parameters if p.requires_grad})
        )


def train_plainly(rank, launcher, batch_size, checkpoint, folder):
    cfg = runner_cfg('swin', METHODS['est'], checkpoint, folder / 'work', epochs=1)
    cfg.model.type, cfg.train_dataloader.dataset.type = 'PlainToyModel', 'PlainToyData'
    cfg.train_dataloader.batch_size = batch_size
    cfg.optim_wrapper.optimizer = dict(type='SGD', lr=0.1, weight_decay=0.01)
    runner, keep = build_runner(cfg, launcher), KeepGradients()
    runner.register_hook(keep)
    runner.train()
    torch.save(keep.steps, folder / f'gradients{rank}.pth')


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_with_parts_of_a_batch_have_the_gradients_of_one_with_all(processes, weights, tmp_path):
    (tmp_path / 'one').mkdir()
    train_plainly(0, 'none', 4, weights['swin'], tmp_path / 'one')
    run_in_processes(
        train_plainly, processes, tmp_path / 'parts', 'pytorch', 4 // processes, weights['swin'], tmp_path / 'parts'
    )
    alone = torch.load(tmp_path / 'one/gradients0.pth')
    together = torch.load(tmp_path / f'parts/gradients{processes - 1}.pth')
    assert len(alone) == len(together) == 3
    for one, other in zip(alone, together):
        assert one.keys() == other.keys() and any(gradient.any() for gradient in one.values())
        for name in one:
            torch.testing.assert_close(other[name], one[name], rtol=1e-4, atol=1e-6)


def train_from_own_file(rank, checkpoints, folder):
    cfg = runner_cfg('swin', METHODS['est'], checkpoints[rank], folder / 'work', epochs=1)
    cfg.model_wrapper_cfg = dict(find_unused_parameters=True)
    cfg.randomness.diff_rank_seed = True
    runner = build_runner(cfg, 'pytorch')
    assert runner.model.find_unused_parameters, 'what the config says goes before what mmest would have'
    assert not runner.model.broadcast_buffers, 'nor is a buffer sent at every step'
    drawn = float(next(runner.model.module.backbone.backbone.parameters()).sum())
    assert len(set(all_gather_object(drawn))) == 2, 'nor is what is frozen sent before it is loaded'
    model = bare(runner)
    init_weights = model.init_weights

    def init_and_draw() -> None:  # as heads of mmdet do
        init_weights()
        torch.nn.init.normal_(model.head[0].weight)

    model.init_weights = init_and_draw
    own = torch.load(checkpoints[rank])['state_dict']
    with pytest.raises(
        ValueError, match='Process 1 starts from other weights than process 0: 1 tensors differ'
    ) as said:
        runner.train()
    assert 'backbone.backbone.stages.0.blocks.0.norm1.bias. Is the pretrained file' in str(said.value)
    frozen = runner.model.module.backbone.backbone.state_dict()
    wrong = [name for name, tensor in frozen.items() if not torch.equal(own[f'backbone.{name}'], tensor)]
    assert not wrong, 'each process has the frozen part from its own file: none was sent'


def test_frozen_weights_are_not_sent_but_compared(weights, tmp_path):
    content = torch.load(weights['swin'])
    content['state_dict']['backbone.stages.0.blocks.0.norm1.bias'] += 1
    torch.save(content, tmp_path / 'other.pth')
    run_in_processes(train_from_own_file, 2, tmp_path / 'run', (weights['swin'], tmp_path / 'other.pth'), tmp_path)


def train_with_frozen_statistics(rank, checkpoint, folder):
    cfg = runner_cfg('resnet', METHODS['est'], checkpoint, folder / 'work', epochs=1)
    cfg.model.backbone.backbone.norm_cfg = dict(type='SyncBN')
    runner = build_runner(cfg, 'pytorch')
    # Those of torch that synchronise refuse what is not on a card.
    assert torch.cuda.is_available() or not any(isinstance(m, nn.SyncBatchNorm) for m in runner.model.modules())
    runner.train()


def test_frozen_statistics_of_norms_are_not_averaged(weights, tmp_path):
    """The mean of three equal floats is another number now and then, which the proof of a training would find."""
    run_in_processes(train_with_frozen_statistics, 3, tmp_path / 'run', weights['resnet'], tmp_path)
