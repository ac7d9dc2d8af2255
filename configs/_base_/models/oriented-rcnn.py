# What Oriented R-CNN (Xie et al., 2021) changes of Faster R-CNN, with the settings of mmrotate: a proposal is a
# parallelogram, from which rotated features are pooled. Angles lie in [-90°, 90°).
_base_ = './faster-rcnn.py'
model = dict(
    data_preprocessor=dict(boxtype2tensor=False),
    rpn_head=dict(
        type='mmrotate.OrientedRPNHead',
        anchor_generator=dict(use_box_type=True),
        bbox_coder=dict(
            _delete_=True,
            type='mmrotate.MidpointOffsetCoder',
            angle_version='le90',
            target_means=[0, 0, 0, 0, 0, 0],
            target_stds=[1, 1, 1, 1, 0.5, 0.5],
        ),
        loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            type='mmrotate.RotatedSingleRoIExtractor',
            roi_layer=dict(_delete_=True, type='RoIAlignRotated', out_size=7, sample_num=2, clockwise=True),
        ),
        bbox_head=dict(
            predict_box_type='rbox',
            reg_class_agnostic=True,
            bbox_coder=dict(
                type='mmrotate.DeltaXYWHTRBBoxCoder',
                angle_version='le90',
                norm_factor=None,
                edge_swap=True,
                proj_xy=True,
                target_means=(0, 0, 0, 0, 0),
                target_stds=(0.1, 0.1, 0.2, 0.2, 0.1),
            ),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(allowed_border=0, assigner=dict(iou_calculator=dict(type='mmrotate.RBbox2HBboxOverlaps2D'))),
        rpn_proposal=dict(max_per_img=2000, nms=dict(iou_threshold=0.8)),
        rcnn=dict(assigner=dict(iou_calculator=dict(type='mmrotate.RBboxOverlaps2D'))),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=2000, nms=dict(iou_threshold=0.8)),
        rcnn=dict(nms_pre=2000, min_bbox_size=0, nms=dict(type='nms_rotated', iou_threshold=0.1), max_per_img=2000),
    ),
)
