# The same for oriented boxes: parts of mmrotate in mmdet, named with their scope.
_base_ = './adamw_12e.py'
custom_imports = dict(imports=['mmest', 'mmest.datasets.oriented'])
visualizer = dict(type='mmrotate.RotLocalVisualizer')
