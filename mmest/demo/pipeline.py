"""Runs the parts of the demo, shows how far it is, and keeps what is finished."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.runner import save_checkpoint
from mmengine.runner.checkpoint import weights_to_cpu
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mmest
from mmest.datasets.synthetic import MARKER, OBJECT_CLASSES, VERSION, is_complete, write_dataset
from mmest.engine.output import output_to
from mmest.files import write_json

from . import cache, costs, pictures
from .parts import IMAGES, METHODS, PRETRAIN_CONFIG, SIZE, TASKS, Task
from .report import render_table, table_rows
from .side_by_side import Job, run_side_by_side
from .training import load_config, predict, train

SHOWN = 5  # pictures on a sheet
# Rough shares of the time, for the bar that spans all parts; they need not be right, only in proportion.
SECONDS = dict(data=30, pretrain=220, detection=43, segmentation=32, costs=24)


class Part(NamedTuple):
    """A part of the demo: its folder, what it is in words, its share of the time, what it does, and whether it runs
    beside others of its kind.
    """

    name: str
    title: str
    weight: float
    step: Job
    beside: bool = False


def adapt(root: Path, task: Task, method: str, progress: Callable[[float], None]) -> dict:
    """Adapt the pretrained backbone to the target domain, keep predictions of a few pictures, and return the
    metrics.
    """
    folder = root / task.name / method
    runner, metrics = train(load_config(task.config(method), folder), progress)
    np.savez_compressed(folder / 'predictions.npz', **predict(runner, shown_pictures(root)))
    return metrics


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
        root: Folder of the data, the runs and the pictures.
        console: Where to report.
    """

    def __init__(self, root: Path, console: Console) -> None:
        self.root, self.console = root, console
        self.parts = [
            Part('data', 'drawing scenes of both domains', SECONDS['data'], self._data),
            Part('pretrain', 'pretraining Swin on the source domain', SECONDS['pretrain'], self._pretrain),
        ]
        for task in TASKS:
            for method, title in METHODS.items():
                self.parts.append(
                    Part(
                        f'{task.name}/{method}',
                        f'{task.name} on the target domain, {title}',
                        SECONDS[task.name] * (1.5 if method == 'full' else 1),
                        partial(adapt, root, task, method),
                        beside=True,
                    )
                )
        for task in TASKS:
            self.parts.append(
                Part(
                    f'costs/{task.name}',
                    f'memory and time of a training step, {task.name}',
                    SECONDS['costs'],
                    partial(self._costs, task),
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
                (task.config(method), load_config(task.config(method), self.root).pretty_text)
                for task in TASKS
                for method in METHODS
            )
        keys['pretrain'] = cache.key_of(keys['data'], configs[PRETRAIN_CONFIG], mmest.__version__, torch.__version__)
        for task in TASKS:
            for method in METHODS:
                keys[f'{task.name}/{method}'] = cache.key_of(keys['pretrain'], configs[task.config(method)])
            keys[f'costs/{task.name}'] = cache.key_of([keys[f'{task.name}/{method}'] for method in METHODS])
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

    def _costs(self, task: Task, progress) -> dict:
        return costs.measure({method: load_config(task.config(method), self.root) for method in METHODS}, progress)

    def _headline(self, name: str) -> str:
        task = next((task for task in TASKS if name.startswith(f'{task.name}/')), None)
        return f'{task.label} {task.accuracy(self.results[name]):.1f}, ' if task else ''

    def _report(self) -> None:
        rows = table_rows(self.results, {task.name: self.results[f'costs/{task.name}'] for task in TASKS})
        write_json(
            self.root / 'results.json',
            dict(
                rows=rows,
                images=IMAGES,
                size=SIZE,
                pretraining=self.results['pretrain'],
                memory_attribution={
                    task.name: {method: self.results[f'costs/{task.name}'][method]['attribution'] for method in METHODS}
                    for task in TASKS
                },
                versions=dict(mmest=mmest.__version__, torch=torch.__version__),
            ),
        )
        target, sheets = self._data_folder / 'target', (pictures.detection_sheet, pictures.segmentation_sheet)
        for task, sheet in zip(TASKS, sheets):
            predictions = {
                title: np.load(self.root / task.name / method / 'predictions.npz') for method, title in METHODS.items()
            }
            sheet(self.root / f'{task.name}.png', target, predictions, shown_pictures(self.root), task.classes)
        pictures.accuracy_over_memory(self.root / 'accuracy_over_memory.png', rows)
        self.console.print(render_table(rows))
        self.console.print(
            'Live peak: bytes of live tensors at the fullest moment of a training step of 8 pictures, weights '
            'and optimizer included. Step: median, the methods alternating on this machine.'
        )
        for name in ('detection.png', 'segmentation.png', 'accuracy_over_memory.png', 'results.json'):
            self.console.print(f'  {self.root / name}', markup=False, highlight=False, soft_wrap=True)


def run_demo(root: Path, fresh: bool = False) -> None:
    """Run the demo in a folder; what finished there before, with the same configs, is not run again.

    Args:
        root: Folder of the demo.
        fresh: Forget what finished before.
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
