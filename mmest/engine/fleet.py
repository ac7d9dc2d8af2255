"""Many tuned models in memory over one frozen backbone."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from torch import Tensor, nn

from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones
from mmest.checkpoints.digests import digest
from mmest.checkpoints.safe import load_file
from mmest.configs import config_of
from mmest.frameworks import framework_of, name_scope_of_transforms
from mmest.measure.parameters import render


def _frozen_places(tuned: TunedBackbone) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """(module, attribute, tensor) of every frozen tensor of a backbone, as it is kept."""
    tuned.settle()
    for name, _ in tuned.frozen_state():
        path, _, attribute = name.rpartition('.')
        module = tuned.backbone.get_submodule(path)
        yield module, attribute, getattr(module, attribute).detach()


class Fleet:
    """Tasks by name, each a model of its own method, neck, head and classes, whose frozen weights lie in memory once.

    ::

        fleet = Fleet()
        fleet.load('planes', 'work_dirs/planes_est/epoch_12.pth')
        fleet.load('land cover', 'work_dirs/potsdam_lora/iter_20000.pth')
        inference_detector(fleet['planes'], image)
        inference_model(fleet.switch('land cover'), image)

    The tasks may be of both frameworks, loaded in any order. The models share storage: never train one of them, nor
    merge its method into its backbone; load a checkpoint by itself for that.

    Args:
        device: where the models go.
    """

    def __init__(self, device: str = 'cpu') -> None:
        self.device = device
        self.active: str | None = None
        self._models: dict[str, nn.Module] = {}
        self._shared: dict[str, Tensor] = {}

    @property
    def names(self) -> list[str]:
        """Names of the tasks, in the order in which they were loaded."""
        return list(self._models)

    def __getitem__(self, name: str) -> nn.Module:
        if name not in self._models:
            raise KeyError(f'There is no task "{name}" in the fleet; it has {", ".join(self.names) or "none"}.')
        return self._models[name]

    def load(self, name: str, delta: str, config: str | None = None) -> nn.Module:
        """Load a delta checkpoint as a task, and make it the active one.

        Args:
            name: of the task.
            delta: the checkpoint.
            config: the config that it was trained with (default: the copy inside the checkpoint).

        Returns:
            The model, in eval mode, ready for the inference functions of its framework.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: the name is taken; the checkpoint is damaged, holds no config, belongs to another backbone than
                the fleet's, or its method freezes nothing.
        """
        if name in self._models:
            raise ValueError(f'The fleet has a task "{name}" already; remove it first, or take another name.')
        checkpoint = load_file(delta)
        cfg = config_of(checkpoint, None if config is None else Path(config), Path(delta))
        framework = framework_of(cfg)
        model = framework.load(cfg, str(delta), self.device)
        name_scope_of_transforms(model.cfg, framework.scope)
        places = [place for _, tuned in tuned_backbones(model) for place in _frozen_places(tuned)]
        keys = [digest(tensor) for _, _, tensor in places]
        if not places:
            raise ValueError(
                f'{delta} freezes nothing of its backbone, so there is nothing to share. Load it by itself.'
            )
        if self._models and not any(key in self._shared for key in keys):
            raise ValueError(
                f'{delta} was trained on another backbone than the tasks {", ".join(self.names)}: none of its '
                f'{len(keys)} frozen tensors is one of theirs. Make a fleet of its own for it.'
            )
        for (module, attribute, tensor), key in zip(places, keys):
            shared = self._shared.setdefault(key, tensor)
            parameter = module._parameters.get(attribute)
            if parameter is not None:
                parameter.data = shared
            else:
                module._buffers[attribute] = shared
        self._models[name] = model
        return self.switch(name)

    def switch(self, name: str) -> nn.Module:
        """Make a task the active one and return its model.

        Raises:
            KeyError: there is none of that name.
        """
        model = self[name]
        self.active = name
        return model

    @property
    def model(self) -> nn.Module:
        """The model of the active task.

        Raises:
            KeyError: no task is active.
        """
        if self.active is None:
            raise KeyError('No task of the fleet is active; load one, or switch to one.')
        return self[self.active]

    def remove(self, name: str) -> None:
        """Forget a task; what it alone had leaves memory.

        Raises:
            KeyError: there is none of that name.
        """
        self[name]  # or say that it is not there
        del self._models[name]
        self.active = None if self.active == name else self.active
        used = {
            tensor.data_ptr()
            for model in self._models.values()
            for _, tuned in tuned_backbones(model)
            for _, _, tensor in _frozen_places(tuned)
        }
        self._shared = {key: tensor for key, tensor in self._shared.items() if tensor.data_ptr() in used}

    def table(self) -> str:
        """The tasks with their methods and what each needs of memory beside the shared weights."""
        shared = {tensor.data_ptr() for tensor in self._shared.values()}
        table = Table(
            'task',
            'model',
            'method',
            'own weights, MB',
            title=(f'{sum(t.nbytes for t in self._shared.values()) / 1e6:.1f} MB of frozen weights, shared'),
            title_justify='left',
        )
        for name, model in self._models.items():
            own = sum(t.nbytes for t in (*model.parameters(), *model.buffers()) if t.data_ptr() not in shared)
            methods = ', '.join(type(tuned.method).__name__ for _, tuned in tuned_backbones(model))
            table.add_row(
                f'{name} (active)' if name == self.active else name, type(model).__name__, methods, f'{own / 1e6:.1f}'
            )
        return render(table)
