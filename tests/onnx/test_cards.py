"""Where a graph runs."""

import logging
from types import SimpleNamespace

import pytest

from mmest.onnx import devices, model
from mmest.onnx.devices import card_or_cpu

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


def runtime(*there, used=()):
    """An onnxruntime with some providers, of which its sessions come to use some."""
    told = SimpleNamespace(custom_metadata_map={model.KEY: '{}'})
    return SimpleNamespace(
        InferenceSession=lambda content, providers: SimpleNamespace(
            get_modelmeta=lambda: told, get_providers=lambda: used
        ),
        get_available_providers=lambda: there,
        capi=SimpleNamespace(onnxruntime_pybind11_state=SimpleNamespace(InvalidProtobuf=RuntimeError)),
    )


@pytest.mark.parametrize(
    'there, device, said',
    [
        ([CPU[0]], 'cuda', 'device cuda needs onnxruntime-gpu.*pip install onnxruntime-gpu; or pass --device cpu'),
        (['AzureExecutionProvider', CPU[0]], 'cuda:1', 'device cuda:1 needs onnxruntime-gpu'),
        ([card(0)[0], CPU[0]], 'cuda:7', 'cannot use cuda:7: there is no such card'),  # it falls back, and logs it
        ([card(0)[0], CPU[0]], 'mps', 'runs on cpu, cuda or one card such as cuda:0, but --device is "mps"'),
    ],
)
def test_no_graph_runs_on_a_cpu_that_was_to_run_on_another_device(monkeypatch, there, device, said):
    monkeypatch.setattr(model, 'onnxruntime', lambda: runtime(*there, used=[CPU[0]]))
    with pytest.raises(ValueError, match=said):
        model.OnnxModel(b'', device)


@pytest.mark.parametrize('there, wanted', [([CPU[0]], 'cpu'), ([card(0)[0], CPU[0]], 'cuda:1')])
def test_where_nobody_named_a_device_a_card_that_is_not_used_is_said(monkeypatch, there, wanted):
    monkeypatch.setattr(devices, 'onnxruntime', lambda: runtime(*there))
    told = []
    monkeypatch.setattr(devices, 'print_log', lambda text, logger, level: told.append((text, level)))
    assert card_or_cpu('cpu') == 'cpu' and not told
    assert card_or_cpu('cuda:1') == wanted
    assert [level for _, level in told] == [logging.WARNING] * (wanted == 'cpu')
    assert all('To take cuda:1: pip uninstall onnxruntime' in text for text, _ in told)
