"""Several tasks trained over one frozen forward pass."""

import runpy
from pathlib import Path

import pytest
import torch
from toy import METHODS, build, image

import mmest

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / 'docs' / 'examples' / 'two_tasks.py'))


@pytest.fixture
def at_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_tasks_learn_over_one_forward_pass_a_step(at_tmp_path):
    models, shared, losses = EXAMPLE['main'](60)
    first, last = torch.tensor(losses[:5]).mean(0), torch.tensor(losses[-5:]).mean(0)
    assert (last < 0.7 * first).all()
    assert shared.forwards == 60
    assert models['boxes'].backbone.backbone is models['ground'].backbone.backbone
    image = EXAMPLE['scenes']()[0]
    for name, model in models.items():
        torch.manual_seed(0)  # the pretrained weights
        alone = EXAMPLE['Model'](mmest.tune(EXAMPLE['pretrained'](), 'EST'), 3 if name == 'boxes' else 2)
        mmest.load_delta(alone, f'{name}.pth')
        assert torch.equal(alone.eval()(image), model.eval()(image))


def test_together_they_learn_what_each_learns_alone(at_tmp_path, monkeypatch):
    """Bit for bit: losses and all that trained."""
    together, _, losses = EXAMPLE['main'](3)
    monkeypatch.setattr(mmest, 'SharedBackbone', lambda tuned: None)
    alone, _, losses_alone = EXAMPLE['main'](3)
    assert losses == losses_alone
    for (name, a), b in zip(together.state_dict().items(), alone.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize('dtype', ['bf16', 'int8'])
def test_models_that_ran_alone_before_share_narrow_weights_too(dtype):
    """Whichever of them comes first."""
    models = []
    for method in ('est', 'lst'):
        torch.manual_seed(0)
        model = mmest.TunedBackbone(build('swin'), METHODS[method], allow_random=True, frozen_dtype=dtype)
        model.init_weights()
        models.append(model.eval())
    with torch.no_grad():
        alone = [model(image()) for model in models]
        shared = mmest.SharedBackbone(models)
        together = [models[number](image()) for number in (1, 0)][::-1]
    assert shared.forwards == 1
    for wanted, found in zip(alone, together):
        assert all(map(torch.equal, wanted, found))


def over_one_backbone(*methods: str) -> list[mmest.TunedBackbone]:
    """Models of equal frozen weights, each with what it might have learned."""
    models = []
    for number, method in enumerate(methods):
        torch.manual_seed(0)
        backbone = build('swin')
        torch.manual_seed(number)
        model = mmest.TunedBackbone(backbone, METHODS[method], allow_random=True)
        for p in model.method.parameters():
            torch.nn.init.normal_(p, std=0.1)
        models.append(model)
    return models


@pytest.mark.parametrize(
    'methods', [('est', 'e3va'), ('e3va', 'e3va', 'lst'), ('frozen', 'dtl', 'side_tuning', 'e3va')]
)
def test_each_sees_what_it_reads_by_itself(methods):
    """Of blocks, and of what lies inside of and between them."""

    def outputs_and_gradients(model):
        model.train().zero_grad()
        torch.manual_seed(7)  # of dropout
        outputs = model(image())
        if outputs[0].requires_grad:
            sum(output.square().sum() for output in outputs).backward()
        return [*outputs, *(p.grad.clone() for p in model.parameters() if p.grad is not None)]

    models = over_one_backbone(*methods)
    alone = [outputs_and_gradients(model) for model in models]
    shared = mmest.SharedBackbone(models)
    together = [outputs_and_gradients(model) for model in models]
    assert shared.forwards == 1
    for wanted, found in zip(alone, together):
        assert len(wanted) == len(found) and all(map(torch.equal, wanted, found))


def test_a_buffer_that_is_filled_anew_is_another_batch():
    models = over_one_backbone('est', 'frozen')
    first, second = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        alone = models[1](second)
        shared = mmest.SharedBackbone(models)
        buffer = first.clone()
        models[0](buffer)
        buffer.numpy()[:] = second.numpy()  # which torch does not count as a change
        together = models[1](buffer)
    assert shared.forwards == 2
    assert all(map(torch.equal, alone, together))


def test_a_batch_in_another_precision_is_another_batch():
    models = over_one_backbone('est', 'frozen')
    with torch.no_grad():
        alone = models[1](image())
        mmest.SharedBackbone(models)
        with torch.autocast('cpu', torch.bfloat16):
            models[0](image())
        together = models[1](image())
    assert all(map(torch.equal, alone, together))


def test_what_was_read_to_predict_is_not_what_another_trains_on():
    models = over_one_backbone('est', 'lst')
    mmest.SharedBackbone(models)
    with torch.inference_mode():
        models[0](image())
    sum(output.sum() for output in models[1](image())).backward()
    assert models[1].method.reduce[0].weight.grad.any()
