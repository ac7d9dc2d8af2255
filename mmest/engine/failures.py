"""What ends a training that was to be foreseen, in one sentence each."""

import difflib
import inspect
import re
import traceback
from pathlib import Path
from types import FrameType

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS
from torch import Tensor

from mmest.backbones.image_channels import READ, channels_of
from mmest.config_parts import parts_of
from mmest.engine.processes import unwrapped
from mmest.files import NO_ACCESS, may_be_in, place_of
from mmest.measure.batch_of_one import lone_values
from mmest.measure.device import memory_shortage

_PACKAGE = str(Path(__file__).resolve().parents[1])
_SHOWN = 12
_STEPS = ('train_step', 'val_step', 'test_step')  # of a model
# What gloo and NCCL say when the other side is gone.
_LOST = re.compile(r'gloo/transport/.*(closed by peer|reset by peer|Broken pipe)|ncclRemoteError')


def explain(error: BaseException, cfg: Config) -> str | None:
    """One sentence for an error out of a training, or None if it is none of those that can be foreseen.

    Args:
        error: with its traceback.
        cfg: the config of the training.
    """
    for of_kind in (
        _memory, _channels, _lone_values, _argument, _optimizer, _own, _package, _metric, _part, _processes, _half,
        _worker, _disk,
    ):  # fmt: skip
        sentence = of_kind(error, cfg)
        if sentence:
            return ' '.join(sentence.split())
    return None


def _frames(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _from(error: BaseException, function: str) -> FrameType | None:
    """The frame of a function that the error came through."""
    return next((frame for frame in _frames(error) if frame.f_code.co_name == function), None)


def _memory(error: BaseException, cfg: Config) -> str | None:
    shortage = memory_shortage(error)
    if shortage is None:
        return None
    batch = (cfg.get('train_dataloader') or {}).get('batch_size', 1)
    method = ((cfg.model.get('backbone') or {}).get('tuning') or {}).get('type', 'the method')
    half = batch // 2
    tries = [
        '' if cfg.get('memory') else '--memory lowest',
        '' if (cfg.get('optim_wrapper') or {}).get('type') == 'AmpOptimWrapper' else '--amp',
        f'--cfg-options train_dataloader.batch_size={half} (--batch {half} beside --data)' if half else '',
        '' if method in ('EST', 'Frozen') else '--tuning est, which keeps less',
        'smaller images',
    ]
    return (
        f'{shortage} for a batch of {batch} under {method}. Try {", or ".join(filter(None, tries))}; '
        '`mmest plan CONFIG --budget 8GiB` says what fits.'
    )


def _channels(error: BaseException, cfg: Config) -> str | None:
    """Images have other channels than the backbone takes, or than are normalised."""
    if not re.search('must match the size of tensor|channels, but got|If the mean has 3 values', str(error)):
        return None
    for frame in _frames(error):
        batch = frame.f_locals.get('data')
        images = batch.get('inputs') if frame.f_code.co_name in _STEPS and isinstance(batch, dict) else None
        if not isinstance(images, (list, Tensor)):
            continue
        model, shown = unwrapped(frame.f_locals['self']), len(images[0])
        takes, mean = channels_of(model), getattr(model.data_preprocessor, 'mean', None)
        if shown != takes:
            keeps = 'grayscale' if takes == 1 else 'unchanged'
            return (
                f'The model is given images of {shown} channels, but its backbone takes {takes}. mmest reads RGB, '
                f'whatever bands a file has: set in_channels={READ}, or have every pipeline load the bands by a '
                f"transform of yours, or by LoadImageFromFile with color_type='{keeps}'."
            )
        if mean is not None and len(mean) not in (1, shown):
            return (
                f'Images have {shown} channels, but mean and std of the data_preprocessor have {len(mean)} values; '
                'give them one for each channel, or one for all.'
            )
    return None


def _lone_values(error: BaseException, cfg: Config) -> str | None:
    if not lone_values(error):
        return None
    model = next((unwrapped(f.f_locals['self']) for f in _frames(error) if f.f_code.co_name == 'train_step'), None)
    inside = [frame.f_locals.get('self') for frame in _frames(error)]
    parts = model.named_children() if model else ()
    part = next((name for name, child in parts if any(child is one for one in inside)), '')
    norm = f'model.{part}.norm_cfg'
    other = f', or norms that need no batch (--cfg-options {norm}.type=GN {norm}.num_groups=32)'
    return (
        f'A batch norm{f" of {part}" if part else ""} was given one image whose map is a single pixel, which has no '
        'deviation. Take at least two images in a step on each card (--cfg-options train_dataloader.batch_size=2; '
        f'--batch 2 beside --data){other if part and "norm_cfg" in (cfg.model.get(part) or ()) else ""}.'
    )


def _argument(error: BaseException, cfg: Config) -> str | None:
    """A class was given what it does not take, or not what it needs."""
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if found is None:
        needs = re.search(r'(\w+)\.__init__\(\) (missing .*)', str(error))
        return needs and f'The config {cfg.filename} gives {needs[1]} too little: {needs[2]}.'
    name, argument = found.groups()
    keys = [f'{key}.{argument}'.lstrip('.') for key, part in parts_of(cfg) if argument in part]
    takes = _arguments(error, name)
    near = difflib.get_close_matches(argument, takes, n=1)
    hint = f'Did you mean {near[0]}?' if near else f'It takes {", ".join(takes[:_SHOWN])}.' if takes else ''
    return f'{name} takes no "{argument}", which the config gives it{f" as {keys[0]}" if keys else ""}. {hint}'.strip()


def _optimizer(error: BaseException, cfg: Config) -> str | None:
    """Mmengine looks at the arguments of an optimizer before it asks whether there is one of that name."""
    name = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type')
    if not isinstance(error, TypeError) or not isinstance(name, str) or OPTIMIZERS.get(name) is not None:
        return None
    near = difflib.get_close_matches(name, OPTIMIZERS.module_dict, n=3)
    return f'optim_wrapper.optimizer.type is "{name}", but there is no such optimizer. Is it {" or ".join(near)}?'


def _arguments(error: BaseException, name: str) -> list[str]:
    frames = _frames(error)
    classes = [*(frame.f_globals.get(name) for frame in frames), *(frame.f_locals.get('obj_cls') for frame in frames)]
    cls = next((cls for cls in classes if inspect.isclass(cls) and cls.__name__ == name), None)
    return list(inspect.signature(cls).parameters) if cls else []


def _package(error: BaseException, cfg: Config) -> str | None:
    if not isinstance(error, ImportError):
        return None
    said = re.search(r'pip install [\w ,.-]*\w', str(error))
    way = said[0] if said else f'pip install {(error.name or "").partition(".")[0]}'.strip()
    frame = _from(error, '_init_env')
    what = type(frame.f_locals['self']).__name__ if frame else f'The config {cfg.filename}'
    return f'{what} needs a package that is not installed. Install it ({way}), or take it out of the config.'


def _metric(error: BaseException, cfg: Config) -> str | None:
    """The best checkpoint, or early stopping, by a metric that the evaluation does not give."""
    frame, option = _from(error, '_save_best_checkpoint'), 'default_hooks.checkpoint.save_best'
    name = str(error).strip("'")
    if frame is None or not isinstance(error, KeyError):
        frame, option = _from(error, '_check_stop_condition') or _from(error, 'after_val_epoch'), 'monitor'
        found = re.search(r'conditioned on metric `(\S+?)`? ', str(error))
        if frame is None or found is None:
            return None
        name = found[1]
    metrics = list(frame.f_locals.get('metrics') or ())
    near = difflib.get_close_matches(name, metrics, n=1, cutoff=0.5)
    return (
        f'{option} is "{name}", which the evaluation does not give; there are {", ".join(metrics)}. '
        f'Set {option}={near[0] if near else metrics[0]}; the checkpoint of this epoch is written, so --resume goes on.'
        if metrics
        else f'{option} is "{name}", but the evaluation gives no metric at all.'
    )


def _part(error: BaseException, cfg: Config) -> str | None:
    """A part of the config names what is not registered, or does not say what it is."""
    said = str(error.args[0]) if error.args else ''
    if not isinstance(error, (KeyError, TypeError, AssertionError, ValueError)):
        return None
    if any(sign in said for sign in (' registry. ', 'must contain the key "type"')):
        return f'The config {cfg.filename} cannot be built: {said}'
    built = isinstance(error, (AssertionError, ValueError)) and said and not _from(error, 'run_iter')
    inside = _frames(error)[-1].f_globals.get('__name__', '') if built else ''
    return f'The config {cfg.filename} does not fit: {said}' if inside.startswith('mmengine.') else None


def _processes(error: BaseException, cfg: Config) -> str | None:
    """Of several: one is gone, or what trains of a model and what gets gradients are not the same to torch."""
    if 'find_unused_parameters=True' in str(error):
        return (
            'Part of what trains got no gradient in the last step, which several processes do not agree to. If the '
            'neck passes over the first maps of the backbone (start_level), take these out of out_indices and '
            'in_channels; else pass --cfg-options find_unused_parameters=True.'
        )
    if 'marked as ready twice' in str(error):
        return (
            'Blocks that run again in the backward pass (with_cp, --memory blocks_recomputed) and '
            'find_unused_parameters=True do not go together in several processes: leave one of them out.'
        )
    if _LOST.search(str(error)):
        return (
            'Another process of this training has ended, so this one cannot go on. What that one or torchrun says '
            'tells why; --resume goes on from the newest checkpoint.'
        )
    return None


def _half(error: BaseException, cfg: Config) -> str | None:
    """Mmrotate turns boxes by NumPy and by operators of mmcv that autocast does not know."""
    mixed = (cfg.get('optim_wrapper') or {}).get('type') in ('AmpOptimWrapper', 'Bfloat16OptimWrapper')
    rotated = any(frame.f_globals.get('__name__', '').startswith('mmrotate.') for frame in _frames(error))
    if mixed and rotated and re.search('BFloat16|Half|float16', str(error)):
        return f'Rotated boxes ended in half precision ({last_line(error)}). Train without --amp.'
    return None


def _worker(error: BaseException, cfg: Config) -> str | None:
    text = str(error)
    if 'DataLoader worker' in text and ('killed by signal' in text or 'exited unexpectedly' in text):
        workers = (cfg.get('train_dataloader') or {}).get('num_workers', 1) // 2
        return (
            'A process that loads data was ended from outside, most likely because memory ran out. Take fewer '
            f'(--cfg-options train_dataloader.num_workers={workers}), or a smaller batch.'
        )
    if isinstance(error, FileNotFoundError) and not _own(error, cfg):
        return f'{last_line(error)}: a file that the training needs is not there any more.'
    return None


def _disk(error: BaseException, cfg: Config) -> str | None:
    if not isinstance(error, OSError) or error.errno not in NO_ACCESS:
        return None
    if not may_be_in(error, Path(cfg.work_dir)):
        return f'{place_of(error)} cannot be read or written: {error.strerror}.'
    return f'Writing to {cfg.work_dir} failed: {error.strerror}. Make room, or name another one by --work-dir.'


def _own(error: BaseException, cfg: Config) -> str | None:
    """What mmest raises itself is a sentence; what a system call raises there has a number."""
    frames = _frames(error)
    raised_here = frames and frames[-1].f_code.co_filename.startswith(_PACKAGE) and not getattr(error, 'errno', None)
    return str(error) if raised_here and isinstance(error, (ValueError, OSError, RuntimeError)) else None


def last_line(error: BaseException) -> str:
    """The end of an error's text, where those of worker processes say what happened."""
    lines = str(error).strip().splitlines() or ['']
    return lines[-1]
