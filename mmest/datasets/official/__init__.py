"""One module per official data set, each a :class:`mmest.datasets.preparation.work.DatasetModule`.

Its file's name is its name on the command line, its docstring its help, of which the first sentence stands in the list
of all. Files whose names begin with ``_`` hold what several share.
"""
