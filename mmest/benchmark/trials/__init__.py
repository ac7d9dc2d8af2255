"""Trials: short trainings on what a frozen backbone makes of a finite set of views, computed once and kept.

The training pipeline runs a few times over the training data, the frozen backbone once over each of these views. What
its blocks return is kept in a file, so that methods beside the backbone, and Frozen, train their own parts in about a
minute on one core. A method inside the backbone trains on the same views, and runs it.

A trial is a lead and no record: views repeat, features are rounded to 16 bits, and rates are compared on the validation
data. Its JSON says so.
"""
