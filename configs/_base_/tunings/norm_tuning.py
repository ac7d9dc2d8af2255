# Few parameters, each of which has to move far: a higher rate than full fine-tuning, whose rate schedules give.
tuning = dict(type='NormTuning', lr_mult=10.0)
