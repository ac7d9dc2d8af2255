"""The page of a report."""

import copy
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mmest.benchmark.metrics import in_percent
from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.files import write_bytes
from mmest.measure.memory.compare import compare_tunings
from mmest.measure.parameters import count, trainable
from mmest.pictures.colours import class_colours, object_colours

from . import charts
from .examples import choose, draw
from .predictions import Predicted, predict_validation
from .run import Run, readable
from .scores import SCORE, Scores, score

#: Called with what is being done, the number of steps done, and of all.
Progress = Callable[[str, int, int], None]
_MB = 2**20
_MISSING = '—'


def write_report(
    runs: Sequence[Run], out: Path, progress: Progress, title: str | None = None, said: Sequence[str] = ()
) -> None:
    """Evaluate runs on their validation data and write one self-contained HTML file.

    Args:
        runs: of one task, with equal classes.
        out: the file.
        progress: told how far it is.
        title: of the page (default: the names of the runs).
        said: what there is to say of the runs; a paragraph each, above all figures.

    Raises:
        ValueError: the runs are of different tasks.
        FileNotFoundError: data or weights of a run are not there.
    """
    tasks = {run.task for run in runs}
    if len(tasks) > 1:
        raise ValueError(
            f'A report is of one task, but {", ".join(run.name for run in runs)} are of both. Report on each.'
        )
    pages = [_about(run, progress if len(runs) == 1 else _named(run, progress)) for run in runs]
    names = list(dict.fromkeys(name for run in runs for name in run.scores))
    for run, page in zip(runs, pages):
        page['metrics'] = [_score(run, name) for name in names]
    detects = tasks == {'detection'}
    sections = ['Result', 'Curves', 'Classes', 'Confusion', *(['Precision and recall'] if detects else [])]
    content = _template().render(
        title=title or f'Report: {", ".join(run.name for run in runs)}',
        said=said,
        subtitle=_subtitle('Detection' if detects else 'Segmentation', pages),
        sections=[*sections, 'Images', 'Memory', 'Proof'],
        metric_names=[readable(name) for name in names],
        runs=pages,
        curves=_curves(runs),
        any_memory=any(run.memory for run in runs),
        any_pr=any(page['pr'] for page in pages),
        confusion_note=(
            f'Detections of a score of {SCORE} or more, each with the object that it overlaps most by IoU 0.5 or more; '
            '"nothing" as truth are false alarms, as prediction missed objects.'
            if detects
            else 'Each row is a true class; its shares say what its pixels were taken for.'
        ),
        image_note=(
            f'By F1 of the detections of a score of {SCORE} or more.'
            if detects
            else 'By the mean IoU of the classes in an image.'
        ),
    )
    write_bytes(out, content.encode())


def _template() -> jinja2.Template:
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=folder, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template('page.html')


def _named(run: Run, progress: Progress) -> Progress:
    return lambda what, done, total: progress(f'{what}, {run.name}', done, total)


def _subtitle(task: str, pages: list[dict]) -> str:
    """On how many images, and whether all runs were validated on the same classes and images."""
    if len({page['data'] for page in pages}) == 1:
        return f'{task} on {pages[0]["images"]} validation images.'
    each = ', '.join(f'{page["name"]} on {page["images"]}' for page in pages)
    return f'{task}, but with validation images or classes that differ: {each}. Their scores do not compare.'


def _about(run: Run, progress: Progress) -> dict:
    """What the template shows of one run."""
    with tempfile.TemporaryDirectory() as folder:
        predicted = predict_validation(
            run, Path(folder), lambda done, total: progress('validation images', done, total)
        )
    scores = score(predicted)
    cfg = run.read_config()
    detects = predicted.geometry is not None
    names, palette = predicted.classes, predicted.palette
    colours = object_colours(len(names)) if detects else class_colours(names, palette)
    best, worst = choose(scores.by_image)
    peak, figure, setting = _memory(cfg, run, progress)
    return dict(
        name=run.name,
        method=run.method,
        images=len(predicted.samples),
        data=(tuple(names), frozenset(sample.path.name for sample in predicted.samples)),
        steps=f'{max((step for curve in run.losses.values() for step, _ in curve), default=0):,}',
        seconds=f'{statistics.median(run.seconds):.2f}' if run.seconds else _MISSING,
        memory=f'{run.memory:.0f} MB' if run.memory else _MISSING,
        trained=_trained(cfg),
        class_columns=scores.columns,
        class_rows=[[_cell(cell) for cell in row] for row in scores.rows],
        confusion=Markup(charts.confusion(scores.confusion, scores.labels)),
        pr=Markup(charts.precision_recall(scores.curves)) if scores.curves else '',
        best=_images(predicted, scores, best, colours),
        worst=_images(predicted, scores, worst, colours),
        memory_figure=Markup(figure),
        memory_text=f'{peak / _MB:.0f} MB at the peak, {setting}',
        proof=_proof(run),
        checkpoint=run.checkpoint.name,
        config=run.config.name,
    )


def _images(predicted: Predicted, scores: Scores, numbers: Sequence[int], colours: np.ndarray) -> list[dict]:
    return [
        dict(
            name=predicted.samples[i].path.name,
            score=f'{scores.by_image[i]:.2f}',
            source=draw(predicted, i, colours),
        )
        for i in numbers
    ]


def _cell(value: object) -> str:
    if value is None:
        return _MISSING
    return f'{value:.1f}' if isinstance(value, float) else f'{value:,}' if isinstance(value, int) else str(value)


def _score(run: Run, name: str) -> str:
    value = run.score_of_checkpoint(name)
    return _MISSING if value is None else f'{in_percent(name, value):.1f}'


def _curves(runs: Sequence[Run]) -> list[tuple[str, Markup]]:
    shown = []
    names = list(dict.fromkeys(name for run in runs for name in run.losses if name == 'loss' or name == 'lr'))
    for name in sorted(names, key=('loss', 'lr').index):
        lines = {run.name: run.losses[name] for run in runs if run.losses.get(name)}
        caption = {'loss': 'Loss of the training', 'lr': 'Learning rate'}[name]
        shown.append((caption, Markup(charts.curves(lines, name))))
    for name in _main_metrics(runs):
        lines = {
            run.name: [(step, in_percent(name, value)) for step, value in run.scores[name]]
            for run in runs
            if run.scores.get(name)
        }
        if any(len(line) > 1 for line in lines.values()):
            shown.append(
                (f'{readable(name)} on the validation data', Markup(charts.curves(lines, readable(name), True)))
            )
    return shown


def _main_metrics(runs: Sequence[Run]) -> list[str]:
    """Those whose curves are worth a figure; the table has all."""
    names = dict.fromkeys(name for run in runs for name in run.scores)
    return [name for name in names if readable(name) in ('mIoU', 'aAcc') or name.endswith(('mAP', 'mAP_50', 'AP50'))]


def _trained(cfg: Config) -> str:
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(without_pretrained(copy.deepcopy(cfg.model)))
    return f'{trainable(model) / 1e6:.2f} M of {count(model.parameters()) / 1e6:.1f} M'


def _memory(cfg: Config, run: Run, progress: Progress) -> tuple[int, str, str]:
    """Peak in bytes, figure and setting of a training step at the size and batch of the training."""
    progress('memory of a training step', 0, 1)
    batch = cfg.train_dataloader.batch_size
    height, width = _training_size(cfg)
    seen = []
    compare_tunings(
        cfg, {run.name: cfg.model.backbone.tuning}, (height, width), batch, done=lambda *found: seen.append(found)
    )
    progress('memory of a training step', 1, 1)
    _, report, timeline = seen[0]
    return report.peak, charts.memory(timeline), f'{batch} × {height}×{width}'


def _training_size(cfg: Config) -> tuple[int, int]:
    """Height and width of an image as the training sees it, padded to what the backbone takes."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        dataset = DATASETS.build(copy.deepcopy(cfg.train_dataloader.dataset))
    height, width = dataset[0]['inputs'].shape[-2:]
    return -(-height // 32) * 32, -(-width // 32) * 32


def _proof(run: Run) -> list[dict]:
    if not run.proof:
        text = 'The checkpoint leaves out no frozen tensor: the method trains the whole backbone, or the file is whole.'
        return [dict(ok=False, text=text)]
    return [
        dict(
            ok=True,
            text=f'{info["tensors"]} tensors of {path} are frozen and are not in the checkpoint; their fingerprint '
            f'{info["fingerprint"][:16]}… was checked when the model was loaded for this page. {info["belongs_to"]}.',
        )
        for path, info in run.proof.items()
    ]
