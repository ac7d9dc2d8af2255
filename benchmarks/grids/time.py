# Time of every method at a training size, on a machine that does nothing else. The methods of a cell take turns, so a
# cell takes as long as 10 steps of all of them.
configs = [
    'configs/detection/custom/faster-rcnn_swin-t_est.py',
    'configs/segmentation/custom/upernet_swin-t_est.py',
    'configs/detection/custom/retinanet_swin-t_est.py',
    'configs/detection/custom/faster-rcnn_vit-b_est.py',
]
step = dict(sizes=[(512, 512)], batch_sizes=[2], steps=6)
time = [
    dict(step, configs=configs),
    # What running the EST Blocks again costs in time; its memory is in levers.py.
    dict(
        step,
        configs=configs[:1],
        tunings=['est'],
        variant='not recomputed',
        options={'model.backbone.tuning.recompute': False},
    ),
]
