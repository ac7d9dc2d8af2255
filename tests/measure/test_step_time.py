import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper

from mmest.measure.step_time import alternating_step_times


class Regression(BaseModel):
    """Counts its steps; the loss has a gradient wherever the weights are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.steps = 0

    def forward(self, inputs, mode='tensor'):
        self.steps += 1
        return dict(loss=self.layer(inputs).sum())


def test_every_step_finds_the_same_weights_and_rates_come_back():
    models = {}
    for name, rate in [('a', 0.1), ('b', 0.2)]:
        model = Regression()
        models[name] = model, OptimWrapper(torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1))
    before = {name: model.layer.weight.clone() for name, (model, _) in models.items()}
    seconds = alternating_step_times(models, dict(inputs=torch.ones(2, 3)), warm_up=2, steps=3)
    assert {name: len(times) for name, times in seconds.items()} == {'a': 3, 'b': 3}
    for name, (model, optim_wrapper) in models.items():
        assert model.steps == optim_wrapper.optimizer.state[model.layer.weight]['step'] == 5
        assert torch.equal(model.layer.weight, before[name])
    assert [optim_wrapper.get_lr()['lr'][0] for _, optim_wrapper in models.values()] == [0.1, 0.2]


def test_rates_come_back_when_a_step_fails():
    model = Regression()
    optim_wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=0.1))
    with pytest.raises(RuntimeError, match='cannot be multiplied'):
        alternating_step_times(dict(a=(model, optim_wrapper)), dict(inputs=torch.ones(2, 4)))
    assert optim_wrapper.get_lr()['lr'] == [0.1]
