"""Segmentation data sets and metrics that mmseg lacks. Importing the module registers them."""

from mmest.datasets import dubai, loveda_submission

__all__ = ['dubai', 'loveda_submission']
