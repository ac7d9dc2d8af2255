"""Maps of a frozen backbone that are computed once and kept on disk: training goes on without running it."""
