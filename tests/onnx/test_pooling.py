"""Maps of any size are pooled to a number of cells as torch pools them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.onnx.pooling import translation

pytest.importorskip('onnx', reason='onnx is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
pytest.importorskip('onnxscript', reason='onnxscript is not installed')


class Pyramid(nn.Module):
    """As heads with a pyramid of pooled maps have it."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.adaptive_avg_pool2d(x, cells).flatten(2) for cells in (1, 2, (3, 6))], 2)


@pytest.fixture(scope='module')
def graph():
    sides = {2: torch.export.Dim('height'), 3: torch.export.Dim('width')}
    program = torch.export.export(Pyramid(), (torch.rand(1, 4, 9, 11),), dynamic_shapes=(sides,), strict=False)
    made = torch.onnx.export(program, (), dynamo=True, opset_version=18, custom_translation_table=translation())
    return onnxruntime.InferenceSession(made.model_proto.SerializeToString())


@pytest.mark.parametrize('height, width', [(9, 11), (16, 12), (7, 31), (3, 4)])
def test_cells_are_those_of_torch(graph, height, width):
    x = torch.rand(1, 4, height, width)
    (found,) = graph.run(None, {graph.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, Pyramid()(x), atol=1e-6)
