"""Segmentation data sets and metrics that mmseg lacks. Importing the module registers them."""

from mmest.datasets import dubai, epfl_road, loveda_submission

__all__ = ['dubai', 'epfl_road', 'loveda_submission']
