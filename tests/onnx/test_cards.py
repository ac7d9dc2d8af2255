"""Where a graph runs."""

from types import SimpleNamespace

import pytest

from mmest.onnx import model

CPU = ('CPUExecutionProvider', {})


def card(number):
    return 'CUDAExecutionProvider', dict(device_id=number)


@pytest.mark.parametrize(
    'device, wanted',
    [('cpu', [CPU]), ('cuda', [card(0), CPU]), ('cuda:0', [card(0), CPU]), ('cuda:3', [card(3), CPU])],
)
def test_a_graph_runs_on_the_card_that_is_named(monkeypatch, device, wanted):
    """As each process of torchrun has one of its own."""
    asked = []

    def session(content, providers):
        asked.extend(providers)
        return SimpleNamespace(get_modelmeta=lambda: SimpleNamespace(custom_metadata_map={}))

    runtime = SimpleNamespace(
        InferenceSession=session,
        get_available_providers=lambda: ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider'],
        capi=SimpleNamespace(onnxruntime_pybind11_state=SimpleNamespace(InvalidProtobuf=RuntimeError)),
    )
    monkeypatch.setattr(model, 'onnxruntime', lambda: runtime)
    with pytest.raises(ValueError, match='does not say what its numbers mean'):
        model.OnnxModel(b'', device)
    assert asked == wanted
