# What starts from nothing wants a higher rate than full fine-tuning, whose rate schedules give.
tuning = dict(type='E3VA', lr_mult=10.0)
