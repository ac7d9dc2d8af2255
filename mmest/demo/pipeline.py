"""Runs the parts of the demo one after the other, shows how far it is, and keeps what is finished."""
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import save_checkpoint
from mmengine.runner.checkpoint import weights_to_cpu
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mmest
from mmest.datasets.synthetic import MARKER, OBJECT_CLASSES, VERSION, is_complete, write_dataset
from mmest.engine.atomic import write_json

from . import cache, costs, pictures
from .parts import IMAGES, METHODS, PRETRAIN_CONFIG, SIZE, TASKS, Task
from .report import render_table, table_rows
from .training import load_config, output_to, predict, train

SHOWN = 5  # pictures on a sheet
# Rough shares of the time, for the bar that spans all parts; they need not be right, only in proportion.
SECONDS = dict(data=25, pretrain=150, detection=70, segmentation=50, costs=25)
Step = Callable[[Callable[[float], None]], dict]


class Demo:
    """The demo in one folder.

    Args:
        root: Folder of the data, the runs and the pictures.
        console: Where to report.
    """

    def __init__(self, root: Path, console: Console) -> None:
        self.root, self.console = root, console
        self.parts: list[tuple[str, str, float, Step]] = [
            ('data', 'drawing scenes of both domains', SECONDS['data'], self._data),
            ('pretrain', 'pretraining Swin on the source domain', SECONDS['pretrain'], self._pretrain)]
        for task in TASKS:
            for method, title in METHODS.items():
                self.parts.append((f'{task.name}/{method}', f'{task.name} on the target domain, {title}',
                                   SECONDS[task.name] * (1.25 if method == 'full' else 1),
                                   lambda progress, task=task, method=method: self._adapt(task, method, progress)))
        for task in TASKS:
            self.parts.append((f'costs/{task.name}', f'memory and time of a training step, {task.name}', SECONDS['costs'],
                               lambda progress, task=task: self._costs(task, progress)))
        self.results: dict[str, dict] = {}

    def run(self) -> None:
        """Run what is not finished, then show everything."""
        started, total, done, fresh_total = time.monotonic(), len(self.parts), 0.0, 0.0
        keys = self._keys()
        todo = []
        for number, (name, title, weight, step) in enumerate(self.parts, start=1):
            stored = cache.load(self.root / name, keys[name])
            if stored is not None and (name != 'data' or is_complete(self._data_folder, IMAGES, SIZE)):
                self.results[name] = stored
                self.console.print(f'[{number}/{total}] {title}: finished before', markup=False)
            else:
                todo.append((number, name, title, weight, step))
                fresh_total += weight
        columns = (TextColumn('{task.description}'), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
                   TextColumn('left:'), TimeRemainingColumn(elapsed_when_finished=True))
        with Progress(*columns, console=self.console, redirect_stdout=False, redirect_stderr=False,
                      speed_estimate_period=300, transient=True) as bars:
            overall = bars.add_task('all', total=fresh_total)
            for number, name, title, weight, step in todo:
                if not self.console.is_terminal:
                    self.console.print(f'[{number}/{total}] {title} ...', markup=False)
                bar, begun = bars.add_task(f'[{number}/{total}] {title}'.replace('[', r'\['), total=1.0), time.monotonic()

                def progress(share: float, bar=bar, before=done, weight=weight) -> None:
                    bars.update(bar, completed=share)
                    bars.update(overall, completed=before + weight * share)

                with output_to(self.root / 'log.txt'):
                    self.results[name] = step(progress)
                cache.store(self.root / name, keys[name], self.results[name])
                done += weight
                progress(1.0)
                bars.remove_task(bar)
                elapsed = time.monotonic() - started
                left = elapsed / done * (fresh_total - done)
                self.console.print(f'[{number}/{total}] {title}: {self._headline(name)}{time.monotonic() - begun:.0f} s; '
                                   f'about {left / 60:.1f} min left', markup=False)
        self._report()

    def forget(self) -> None:
        """Take nothing for finished."""
        for name, *_ in self.parts:
            (self.root / name / 'result.json').unlink(missing_ok=True)
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
            configs.update((task.config(method), load_config(task.config(method), self.root).pretty_text)
                           for task in TASKS for method in METHODS)
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

    def _adapt(self, task: Task, method: str, progress) -> dict:
        folder = self.root / task.name / method
        runner, metrics = train(load_config(task.config(method), folder), progress)
        np.savez_compressed(folder / 'predictions.npz', **predict(runner, self._shown()))
        return metrics

    def _costs(self, task: Task, progress) -> dict:
        return costs.measure({method: load_config(task.config(method), self.root) for method in METHODS}, progress)

    def _headline(self, name: str) -> str:
        task = next((task for task in TASKS if name.startswith(f'{task.name}/')), None)
        return f'{task.label} {task.accuracy(self.results[name]):.1f}, ' if task else ''

    def _shown(self) -> list[int]:
        """Pictures of the validation set for the sheets: those with the most kinds of objects, no two alike."""
        coco = json.loads((self._data_folder / 'target' / 'annotations' / 'val.json').read_text())
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

    def _report(self) -> None:
        rows = table_rows(self.results, {task.name: self.results[f'costs/{task.name}'] for task in TASKS})
        write_json(self.root / 'results.json', dict(
            rows=rows, images=IMAGES, size=SIZE,
            pretraining=self.results['pretrain'],
            memory_attribution={task.name: {method: self.results[f'costs/{task.name}'][method]['attribution']
                                            for method in METHODS} for task in TASKS},
            versions=dict(mmest=mmest.__version__, torch=torch.__version__)))
        target, sheets = self._data_folder / 'target', (pictures.detection_sheet, pictures.segmentation_sheet)
        for task, sheet in zip(TASKS, sheets):
            predictions = {title: np.load(self.root / task.name / method / 'predictions.npz')
                           for method, title in METHODS.items()}
            sheet(self.root / f'{task.name}.png', target, predictions, self._shown(), task.classes)
        pictures.accuracy_over_memory(self.root / 'accuracy_over_memory.png', rows)
        self.console.print(render_table(rows))
        self.console.print('Live peak: bytes of live tensors at the fullest moment of a training step of 8 pictures, weights '
                           'and optimizer included. Step: median, the methods alternating on this machine.')
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
