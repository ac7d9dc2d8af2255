#!/usr/bin/env bash
# Measures benchmarks/grids/gpu.py on the GPU of this machine, after a check that its operators and counts can be trusted. Run it again
# after an interruption and it goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON_BIN:-.venv/bin/python}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
# RoIAlign and NMS against the CPU: a wheel of mmcv may have been built for another card.
"$python" - <<'PY'
import torch
from mmcv.ops import nms, roi_align
torch.manual_seed(0)
features, corners = torch.rand(1, 8, 32, 32), torch.rand(64, 4) * 16
boxes = torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:] + 1], 1)
rois, scores = torch.cat([torch.zeros(64, 1), boxes], 1), torch.rand(64)
on_cpu, on_gpu = roi_align(features, rois, (7, 7)), roi_align(features.cuda(), rois.cuda(), (7, 7)).cpu()
assert torch.allclose(on_cpu, on_gpu, atol=1e-4), 'RoIAlign differs between CPU and GPU'
assert torch.equal(nms(boxes, scores, 0.5)[1], nms(boxes.cuda(), scores.cuda(), 0.5)[1].cpu()), 'NMS differs between CPU and GPU'
print('mmcv operators agree on', torch.cuda.get_device_name())
PY
# The allocator's peak against the count of live tensors.
"$python" -m pytest -q tests/measure/test_memory_detail.py
"$python" tools/benchmark.py benchmarks/grids/gpu.py --out benchmarks/results
