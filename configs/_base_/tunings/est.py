tuning = dict(type='EST')
