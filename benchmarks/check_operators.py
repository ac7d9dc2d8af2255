"""RoIAlign and NMS on the card against the CPU: a wheel of mmcv may have been built for another card."""

import torch
from mmcv.ops import nms, roi_align

torch.manual_seed(0)
features, corners = torch.rand(1, 8, 32, 32), torch.rand(64, 4) * 16
boxes = torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:] + 1], 1)
rois, scores = torch.cat([torch.zeros(64, 1), boxes], 1), torch.rand(64)
on_cpu, on_gpu = roi_align(features, rois, (7, 7)), roi_align(features.cuda(), rois.cuda(), (7, 7)).cpu()
if not torch.allclose(on_cpu, on_gpu, atol=1e-4):
    raise SystemExit('RoIAlign differs between CPU and GPU.')
if not torch.equal(nms(boxes, scores, 0.5)[1], nms(boxes.cuda(), scores.cuda(), 0.5)[1].cpu()):
    raise SystemExit('NMS differs between CPU and GPU.')
print('mmcv operators agree on', torch.cuda.get_device_name())
