# What every training shares; detection_runtime.py and segmentation_runtime.py build on it.
custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
custom_hooks = [dict(type='ESTHook')]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Two, so that one is whole if the machine stops while the other is written.
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
env_cfg = dict(
    cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl')
)
vis_backends = [dict(type='LocalVisBackend')]
randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
