tuning = dict(type='Full')
