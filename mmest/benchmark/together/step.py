"""A training step whose every part stays on the device: as a CUDA graph, or run as it is."""

from collections.abc import Sequence

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmest.engine.optim import WAYS

from .batches import Batches
from .losses import losses_of

WARM_UP = 2
#: What each group of the optimizer has for itself, and what says how it steps.
_OF_GROUPS = ('type', 'lr', 'weight_decay', *WAYS, 'capturable')


def refuse_what_a_runner_would_do(cfg: Config) -> None:
    """Look for what changes the numbers of a training and is done by a runner alone.

    Raises:
        ValueError: the optimizer is none that is known here, or sums gradients, casts or clips by value; or there are
            hooks besides ESTHook, as one that averages weights.
    """
    wrapper, hooks = cfg.optim_wrapper, cfg.get('custom_hooks') or []
    if wrapper.optimizer.type != 'AdamW':
        raise ValueError(f'Trainings side by side are those of AdamW, but the config has {wrapper.optimizer.type}.')
    asked = [
        ('optim_wrapper.type', wrapper.get('type', 'OptimWrapper'), 'OptimWrapper'),
        ('optim_wrapper.accumulative_counts', wrapper.get('accumulative_counts', 1), 1),
        ('optim_wrapper.clip_grad.type', (wrapper.get('clip_grad') or {}).get('type', 'norm'), 'norm'),
        *(('custom_hooks', hook['type'], 'ESTHook') for hook in hooks),
    ]
    for place, found, known in asked:
        if found != known:
            raise ValueError(
                f'Trainings side by side know {known} alone in {place}, but the config has {found}. Train without '
                '--together.'
            )


class TrainingStep:
    """Steps of one model through a sequence of batches; :meth:`start` begins another training of it.

    Args:
        cfg: config of the training, which :func:`refuse_what_a_runner_would_do` let pass.
        model: on its device.
        groups: parameters and weight decay of each group of the optimizer.
        batches: on the device. The steps read them in order; the caller may fill in others before a training.
    """

    def __init__(self, cfg: Config, model: nn.Module, groups: Sequence[dict], batches: Batches) -> None:
        self.model, device = model, batches['images'].device
        optimizer = {name: value for name, value in cfg.optim_wrapper.optimizer.items() if name not in _OF_GROUPS}
        clip = cfg.optim_wrapper.get('clip_grad')
        self.clip_grad = clip and {name: value for name, value in clip.items() if name != 'type'}
        self.stream = torch.cuda.Stream() if device.type == 'cuda' else None
        groups = [dict(group, lr=torch.zeros((), device=device)) for group in groups]
        self.optimizer = torch.optim.AdamW(groups, **optimizer, capturable=self.stream is not None, fused=True)
        self.rates = torch.zeros(len(groups), device=device)
        self.schedule = torch.ones(len(batches['images']), device=device)
        self.losses = torch.zeros(len(batches['images']), device=device)
        self.at = torch.zeros(1, dtype=torch.long, device=device)
        self._losses = losses_of(model, batches, self.at)
        self._graph: torch.cuda.CUDAGraph | None = None

    def start(self, weights: dict[str, Tensor], rates: Sequence[float], schedule: Tensor) -> None:
        """Begin a training.

        Args:
            weights: state dict that the model starts from.
            rates: learning rate of each group.
            schedule: factor on the rates at each step, 1-dimensional.
        """
        if self.stream and self._graph is None:
            self._take(weights)
            self._capture()
        self._take(weights)
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        self.rates.copy_(torch.tensor(rates))
        self.schedule[: len(schedule)] = schedule.to(self.schedule)
        self.at.zero_()
        self.losses.zero_()
        self.model.train()
        if self.stream:
            self.stream.wait_stream(torch.cuda.current_stream())

    def __call__(self) -> None:
        """The next step. On a card it returns before the step is done."""
        if self._graph is None:
            self._step()
            return
        with torch.cuda.stream(self.stream):
            self._graph.replay()

    def _take(self, weights: dict[str, Tensor]) -> None:
        for name, value in self.model.state_dict().items():
            value.copy_(weights[name])

    def _capture(self) -> None:
        self.model.train()
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):  # libraries and the optimizer make what they keep
                self._step()
        torch.cuda.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self._step()
        self._graph = graph

    def _step(self) -> None:
        loss, _ = self.model.parse_losses(self._losses())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_grad:
            parameters = [p for group in self.optimizer.param_groups for p in group['params']]
            nn.utils.clip_grad_norm_(parameters, **self.clip_grad)
        rates = self.rates * self.schedule.index_select(0, self.at)
        for group, rate in zip(self.optimizer.param_groups, rates.unbind()):
            group['lr'].copy_(rate)
        self.optimizer.step()
        self.losses.index_copy_(0, self.at, loss.detach()[None])
        self.at.add_(1)
