"""Grids of measurements (configs × methods × seeds), and the tables and figures made of their results.

A *cell* is one measurement: the memory of one method, the times of several, one training. Its *request* is all that it
is asked to do, the text of the config included; its *record* is the request, what was found, and what it was found
with, in one JSON file.
"""

#: What a cell prints, in its work folder.
OUTPUT = 'output.txt'
