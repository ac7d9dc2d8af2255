"""The hook that lets early stopping go on where an interrupted training was."""

from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.runner import Runner


class ResumedEarlyStopping(Hook):
    """Early stopping of a resumed training knows the scores so far: mmengine's hook keeps them nowhere, and would take
    the first score for the best. The checkpoint has them, among its curves.
    """

    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0:
            return
        for hook in runner.hooks:
            if not isinstance(hook, EarlyStoppingHook):
                continue
            stops, reason = False, ''
            for score in _scores(runner, f'val/{hook.monitor}'):
                stops, reason = hook._check_stop_condition(score)
            if stops:
                runner.train_loop.stop_training = True
                runner.logger.warning(
                    f'Early stopping has ended this training: {reason.strip()} Raise the patience of the '
                    'EarlyStoppingHook to go on.'
                )


def _scores(runner: Runner, name: str) -> list[float]:
    curve = runner.message_hub.log_scalars.get(name)
    return [] if curve is None else curve.data[0].tolist()
