# What starts from nothing wants a higher rate than full fine-tuning, whose rate schedules give.
tuning = dict(type='Adapter', lr_mult=10.0)
