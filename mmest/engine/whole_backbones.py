"""The hook that has every process keep the whole backbone while processes go their own ways."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.backbones.sharded import gather_blocks, part_blocks
from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.engine.processes import bare


class WholeBackbones(Hook):
    """Where the frozen part is sharded, all processes have to run it equally often, as they do in training. Validation
    may cut one image into more windows than another, and after the training a process may be alone.
    """

    def before_val(self, runner: Runner) -> None:
        for _, tuned in tuned_backbones(bare(runner)):
            gather_blocks(tuned.backbone)

    before_test = after_train = before_val

    def after_val(self, runner: Runner) -> None:
        for _, tuned in tuned_backbones(bare(runner)):
            part_blocks(tuned.backbone)
