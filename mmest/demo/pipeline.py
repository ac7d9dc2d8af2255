"""Runs the parts of the demo, shows how far it is, and keeps what is finished."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.runner import save_checkpoint
from mmengine.runner.checkpoint import weights_to_cpu
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mmest
from mmest.datasets.synthetic import CLASSES, MARKER, OBJECT_CLASSES, VERSION, is_complete, write_dataset
from mmest.engine.output import output_to
from mmest.files import write_json
from mmest.report.page import write_report
from mmest.report.run import read_run

from . import cache, costs, pictures
from .parts import CASES, IMAGES, METHODS, PRETRAIN_CONFIG, SIZE, Case
from .report import render_table, table_rows
from .side_by_side import Job, run_side_by_side
from .training import load_config, predict, train
from .verdict import iou_by_class, verdict

SHOWN = 4  # pictures on a sheet
# Rough shares of the time, for the bar that spans all parts; they need not be right, only in proportion.
SECONDS = dict(data=30, pretrain=220, one_map=22, four_maps=32, costs=24)


class Part(NamedTuple):
    """A part of the demo: its folder, what it is in words, its share of the time, what it does, and whether it runs
    beside others of its kind.
    """

    name: str
    title: str
    weight: float
    step: Job
    beside: bool = False


def adapt(root: Path, case: Case, method: str, progress: Callable[[float], None]) -> dict:
    """Adapt the pretrained backbone to the target domain, keep the predictions, and return the metrics and the IoU of
    each class.
    """
    folder = root / case.name / method
    runner, metrics = train(load_config(case.config(method), folder), progress)
    found, count = predict(runner), len(CLASSES)
    np.savez_compressed(folder / 'predictions.npz', found=found)
    masks = root / 'data' / 'target' / 'masks' / 'val'
    truth = np.stack([np.asarray(Image.open(masks / f'{i:05d}.png')) for i in range(len(found))])
    pairs = np.bincount(truth.ravel() * np.int64(count) + found.ravel(), minlength=count**2).reshape(count, count)
    return dict(metrics, classes=iou_by_class(pairs, CLASSES))


def shown_pictures(root: Path) -> list[int]:
    """Pictures of the validation set for the sheets: those with the most kinds of objects, no two alike."""
    coco = json.loads((root / 'data' / 'target' / 'annotations' / 'val.json').read_text())
    count = {image['id']: [0] * len(OBJECT_CLASSES) for image in coco['images']}
    for annotation in coco['annotations']:
        count[annotation['image_id']][annotation['category_id']] += 1
    chosen: list[int] = []
    seen = np.zeros(len(OBJECT_CLASSES))
    for _ in range(min(SHOWN, len(count))):
        gain = {i: float((np.minimum(c, 4) / (1 + seen)).sum()) for i, c in count.items() if i not in chosen}
        chosen.append(max(gain, key=gain.get))
        seen += np.minimum(count[chosen[-1]], 4)
    return chosen


class Demo:
    """The demo in one folder.

    Args:
        root: folder of the data, the runs and the pictures.
        console: where to report.
    """

    def __init__(self, root: Path, console: Console) -> None:
        self.root, self.console = root, console
        self.parts = [
            Part('data', 'drawing scenes of both domains', SECONDS['data'], self._data),
            Part('pretrain', 'pretraining Swin on the source domain', SECONDS['pretrain'], self._pretrain),
        ]
        for case in CASES:
            for method, title in METHODS.items():
                self.parts.append(
                    Part(
                        f'{case.name}/{method}',
                        f'{case.title} on the target domain, {title}',
                        SECONDS[case.name] * (1.5 if method == 'full' else 1),
                        partial(adapt, root, case, method),
                        beside=True,
                    )
                )
        for case in CASES:
            self.parts.append(
                Part(
                    f'costs/{case.name}',
                    f'memory and time of a training step, {case.title}',
                    SECONDS['costs'],
                    partial(self._costs, case),
                )
            )
        self.results: dict[str, dict] = {}

    def run(self) -> None:
        """Run what is not finished, then show everything."""
        keys = self._keys()
        todo: dict[str, Part] = {}
        for part in self.parts:
            stored = cache.load(self.root / part.name, keys[part.name])
            if stored is not None and (part.name != 'data' or is_complete(self._data_folder, IMAGES, SIZE)):
                self.results[part.name] = stored
                self.console.print(f'{self._number(part.name)} {part.title}: finished before', markup=False)
            else:
                todo[part.name] = part
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn('left:'),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(
            *columns,
            console=self.console,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=300,
            transient=True,
        ) as bars:
            self._run_parts(todo, keys, bars)
        self._report()

    def _run_parts(self, todo: dict[str, Part], keys: dict[str, str], bars: Progress) -> None:
        started, total = time.monotonic(), sum(part.weight for part in todo.values())
        overall = bars.add_task('all', total=total)
        shares: dict[str, float] = {}
        shown: dict[str, tuple] = {}

        def progress(name: str, share: float) -> None:
            if name not in shown:
                label = f'{self._number(name)} {todo[name].title}'
                if not self.console.is_terminal:
                    self.console.print(f'{label} ...', markup=False)
                shown[name] = bars.add_task(label.replace('[', r'\['), total=1.0), time.monotonic()
            shares[name] = share
            bars.update(shown[name][0], completed=share)
            bars.update(overall, completed=sum(todo[key].weight * value for key, value in shares.items()))

        def finished(name: str, result: dict) -> None:
            self.results[name] = result
            cache.store(self.root / name, keys[name], result)
            progress(name, 1.0)
            bar, begun = shown[name]
            bars.remove_task(bar)
            done = sum(todo[key].weight * value for key, value in shares.items())
            left = (time.monotonic() - started) / done * (total - done)
            self.console.print(
                f'{self._number(name)} {todo[name].title}: {self._headline(name)}'
                f'{time.monotonic() - begun:.0f} s; about {left / 60:.1f} min left',
                markup=False,
            )

        for beside, group in groupby(todo.values(), key=lambda part: part.beside):
            if beside:
                run_side_by_side({part.name: part.step for part in group}, self.root / 'log.txt', progress, finished)
                continue
            for part in group:
                progress(part.name, 0.0)
                with output_to(self.root / 'log.txt'):
                    result = part.step(partial(progress, part.name))
                finished(part.name, result)

    def _number(self, name: str) -> str:
        names = [part.name for part in self.parts]
        return f'[{names.index(name) + 1}/{len(names)}]'

    def forget(self) -> None:
        """Take nothing for finished."""
        for part in self.parts:
            (self.root / part.name / 'result.json').unlink(missing_ok=True)
        if (self._data_folder / MARKER).exists():
            shutil.rmtree(self._data_folder)

    @property
    def _data_folder(self) -> Path:
        return self.root / 'data'

    def _keys(self) -> dict[str, str]:
        """What each result depends on: its config, the data, the pretraining before it, and the versions."""
        keys = dict(data=cache.key_of(VERSION, IMAGES, SIZE))
        with output_to(self.root / 'log.txt'):
            configs = {PRETRAIN_CONFIG: load_config(PRETRAIN_CONFIG, self.root).pretty_text}
            configs.update(
                (case.config(method), load_config(case.config(method), self.root).pretty_text)
                for case in CASES
                for method in METHODS
            )
        keys['pretrain'] = cache.key_of(keys['data'], configs[PRETRAIN_CONFIG], mmest.__version__, torch.__version__)
        for case in CASES:
            for method in METHODS:
                keys[f'{case.name}/{method}'] = cache.key_of(keys['pretrain'], configs[case.config(method)])
            keys[f'costs/{case.name}'] = cache.key_of([keys[f'{case.name}/{method}'] for method in METHODS])
        return keys

    def _data(self, progress) -> dict:
        write_dataset(self._data_folder, IMAGES, SIZE, progress=lambda done, total: progress(done / total))
        return dict(images=IMAGES, size=SIZE)

    def _pretrain(self, progress) -> dict:
        runner, metrics = train(load_config(PRETRAIN_CONFIG, self.root / 'pretrain'), progress)
        # An ordinary backbone file, as a model zoo would give it.
        state = runner.model.backbone.backbone.state_dict()
        save_checkpoint(dict(state_dict=weights_to_cpu(state)), str(self.root / 'pretrain' / 'pretrained.pth'))
        return metrics

    def _costs(self, case: Case, progress) -> dict:
        return costs.measure({method: load_config(case.config(method), self.root) for method in METHODS}, progress)

    def _headline(self, name: str) -> str:
        adapted = any(name.startswith(f'{case.name}/') for case in CASES)
        return f'mIoU {self.results[name]["mIoU"]:.1f}, ' if adapted else ''

    def _report(self) -> None:
        rows = table_rows(self.results, {case.name: self.results[f'costs/{case.name}'] for case in CASES})
        said = [self._verdict(case) for case in CASES]
        write_json(
            self.root / 'results.json',
            dict(
                rows=rows,
                said=said,
                images=IMAGES,
                size=SIZE,
                pretraining=self.results['pretrain'],
                classes={
                    f'{case.name}/{method}': self.results[f'{case.name}/{method}']['classes']
                    for case in CASES
                    for method in METHODS
                },
                memory_attribution={
                    case.name: {method: self.results[f'costs/{case.name}'][method]['attribution'] for method in METHODS}
                    for case in CASES
                },
                versions=dict(mmest=mmest.__version__, torch=torch.__version__),
            ),
        )
        sheets = [self._sheet(case) for case in CASES]
        pictures.accuracy_over_memory(self.root / 'accuracy_over_memory.png', rows)
        self.console.print(render_table(rows))
        self.console.print(
            'Live peak: bytes of live tensors at the fullest moment of a training step of 8 pictures, weights '
            'and optimizer included. Step: median, the methods alternating on this machine.\n'
        )
        for sentence in said:
            self.console.print(f'{sentence}\n', markup=False, highlight=False)
        for path in [*sheets, self.root / 'accuracy_over_memory.png', self.root / 'results.json']:
            self.console.print(f'  {path}', markup=False, highlight=False, soft_wrap=True)
        self.console.print('Writing the page on all runs ...')
        self.console.print(f'  {self._page(said)}', markup=False, highlight=False, soft_wrap=True)

    def _sheet(self, case: Case) -> Path:
        """Predictions of a case beside the truth."""
        path = self.root / f'{case.name}.png'
        predictions = {
            METHODS[method]: np.load(self.root / case.name / method / 'predictions.npz')['found']
            for method in ('frozen', 'est', 'full')
        }
        shown = shown_pictures(self.root)
        pictures.sheet(path, case.title.capitalize(), self._data_folder / 'target', predictions, shown, CLASSES)
        return path

    def _verdict(self, case: Case) -> str:
        runs = {method: self.results[f'{case.name}/{method}'] for method in METHODS}
        return verdict(
            case,
            {method: run['mIoU'] for method, run in runs.items()},
            {method: run['classes'] for method, run in runs.items()},
        )

    def _page(self, said: Sequence[str]) -> Path:
        """The report page of the runs of all cases."""
        runs, out = [], self.root / 'report.html'
        with output_to(self.root / 'log.txt'):
            for case in CASES:
                for method, title in METHODS.items():
                    runs.append(replace(read_run(self.root / case.name / method), name=f'{case.title}, {title}'))
            write_report(runs, out, lambda *_: None, 'The demo: when a side network matters', said)
        return out


def run_demo(root: Path, fresh: bool = False) -> None:
    """Run the demo in a folder; what finished there before, with the same configs, is not run again.

    Args:
        root: folder of the demo.
        fresh: forget what finished before.
    """
    root = root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    os.environ['MMEST_DEMO_DIR'] = str(root)  # the configs take their paths from it
    # It keeps today's stdout: the one of sys is sent to the log while libraries work.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110)
    demo = Demo(root, console)
    if fresh:
        demo.forget()
    demo.run()
