"""The table of a paper."""

import json

import pytest
from few_records import by_method, memory, training

from mmest.benchmark.tables.page import Page
from mmest.benchmark.tables.paper import paper_tables
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.training_details import training_details


def test_the_form_of_a_paper(tmp_path):
    def record(name, **about):
        (tmp_path / f'{name}.json').write_text(json.dumps(about))

    for method, score, peak in (('full', 88.0, 400), ('est', 87.0, 100)):
        for data, head, metrics in (
            ('potsdam_five-classes', 'upernet', {'mIoU': score}),
            ('dior', 'faster-rcnn', {'pascal_voc/mAP': 0.1, 'pascal_voc/AP50': score / 100}),
        ):
            about = dict(config=f'configs/x/{data}/{head}_swin-b_est.py', metrics=metrics)
            record(f'{data}_{method}', **training(data, method, 0, 0.0, **about))
        record(f'memory_{method}', **memory(method, peak, config='configs/x/custom/upernet_swin-b_est.py'))
    [table] = paper_tables(read_results([tmp_path]))
    rows = by_method(table)
    assert list(rows) == ['full', 'est', 'full, published (literature, origin not traced)']
    assert float(rows['est']['DIOR, AP50 (faster-rcnn) mean']) == pytest.approx(87)
    assert float(rows['est']['memory of full']) == 0.25
    # What was not measured is neither failed nor the mean of something else.
    record('dior_lora', **training('dior', 'lora', 0, 0.5, config='configs/x/dior/faster-rcnn_swin-b_est.py'))
    wide = dict(config='configs/x/custom/upernet_swin-b_est.py', size=[96, 96])
    for method, peak in dict(full=800, est=400).items():
        record(f'memory_wide_{method}', **memory(method, peak, **wide))
    record('memory_lora', **memory('lora', 200, config=wide['config']))
    record('memory_mona', **memory('mona', 200, config=wide['config']))
    broken = {**memory('mona', 1, **wide), 'failed': True, 'error': ['out of memory']}
    record('memory_wide_mona', **{key: value for key, value in broken.items() if key != 'tunings'})
    broken = {**training('dior', 'mona', 0, 0.0), 'failed': True, 'error': ['no']}
    record('dior_mona', **{**broken, 'config': 'configs/x/dior/faster-rcnn_swin-b_est.py'})
    rows = by_method(paper_tables(read_results([tmp_path]))[0])
    assert float(rows['est']['memory of full']) == (0.25 + 0.5) / 2 and rows['lora']['memory of full'] == ''
    assert rows['lora']['DIOR, AP50 (faster-rcnn) mean'] == '' and float(rows['lora']['trained, M']) == 20 / 1e6
    assert rows['mona']['DIOR, AP50 (faster-rcnn) mean'] == rows['mona']['memory of full'] == 'failed'
    details = by_method(training_details(read_results([tmp_path]), 'faster-rcnn_swin-b', 'dior'))
    assert float(details['est']['AP50 mean']) == pytest.approx(87)
    published = list(rows.values())[-1]
    assert published['Potsdam, clutter ignored, mIoU (upernet) mean'] == '88.36'
    assert not published['DIOR, AP50 (faster-rcnn) mean']
    Page(read_results([tmp_path])).write(tmp_path / 'out')
    page = (tmp_path / 'out/benchmarks/paper.md').read_text()
    assert 'swin-b: full fine-tuning' in page and 'another head' in page
    assert r'\toprule' in next((tmp_path / 'out/benchmarks/files').glob('paper_swin-b*.tex')).read_text()
