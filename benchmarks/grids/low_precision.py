# Whether EST scores the same beside a backbone in bf16 or in 8 bits, with what it keeps for backward in 8 bits, and
# with AdamW's states in 8 bits (needs bitsandbytes): a detection and a segmentation, at the rates that the sweeps of
# accuracy.py chose for EST as it is.
_base_ = './accuracy.py'
accuracy = [
    dict(
        configs=[f'{task}_deit-t_est.py'],
        tunings=['est'],
        seeds=_base_.seeds,
        sweep=dict(_base_.of_method[task], variant=''),
        variant=lever.replace('_', ' '),
        options={'memory': [lever]},
    )
    for lever in ('frozen_bf16', 'frozen_int8', 'side_int8', 'adamw_8bit')
    for task in ('configs/detection/hrplanes/retinanet', 'configs/segmentation/epfl_road/segformer')
]
memory, time = [], []
