# A Swin Transformer small enough to be pretrained on two cores, and the schedule that all of the demo shares.
custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
backbone = dict(
    type='SwinTransformer',
    embed_dims=32,
    depths=[2, 2, 4, 2],
    num_heads=[2, 4, 8, 16],
    window_size=4,
    mlp_ratio=4,
    patch_norm=True,
    out_indices=(0, 1, 2, 3),
    drop_path_rate=0.0,
    frozen_stages=-1,
)
pretrained = dict(type='Pretrained', checkpoint='{{$MMEST_DEMO_DIR:work_dirs/demo}}/pretrain/pretrained.pth')
channels = [32, 64, 128, 256]

optim_wrapper = dict(
    constructor='TrainableOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys={'relative_position_bias_table': dict(decay_mult=0.0)}
    ),
    clip_grad=dict(max_norm=5.0),
)
custom_hooks = [dict(type='ESTHook')]
randomness = dict(seed=0)
