"""From an official download to what the loaders read: what all data sets share.

A data set is one module of :mod:`mmest.datasets.official`; it says what to do with the files, and this package does it
in several processes, resumably, with a summary at the end. See :class:`mmest.datasets.preparation.work.DatasetModule`.
"""
