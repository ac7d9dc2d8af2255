# Training a segmentor, by iterations.
_base_ = './default_runtime.py'
custom_imports = dict(imports=['mmest', 'mmest.datasets.segmentation'], allow_failed_imports=False)
default_scope = 'mmseg'
default_hooks = dict(logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=2000))
visualizer = dict(type='SegLocalVisualizer', vis_backends=_base_.vis_backends, name='visualizer', alpha=0.5)
log_processor = dict(by_epoch=False)
