"""The hook that turns on the levers on memory that act on a model."""

import copy

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.engine.processes import bare
from mmest.levers import configure, put_on


class MemoryLevers(Hook):
    """Neck, heads and losses in the memory that ``memory`` in the config asks for; what stays as it is is said."""

    def before_train(self, runner: Runner) -> None:
        if not runner.cfg.get('memory'):
            return
        asked = copy.deepcopy(runner.cfg)
        configure(asked)
        if asked.model != runner.cfg.model:
            raise ValueError(
                f'memory={runner.cfg.memory!r} in the config changes the model before it is built. Train by mmest '
                'train, or call mmest.levers.configure(cfg) before the runner is built.'
            )
        for said in put_on(bare(runner), asked.memory):
            runner.logger.warning(said)
