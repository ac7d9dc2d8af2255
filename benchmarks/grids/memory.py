# Memory of every method at a training size, the small backbones first, and of a ResNet-50 with the head it mostly has.
# Swin-L needs about 8 GB, and minutes per method.
backbones = ['swin-t', 'vit-b', 'swin-b', 'swin-l']
heads = ['detection/custom/faster-rcnn', 'detection/custom/retinanet', 'segmentation/custom/upernet']
memory = [
    dict(configs=[f'configs/{head}_{backbone}_est.py' for head in heads], sizes=[(512, 512)], batch_sizes=[2])
    for backbone in backbones
]
memory.append(dict(configs=['configs/detection/custom/faster-rcnn_r50_est.py'], sizes=[(512, 512)], batch_sizes=[2]))
