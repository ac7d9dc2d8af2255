# Schedules give the rate of full fine-tuning; a side network starts from nothing and wants ten times as much.
tuning = dict(type='SteeredEST', lr_mult=10.0)
