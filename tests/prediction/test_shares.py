"""Several processes share images; a run that was ended goes on."""

import os

import numpy as np
import official_trees as trees
import pytest
from mmengine.config import Config
from PIL import Image
from processes import run_in_processes
from scenes import COLOURS, RECTANGLES, SIZE, Colours
from test_predict_command import run  # noqa: F401

from mmest.cli import _prediction_task as task
from mmest.cli import main
from mmest.prediction.shares import Processes


class Model(Colours):
    reading = dict(scale=None, bands=None)

    def __init__(self, *_):
        pass


class Segmentor(Model):
    detects = False


def predict(rank, model, *args):
    task.Model = model
    main(['predict', *map(str, args)])


@pytest.fixture
def images(tmp_path):
    """Five images of several sizes, with few and many objects."""
    numbers = np.zeros(SIZE[::-1], np.uint8)
    for label, x0, y0, x1, y1 in RECTANGLES:
        numbers[y0:y1, x0:x1] = label
    for number, width in enumerate([700, 100, 400, 250, 120]):
        trees.write(tmp_path / f'in/{number}.png', COLOURS[numbers[:, :width]])
    (tmp_path / 'model.pth').write_text('')
    for number in range(5):  # the results of a run are newer than what it reads
        os.utime(tmp_path / f'in/{number}.png', (1, 1))
    os.utime(tmp_path / 'model.pth', (1, 1))
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob('[!.]*')}


@pytest.mark.parametrize('model', [Model, Segmentor])
def test_two_processes_write_exactly_the_files_of_one(model, images, monkeypatch):
    monkeypatch.setattr(task, 'Model', model)
    common = (images / 'model.pth', images / 'in', '--out')
    predict(0, model, *common, images / 'one')
    run_in_processes(predict, 2, images / 'errors', model, *common, images / 'two')
    files = contents(images / 'one')
    assert len(files) == 5 * (3 if model is Model else 2) and contents(images / 'two') == files


def test_all_images_are_shared_and_none_is_taken_twice(images):
    paths = sorted((images / 'in').iterdir())
    for count in (1, 2, 3, 7):
        shares = [Processes(rank, count).share(paths) for rank in range(count)]
        assert sorted(path for share in shares for path in share) == paths
        assert all(share == sorted(share) for share in shares), 'in the order that they come in'
    sizes = [sum(path.stat().st_size for path in Processes(rank, 2).share(paths)) for rank in (0, 1)]
    assert max(sizes) - min(sizes) <= max(path.stat().st_size for path in paths)


@pytest.mark.parametrize('boxes', [False, True])
def test_resume_makes_what_is_missing_and_nothing_else(run, images, boxes):  # noqa: F811
    args, out = (images / 'model.pth', images / 'in', '--out', images / 'out'), images / 'out'
    main_file = '2_coco.json' if boxes else '2_mask.png'
    assert run(*args, boxes=boxes)[0] == 0
    whole = contents(out)
    (out / '0_overlay.png').unlink()  # ended between two files
    os.utime(out / '2_overlay.png', (1, 1))  # ended while files of an earlier run were replaced
    (out / main_file).write_bytes(b'')
    os.utime(out / main_file)
    kept = {path.name: path.stat().st_ino for path in out.glob('[134]*')}
    assert 'would be written over' in run(*args, boxes=boxes)[0]
    code, said = run(*args, '--resume', boxes=boxes)
    assert code == 0 and said.out.startswith('3 of 5 images have their results.') and said.out.count('Wrote') == 2
    assert contents(out) == whole
    assert {path.name: path.stat().st_ino for path in out.glob('[134]*')} == kept


def test_resume_refuses_results_of_another_model(run, images):  # noqa: F811
    args = (images / 'model.pth', images / 'in', '--out', images / 'out')
    assert run(*args)[0] == 0
    before = contents(images / 'out')
    os.utime(images / 'model.pth')  # a copy of it is no other model
    assert run(*args, '--resume')[0] == 0
    (images / 'model.pth').write_text('trained on')
    os.utime(images / 'model.pth', (1, 1))
    code, _ = run(*args, '--resume')
    assert '0_overlay.png was made with MODEL model.pth (e3b0c44298fc1c14), and this run has MODEL model.pth (' in code
    assert contents(images / 'out') == before
    os.utime(images / 'in/0.png')
    later = (images / 'out/0_mask.png').stat().st_mtime + 9
    os.utime(images / 'in/0.png', (later, later))
    code, _ = run(*args, '--resume')
    assert '0_mask.png is older than' in code and 'pass --overwrite instead of --resume' in code


OPTIONS = [
    (('--tile', 96, '--overlap', 20), '--tile 200, and this run has --tile 96'),
    (('--overlap', 41), '--overlap 40, and this run has --overlap 41'),
    (('--score', 0.5), '--score 0.3, and this run has --score 0.5'),
    (('--scale', 0, 99), 'no --scale, and this run has --scale [0.0, 99.0]'),
    (('--bands', '3,2,1'), 'no --bands, and this run has --bands [3, 2, 1]'),
    (('--config', 'est_swin-t'), 'no --config, and this run has --config est_swin-t ('),
]


@pytest.mark.parametrize('boxes', [False, True])
@pytest.mark.parametrize('options, said', OPTIONS, ids=[options[0] for options, _ in OPTIONS])
def test_resume_refuses_results_of_other_options(run, images, monkeypatch, options, said, boxes):  # noqa: F811
    """And goes on where they are those of before, or the defaults written out."""
    monkeypatch.setattr(task, 'open_config', lambda name: Config(dict(name=name)))
    if options[0] == '--score' and not boxes:
        return
    args, out = (images / 'model.pth', images / 'in', '--out', images / 'out'), images / 'out'
    assert run(*args, boxes=boxes)[0] == 0
    (out / '1_overlay.png').unlink()
    before = contents(out)
    code, _ = run(*args, *options, '--resume', boxes=boxes)
    assert f'0_overlay.png was made with {said}' in code
    assert 'give the options of that run, name another folder by --out, or pass --overwrite' in code
    assert contents(out) == before
    assert run(*args, '--tile', 200, '--overlap', 40, '--resume', boxes=boxes)[0] == 0
    assert run(*args, *options, '--overwrite', boxes=boxes)[0] == 0
    assert run(*args, *options, '--resume', boxes=boxes)[0] == 0
    assert 'this run has' in run(*args, '--resume', boxes=boxes)[0]


def test_resume_refuses_results_that_do_not_say_their_options(run, images):  # noqa: F811
    args = (images / 'model.pth', images / 'in', '--out', images / 'out')
    assert run(*args)[0] == 0
    Image.new('RGB', (9, 9)).save(images / 'out/2_overlay.png')
    code, _ = run(*args, '--resume')
    assert '2_overlay.png does not say with which options it was made, name another folder by --out' in code


def refuse(rank, folder):
    """What one process may not do, none does."""
    with pytest.raises(SystemExit) as end:
        predict(rank, Segmentor, folder / 'model.pth', folder / 'in', '--out', folder / 'out')
    assert '3_mask.png would be written over' in str(end.value)


def test_all_processes_refuse_before_any_writes(images):
    trees.write(images / 'out/3_mask.png', COLOURS[np.zeros((9, 9), int)])
    run_in_processes(refuse, 2, images / 'errors', images)
    assert [path.name for path in (images / 'out').iterdir()] == ['3_mask.png']
