"""The demo: pretrain on one domain, adapt to another by several methods under two heads, compare what they
cost and what they reach.
"""

from .pipeline import run_demo

__all__ = ['run_demo']
