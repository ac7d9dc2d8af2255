"""The hook that has frozen weights kept as the config says before anything swaps them."""

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mmest.backbones.tuned_backbone import tuned_backbones


class SettledWeights(Hook):
    """Weights in 8 bits are packed before the first batch, those of an averaged copy (EMAHook) too: what averages and
    swaps weights goes from parameter to parameter, and takes two of one place to be of one kind.
    """

    def before_train(self, runner: Runner) -> None:
        averages = [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in (runner.model, *averages):
            for _, tuned in tuned_backbones(model):
                tuned.settle()
        for average in averages:
            if average.update_buffers:  # it took them down when they were still in float32
                average.avg_parameters = average.module.state_dict()

    before_val = before_test = before_train
