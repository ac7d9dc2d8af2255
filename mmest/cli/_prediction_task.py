"""One model of a prediction, and what it does with an image."""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

from mmest.configs import open_config
from mmest.measure.device import usable_device
from mmest.onnx.devices import card_or_cpu
from mmest.onnx.model import OnnxModel
from mmest.pictures import ImageFile
from mmest.pictures.reading import Reading
from mmest.prediction.boxes import detecting
from mmest.prediction.masks import segmenting
from mmest.prediction.model import Model
from mmest.prediction.options import digest_of
from mmest.prediction.steps import Steps

DEFAULT_SCORE = 0.3


class Task:
    """One model of the command, and where its results go.

    Args:
        path: its file.
        args: the command line.
        out: the folder.
    """

    def __init__(self, path: Path, args: argparse.Namespace, out: Path) -> None:
        device, graph = usable_device(args.device), is_graph(path)
        if graph and args.device is None:
            device = card_or_cpu(device)
        self.path, self.out, self.args = path, out, args
        self.model = OnnxModel(path, device) if graph else Model(path, args.config, device)
        self.tile: int = args.tile or self.model.tile
        if graph and self.tile != self.model.tile and not self.model.dynamic:
            raise ValueError(
                f'{path} takes tiles of {self.model.tile} pixels, not {self.tile}: leave --tile out, or export a graph '
                'for it, or for tiles of any size (--dynamic).'
            )
        self.overlap: int = self.tile // 5 if args.overlap is None else args.overlap
        if not 0 <= self.overlap < self.tile:
            raise ValueError(
                f'--overlap should be from 0 to below the side of a tile, {self.tile}, but it is {self.overlap}.'
            )
        self.score: float = DEFAULT_SCORE if args.score is None else args.score
        #: All that a result depends on, as it is used: what is left out has its default.
        self.options: dict[str, Any] = {
            'MODEL': f'{path.name} ({digest_of(path)})',
            '--config': None if graph or args.config is None else _config_in_words(args.config),
            '--tile': self.tile,
            '--overlap': self.overlap,
            '--score': self.score if self.model.detects else None,
            **{f'--{name}': value for name, value in reading_of(args, self.model).items()},
        }
        self.left: set[Path] | None = None  # all
        self.seconds = 0.0

    def say_lowest_score(self) -> None:
        """Where --score asks for boxes that the model leaves out itself."""
        score, lowest = self.args.score, self.model.lowest_score if self.model.detects else 0
        if score is not None and score < lowest:
            print(f'{self.path} gives no boxes that score below {lowest:g}, the score_thr of its test_cfg.')

    def wants(self, image: Path) -> bool:
        return self.left is None or image in self.left

    def steps(self, image: ImageFile) -> Steps:
        """Work through an image; ``seconds`` grows by what it takes."""
        shared = (self.model, image, self.out, self.tile, self.overlap)
        if self.model.detects:
            steps = detecting(*shared, self.score, self.options)
        else:
            steps = segmenting(*shared, self.options)
        while True:
            begun = time.perf_counter()
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            finally:
                self.seconds += time.perf_counter() - begun
            yield


def _config_in_words(config: Path) -> str:
    """Its name, and a digest of all that it says, what it builds on among it."""
    content = json.dumps(open_config(str(config)).to_dict(), default=str)
    return f'{config.name} ({hashlib.sha256(content.encode()).hexdigest()[:16]})'


def is_graph(path: Path) -> bool:
    """Whether a model is an ONNX graph, by its name."""
    return path.suffix.lower() == '.onnx'


def reading_of(args: argparse.Namespace, model: Model | OnnxModel) -> Reading:
    """How images are read: as the model's training read them, where nothing else is asked for."""
    return Reading(scale=args.scale or model.reading['scale'], bands=args.bands or model.reading['bands'])
