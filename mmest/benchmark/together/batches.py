"""The batches of a training, augmented by the config's own loader, in the order that a runner would have them in."""

import copy
import fcntl
import hashlib
import json
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner, set_random_seed
from torch import Tensor

from mmest.benchmark.data_digest import data_digest
from mmest.checkpoints.files import save_tensors
from mmest.datasets.ignored_boxes import MOST, pass_over_ignored_boxes
from mmest.engine.random_numbers import reseed_workers
from mmest.frameworks import framework_of

#: What of a segmentor's data preprocessor smaller images are padded by.
_PADDING = ('size', 'mean', 'bgr_to_rgb', 'seg_pad_val')

#: Images are kept as bytes.
Batches = dict[str, Tensor]


def batches_of(cfg: Config, folder: Path) -> Batches:
    """The batches of a training; made once, then read from ``folder``.

    What is made depends on the training data (labels that were corrected make new batches), its pipeline, the seed and
    the number of steps, so all methods and rates that are compared share it.

    Args:
        cfg: config of the training.
        folder: where batches are kept.

    Returns:
        ``images`` S×B×3×H×W (uint8) and the truth for S steps of B images: ``masks`` S×B×H×W (uint8) of a segmentor;
        of a detector the targets of its A anchors, ``labels`` S×B×A (int16), ``label_weights`` S×B×A, ``boxes``
        S×B×A×4 and ``positives`` S. ``epoch`` is the number of steps of an epoch.

    Raises:
        ValueError: images of different sizes come out of the pipeline; the head has no anchors.
    """
    path = folder / f'{key_of(cfg)}.pt'
    folder.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # made once, however many ask for it at the same time
        if not path.is_file():
            save_tensors(_make(cfg), path)
    return torch.load(path, weights_only=True, mmap=True)


def _steps_of(cfg: Config, loader: Any) -> int:
    """Steps of a training, by its loop."""
    loop = cfg.train_cfg
    return loop['max_iters'] if 'max_iters' in loop else loop['max_epochs'] * len(loader)


def _train_loader(cfg: Config) -> Any:
    return Runner.build_dataloader(cfg.train_dataloader, seed=cfg.randomness.seed)


def key_of(cfg: Config) -> str:
    """What tells batches apart."""
    parts = {key: cfg.get(key) for key in ('train_dataloader', 'train_cfg', 'randomness')}
    parts['data'] = data_digest(cfg.train_dataloader.dataset, cfg.default_scope)
    if framework_of(cfg).detects:
        parts['head'] = cfg.model.bbox_head
        parts['assigner'] = cfg.model.train_cfg
        parts['ignored'] = MOST
    else:
        parts['padding'] = {key: cfg.model.data_preprocessor.get(key) for key in _PADDING}
    text = json.dumps(json.loads(json.dumps(parts, default=str)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(cfg: Config) -> Batches:
    set_random_seed(cfg.randomness.seed)  # what a loader without workers draws from
    loader = _train_loader(cfg)
    steps, made, epoch = _steps_of(cfg, loader), [], 0
    truth = _BoxTargets(cfg) if framework_of(cfg).detects else _masks
    while len(made) < steps:
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        reseed_workers(loader, cfg.randomness.seed, epoch)
        epoch += 1
        for number, batch in enumerate(loader):
            if number == 0:
                first = copy.deepcopy(batch)
            batch = _filled(batch, first, cfg.train_dataloader.batch_size)
            images, samples = _of_one_size(batch, cfg.model.data_preprocessor)
            made.append(dict(images=images, **truth(samples)))
            if len(made) == steps:
                break
    whole = {key: torch.stack([one[key] for one in made]) for key in made[0]}
    return dict(whole, epoch=torch.tensor(len(loader)))


def _filled(batch: dict, first: dict, size: int) -> dict:
    """The last batch of an epoch, where it is not full, with images of the first one behind: a training takes the steps
    of a runner, and all of one shape.
    """
    missing = size - len(batch['inputs'])
    more = list(islice(cycle(zip(first['inputs'], first['data_samples'])), missing))
    return dict(
        inputs=[*batch['inputs'], *(image for image, _ in more)],
        # What is made of samples changes them.
        data_samples=[*batch['data_samples'], *(copy.deepcopy(sample) for _, sample in more)],
    )


def _of_one_size(batch: dict, preprocessor: dict) -> tuple[Tensor, list]:
    """The images of a batch as one tensor, and their samples.

    Where the data preprocessor of a segmentor has a size, smaller images are padded as it pads: by what comes out as
    zero, to half a level of grey, and by ignored pixels.
    """
    images, samples, size = batch['inputs'], batch['data_samples'], preprocessor.get('size')
    sizes = {tuple(image.shape[1:]) for image in images}
    if size and sizes != {tuple(size)} and all(height <= size[0] and width <= size[1] for height, width in sizes):
        from mmseg.utils import stack_batch

        mean = torch.tensor(preprocessor['mean']).round()[:, None, None]
        zero = mean.flip(0) if preprocessor.get('bgr_to_rgb') else mean
        padded, samples = stack_batch(
            [image - zero for image in images], samples, size, seg_pad_val=preprocessor.get('seg_pad_val', 255)
        )
        return (padded + zero).to(torch.uint8), samples
    if len(sizes) > 1:
        raise ValueError(f'Trainings side by side need images of one size, but the pipeline gives {sizes}.')
    return torch.stack(list(images)), samples


def _masks(samples: list) -> Batches:
    return dict(masks=torch.stack([sample.gt_sem_seg.data[0] for sample in samples]).to(torch.uint8))


class _BoxTargets:
    """What the head of a detector gives its anchors to learn, which depends on boxes and anchors only: no background
    from those in ignored objects.
    """

    def __init__(self, cfg: Config) -> None:
        head, train_cfg = dict(cfg.model.bbox_head), cfg.model.train_cfg
        self.head = MODELS.build(dict(head, train_cfg=train_cfg, test_cfg=cfg.model.test_cfg))
        if not hasattr(self.head, 'get_anchors'):
            raise ValueError(
                f'{head["type"]} has no anchors: of detectors only those of one stage with anchors train side by side.'
            )
        pass_over_ignored_boxes(self.head)

    def __call__(self, samples: list) -> Batches:
        from mmdet.models.utils import unpack_gt_instances
        from mmdet.models.utils.misc import samplelist_boxtype2tensor

        height, width = samples[0].img_shape
        sizes = [(-(-height // stride[1]), -(-width // stride[0])) for stride in self.head.prior_generator.strides]
        for sample in samples:
            sample.set_metainfo(dict(pad_shape=(height, width)))
        samplelist_boxtype2tensor(samples)
        boxes, ignored, metas = unpack_gt_instances(samples)
        anchors, valid = self.head.get_anchors(sizes, metas, device='cpu')
        labels, label_weights, targets, _, positives = self.head.get_targets(anchors, valid, boxes, metas, ignored)
        return dict(
            labels=torch.cat(labels, 1).to(torch.int16),
            label_weights=torch.cat(label_weights, 1),
            boxes=torch.cat(targets, 1),
            positives=torch.tensor(float(positives)),
        )
