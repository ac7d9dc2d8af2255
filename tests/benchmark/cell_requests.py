"""What a cell of a small model is asked, and one that is taken."""

import json

from mmest.benchmark import claims
from mmest.configs import configs_root

FPN = str(configs_root() / 'demo' / 'fpn_swin_est.py')


def request(**changes) -> dict:
    return dict(
        dict(
            kind='memory',
            config=FPN,
            size=[64, 64],
            batch_size=1,
            precision='fp32',
            device='cpu',
            options={},
            variant='',
            method='frozen',
            tuning=dict(type='Frozen'),
            config_text='',
        ),
        **changes,
    )


def owned_elsewhere(record):
    claims.claim_of(record).write_text(json.dumps(dict(host='elsewhere', process=1)))
