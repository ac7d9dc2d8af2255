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
