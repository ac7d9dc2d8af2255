"""A trained model as one function of a picture, without control flow."""

import copy
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .suppression import NOTHING, suppress

# What the strides of backbones divide: sizes of maps are then whole shares of the picture's, whatever it is.
_STRIDE = 32
_OF_NMS = ('type', 'iou_threshold', 'class_agnostic', 'split_thr', 'score_threshold', 'max_num', 'offset')
#: Name of the score above which a detector's graph has boxes.
SCORE_THR = 'score_threshold'


class Graph(nn.Module):
    """Frozen part, side network, neck and head, from a picture to what is predicted.

    Args:
        model: a detector of mmdet or a segmentor of mmseg, in eval mode.
        side: of the square picture, in pixels.
        dynamic: take pictures of other sizes too; ``side`` is rounded up to one of them.

    Attributes:
        multiple: of a graph of dynamic size: height and width are multiples of it; else None.
        least: the least height and width.
    """

    #: Name of what it returns.
    output = ''

    def __init__(self, model: nn.Module, side: int, dynamic: bool = False) -> None:
        super().__init__()
        self.model = model
        preprocessor = model.data_preprocessor
        self._flips = not getattr(
            preprocessor, 'channel_conversion', getattr(preprocessor, '_channel_conversion', False)
        )
        self._normalizes = preprocessor._enable_normalize
        for_tests = getattr(preprocessor, 'test_cfg', None) or {}
        divisor = getattr(preprocessor, 'pad_size_divisor', None) or for_tests.get('size_divisor') or 1
        self._divisor, self._padded_to = divisor, tuple(for_tests.get('size') or (0, 0))
        self.multiple = math.lcm(_STRIDE, divisor) if dynamic else None
        self.least = self.side = side
        if self.multiple:
            # One position of a map says nothing of how its size depends on the picture's.
            two_positions = 2 * max([self.multiple, *_strides(model)])
            self.least = up_to_multiple(max(two_positions, *self._padded_to), self.multiple)
            self.side = max(self.least, up_to_multiple(side, self.multiple))
        self._pad_value = getattr(preprocessor, 'pad_value', getattr(preprocessor, 'pad_val', 0))

    def prepared(self, image: Tensor) -> Tensor:
        """What the network is shown of a picture, 1×3×H×W: RGB from 0 to 1."""
        x = image * 255
        x = x.flip(1) if self._flips else x
        if self._normalizes:
            x = (x - self.model.data_preprocessor.mean) / self.model.data_preprocessor.std
        below, right = (padded - side for padded, side in zip(self.padded(image.shape[-2:]), image.shape[-2:]))
        return F.pad(x, (0, right, 0, below), value=self._pad_value) if below or right else x

    def padded(self, size: Sequence[int]) -> tuple[int, int]:
        """Height and width that the network is shown of those of a picture."""
        height, width = (max(up_to_multiple(side, self._divisor), to) for side, to in zip(size, self._padded_to))
        return height, width

    @property
    def padding(self) -> list[float]:
        """The RGB colour, from 0 to 1, that the network is shown where there is no picture."""
        colour = torch.full((3,), float(self._pad_value))
        if self._normalizes:
            colour = colour * self.model.data_preprocessor.std.flatten() + self.model.data_preprocessor.mean.flatten()
        colour = colour / 255
        return (colour.flip(0) if self._flips else colour).tolist()

    def _about(self, image: Tensor) -> dict:
        """What heads are told of the picture."""
        size = tuple(image.shape[-2:])
        padded = self.padded(size)
        return dict(img_shape=size, ori_shape=size, pad_shape=padded, batch_input_shape=padded, scale_factor=(1.0, 1.0))


def _strides(model: nn.Module) -> list[int]:
    """Those of the maps that a dense head sees; a pyramid adds coarser ones to the backbone's."""
    generator = getattr(getattr(model, 'bbox_head', None), 'prior_generator', None)
    return [max(pair) for pair in getattr(generator, 'strides', [])]


def up_to_multiple(side: int, multiple: int) -> int:
    """The least multiple that is not below a side."""
    return -(-side // multiple) * multiple


class Segmentor(Graph):
    """Gives 1×C×H×W: the probability of each class, or with C = 1 of the foreground."""

    output = 'probabilities'

    def forward(self, image: Tensor) -> Tensor:
        logits = self.model.encode_decode(self.prepared(image), [self._about(image)])
        logits = logits[..., : image.shape[-2], : image.shape[-1]]
        return logits.softmax(1) if logits.shape[1] > 1 else logits.sigmoid()


class Detector(Graph):
    """Gives 1×K×(5 + C): middle x, y, width and height in pixels, score, and 1 for the class, 0 for others. Boxes are
    suppressed, the best first; rows of zeros are none.

    Args:
        factor: pixels of this picture by pixel of the image that it shows, in which ``min_bbox_size`` is stated.

    Raises:
        ValueError: the model is no one-stage detector whose boxes are suppressed by plain NMS, or finds masks too; its
            ``test_cfg`` asks for what a graph does not do.
    """

    output = 'detections'

    def __init__(self, model: nn.Module, side: int, dynamic: bool = False, factor: float = 1.0) -> None:
        super().__init__(model, side, dynamic)
        head = getattr(model, 'bbox_head', None)
        if getattr(model, 'with_mask', False) and head is not None:
            raise ValueError(
                f'{type(model).__name__} with {type(head).__name__} cannot become an ONNX graph: it finds instance '
                'masks, and a graph gives boxes alone. Predict from the checkpoint.'
            )
        cfg = copy.deepcopy(getattr(head, 'test_cfg', None) or {})
        how = cfg.get('nms') or {}
        plain = how.get('type', 'nms') == 'nms' and 'iou_threshold' in how and 'max_per_img' in cfg
        if not (hasattr(head, 'predict_by_feat') and plain):
            raise ValueError(
                f'{type(model).__name__} with {type(head).__name__} cannot become an ONNX graph: it should be a '
                'segmentor, or a one-stage detector with plain NMS and max_per_img in its test_cfg, such as RetinaNet. '
                'Predict from the checkpoint.'
            )
        _refuse_limits(cfg, how)
        self._smallest, cfg.min_bbox_size = cfg.get('min_bbox_size', -1) * factor, -1
        self.classes, self.iou, self.most = head.num_classes, how['iou_threshold'], cfg.max_per_img
        self.score_thr: float = cfg.get('score_thr', 0)
        # As a tensor, by whose name it is found in a graph.
        self.register_buffer(SCORE_THR, torch.tensor(float(self.score_thr)))
        self._agnostic = how.get('class_agnostic', False)
        self._cfg = cfg

    def forward(self, image: Tensor) -> Tensor:
        head = self.model.bbox_head
        maps = head(self.model.extract_feat(self.prepared(image)))
        with _without_control_flow(head, getattr(self, SCORE_THR)):
            found = head.predict_by_feat(*maps, batch_img_metas=[self._about(image)], cfg=self._cfg, with_nms=False)[0]
        boxes, scores, labels = found.bboxes, found.scores, found.labels
        sides = boxes[:, 2:] - boxes[:, :2]
        if self._smallest >= 0:
            scores = torch.where((sides > self._smallest).all(1), scores, NOTHING)
        apart = 0 if self._agnostic else labels[:, None].to(boxes) * (boxes.max() + 1)  # classes do not suppress others
        places = suppress(boxes + apart, scores, self.iou, self.most)
        rows = torch.cat(
            [(boxes[:, :2] + boxes[:, 2:]) / 2, sides, scores[:, None], F.one_hot(labels, self.classes).to(boxes)], 1
        )
        return F.pad(rows, (0, 0, 0, 1))[places][None]


def _refuse_limits(cfg: dict, how: dict) -> None:
    """What mmdet and mmcv do where these ask for it, and a graph does not."""
    asked = [f'max_per_img={cfg["max_per_img"]}'] if cfg['max_per_img'] < 1 else []
    for name, value in how.items():
        # Of boxes of all classes alike mmcv takes each class by itself where it splits them.
        split = name == 'split_thr' and how.get('class_agnostic')
        limit = name in ('score_threshold', 'max_num', 'offset') and (value or 0) > 0
        if split or limit or name not in _OF_NMS:
            asked.append(f'nms.{name}={value}')
    if asked:
        raise ValueError(
            f'The test_cfg has {", ".join(asked)}, which an ONNX graph does not follow: it takes score_thr, nms_pre, '
            'min_bbox_size, a max_per_img of 1 or more, and iou_threshold and class_agnostic of nms. Predict from the '
            'checkpoint, or export with a config without (--config).'
        )


def _best(scores: Tensor, score_thr: Tensor, topk: int, results: dict | None = None) -> tuple:
    """As mmdet's ``filter_scores_and_topk``, but of one length whatever the scores: what is below has none."""
    flat = scores.flatten()
    length = flat.shape[0]  # len() would hold it to that of the picture of the export
    best, places = flat.topk(torch.sym_min(topk, length) if topk > 0 else length)
    rows, labels = places // scores.shape[1], places % scores.shape[1]
    kept = {name: value[rows] for name, value in (results or {}).items()}
    return torch.where(best > score_thr, best, NOTHING), labels, rows, kept


@contextmanager
def _without_control_flow(head: nn.Module, score_thr: Tensor) -> Iterator[None]:
    """Have the modules of a head's classes choose the best by :func:`_best`, those above ``score_thr``."""

    def best(scores: Tensor, _: float, topk: int, results: dict | None = None) -> tuple:
        return _best(scores, score_thr, topk, results)

    modules = [sys.modules[kind.__module__] for kind in type(head).__mro__]
    before = [
        (vars(module), vars(module)['filter_scores_and_topk'])
        for module in modules
        if hasattr(module, 'filter_scores_and_topk')
    ]
    for names, _ in before:
        names['filter_scores_and_topk'] = best
    try:
        yield
    finally:
        for names, function in before:
            names['filter_scores_and_topk'] = function
