# Training a detector, by epochs.
_base_ = './default_runtime.py'
custom_imports = dict(imports=['mmest', 'mmest.datasets.detection'], allow_failed_imports=False)
default_scope = 'mmdet'
visualizer = dict(type='DetLocalVisualizer', vis_backends=_base_.vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
