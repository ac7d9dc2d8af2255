# The part of a pipeline that reads four corners and makes of them what mmrotate's heads take: middle, sides and angle.
load_oriented = [
    dict(type='LoadAnnotations', with_bbox=True, box_type='qbox'),
    dict(type='mmrotate.ConvertBoxType', box_type_mapping=dict(gt_bboxes='rbox')),
]
