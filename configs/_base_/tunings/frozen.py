tuning = dict(type='Frozen')
