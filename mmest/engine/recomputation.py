"""The hook that has mmengine's ``activation_checkpointing`` lose no gradient."""

from operator import attrgetter

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmest.anatomy.hooks import Override
from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.engine.processes import bare
from mmest.levers.recomputing import recompute


class Recomputation(Hook):
    """What ``activation_checkpointing`` in the config names runs again in another way than mmengine's, which is
    reentrant: no gradient reaches a module that takes its maps in a tuple, as necks do, or one before which nothing
    trains.
    """

    def before_train(self, runner: Runner) -> None:
        model, named = bare(runner), runner.cfg.get('activation_checkpointing') or ()
        for name in [named] if isinstance(named, str) else named:
            for path, _ in tuned_backbones(model):
                if name == path or name.startswith(f'{path}.') or path.startswith(f'{name}.'):
                    raise ValueError(
                        f'activation_checkpointing names "{name}", but mmengine\'s is reentrant: behind a frozen '
                        'backbone gradients vanish in silence. Use the recompute option of EST, or with_cp of the '
                        'backbone for full fine-tuning.'
                    )
            _recompute_otherwise(attrgetter(name)(model))


def _recompute_otherwise(module: nn.Module) -> None:
    inner = module.__dict__.pop('forward').__wrapped__
    if isinstance(inner, Override):
        module.__dict__['forward'] = inner
    recompute(module)
