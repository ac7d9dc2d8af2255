tuning = dict(type='Partial')
