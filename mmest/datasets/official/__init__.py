"""One module per official data set, each a :class:`mmest.datasets.preparation.work.DatasetModule`."""
