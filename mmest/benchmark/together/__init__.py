"""Trainings side by side in one process.

A short training of a small model leaves a card idle: most of a step is Python that launches small kernels, and a data
loader beside it. Here the augmented batches of a training are made once, by the config's own loader, and lie on the
card; a step becomes one CUDA graph; and several models take their steps in turn, each on a stream of its own, so that
their kernels overlap. Model, losses, optimizer, schedule, evaluation are those of the config, as a runner would have
them. On a CPU the same steps run without graphs.
"""
