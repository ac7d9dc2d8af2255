"""What each module of a model holds at the peak."""

from .live import Peak

#: What no module holds: inputs, losses, results on their way between modules.
OUTSIDE = '(outside of modules)'


def by_module(peak: Peak) -> dict[str, dict[str, int]]:
    """Bytes per module and category.

    Weights, gradients and optimizer states belong to the module that owns the parameter; what is saved for backward to
    the innermost module that saved it first; all else to the innermost module that made it.

    Returns:
        Names as in ``model.named_modules()``, and :data:`OUTSIDE`; only what is not zero.
    """
    modules: dict[str, dict[str, int]] = {}
    for (name, category), nbytes in peak.by_module.items():
        if nbytes:
            modules.setdefault(name or OUTSIDE, {})[category] = nbytes
    return modules


def to_depth(modules: dict[str, dict[str, int]], depth: int) -> dict[str, dict[str, int]]:
    """The same with modules joined to those above them: names of at most ``depth`` parts, the largest first."""
    joined: dict[str, dict[str, int]] = {}
    for name, categories in modules.items():
        row = joined.setdefault('.'.join(name.split('.')[:depth]), {})
        for category, nbytes in categories.items():
            row[category] = row.get(category, 0) + nbytes
    return dict(sorted(joined.items(), key=lambda item: -sum(item[1].values())))
