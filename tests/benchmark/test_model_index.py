"""The index for mim, in the repository and of any records, held against the records themselves."""

import json
import statistics
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from mmest.benchmark.tables.model_index import INDEX, METAFILE, index_files, write_index
from mmest.benchmark.tables.results import read_results
from mmest.configs import available_tunings, read_config

ROOT = Path(__file__).resolve().parents[2]
in_repository = pytest.mark.skipif(not (ROOT / INDEX).is_file(), reason='it is beside the package, not in it')
COLLECTIONS = f'configs/_base_/tunings/{METAFILE}'


def record(folder: Path, config: str, method: str, seed: int, miou: float, **more) -> None:
    text = "train_cfg = dict(max_iters=500, type='IterBasedTrainLoop')"
    content = dict(kind='accuracy', config=config, config_text=text, method=method, seed=seed, task='segmentation')
    content |= dict(metrics=dict(mIoU=miou, aAcc=90.0), **more)
    (folder / f'{len(list(folder.iterdir()))}.json').write_text(json.dumps(content))


def test_models_of_shipped_configs_are_listed_with_the_mean_over_the_seeds(tmp_path):
    config = 'configs/segmentation/dubai_neighbouring/fcn_deit-t_lora.py'
    record(tmp_path, config, 'lora', 0, 50.0)
    record(tmp_path, config, 'lora', 1, 51.0)
    record(tmp_path, config, 'lora', 0, 70.0, variant='rank 2')
    record(tmp_path, config, 'mona', 0, 0.0, failed=True, error=['no memory'])
    record(tmp_path, 'configs/segmentation/mine/fcn_deit-t_lora.py', 'lora', 0, 60.0)
    files = index_files(read_results([tmp_path]))
    models = f'configs/segmentation/dubai_neighbouring/{METAFILE}'
    assert yaml.safe_load(files[INDEX]) == {'Import': [COLLECTIONS, models]}
    assert [one['Name'] for one in yaml.safe_load(files[COLLECTIONS])['Collections']] == ['LoRA']
    result = {'Task': 'Semantic Segmentation', 'Dataset': 'dubai_neighbouring', 'Metrics': {'mIoU': 50.5}}
    assert yaml.safe_load(files[models])['Models'] == [
        {
            'Name': 'dubai_neighbouring_fcn_deit-t_lora',
            'In Collection': 'LoRA',
            'Config': 'configs/segmentation/dubai_neighbouring/fcn.py',
            'Metadata': {'Backbone': 'deit-t', 'Iterations': 500, 'Seeds': 2},
            'Results': [result],
        }
    ]


def test_metafiles_without_records_are_removed(tmp_path):
    (tmp_path / 'records').mkdir()
    record(tmp_path / 'records', 'configs/segmentation/dubai_neighbouring/fcn_deit-t_est.py', 'est', 0, 50.0)
    old = tmp_path / 'configs' / 'detection' / 'dior' / METAFILE
    old.parent.mkdir(parents=True)
    old.touch()
    write_index(read_results([tmp_path / 'records']), tmp_path)
    assert not old.exists()
    for path in yaml.safe_load((tmp_path / INDEX).read_text())['Import']:
        assert (tmp_path / path).is_file()


@in_repository
def test_the_index_of_the_repository_names_what_is_there():
    """Each name of a model is a config that trains it."""
    for path in yaml.safe_load((ROOT / INDEX).read_text())['Import']:
        content = yaml.safe_load((ROOT / path).read_text())
        for model in content.get('Models', ()):
            assert (ROOT / model['Config']).is_file()
            method = max((name for name in available_tunings() if model['Name'].endswith(f'_{name}')), key=len)
            cfg = read_config(model['Config'], tuning=method, backbone=model['Metadata']['Backbone'])
            assert cfg.model.backbone.tuning.type == model['In Collection']


@in_repository
def test_no_figure_of_the_repository_differs_from_its_records():
    held = defaultdict(list)
    for path in (ROOT / 'benchmarks' / 'results').glob('accuracy_*.json'):
        content = json.loads(path.read_text())
        if not content['failed'] and not content.get('variant'):
            name = path.stem.removeprefix('accuracy_').rpartition('_seed')[0]
            metrics = content['metrics']
            held[name].append(metrics['mIoU'] if 'mIoU' in metrics else 100 * metrics['coco/bbox_mAP'])
    stated = {}
    for path in yaml.safe_load((ROOT / INDEX).read_text())['Import']:
        for model in yaml.safe_load((ROOT / path).read_text()).get('Models', ()):
            ((_, figure),) = model['Results'][0]['Metrics'].items()
            stated[model['Name']] = (figure, model['Metadata']['Seeds'])
    assert stated.keys() == held.keys()
    for name, (figure, seeds) in stated.items():
        assert seeds == len(held[name]) and figure == pytest.approx(statistics.mean(held[name]), abs=0.006), name
