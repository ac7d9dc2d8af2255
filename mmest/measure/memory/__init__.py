"""Peak memory of training: exact on any device, allocator figures on CUDA.

The *live peak* is the number of bytes of live tensor storages at the fullest moment of a training step, counted at
every operator. It is the same on every machine that runs the same operators. At the peak every byte is of one of these
categories, so they add up to it:

=================  ========================================================
weights_frozen     parameters that do not require gradients, and buffers
                   with no trainable parameter in their own module
weights_trainable  the other parameters and buffers
gradients          finished gradients of parameters
optimizer          optimizer states
saved_backbone     kept for backward by the backbone
saved_side         kept for backward by the tuning method's own network
saved_heads        kept for backward by all else: neck, heads, losses
inputs             the batch, what the data preprocessor makes of it, and
                   constants that were there before the step
transient          all else that happens to be alive: results in use, and
                   gradients on their way
=================  ========================================================

A tensor saved for backward twice belongs to the part that saved it first; a
weight that is saved stays a weight.
"""

from .allocator import RunningPeak
from .categories import CATEGORIES
from .live import LiveTensorCounter
from .step import MemoryReport, measure_training_step

__all__ = ['CATEGORIES', 'LiveTensorCounter', 'MemoryReport', 'RunningPeak', 'measure_training_step']
