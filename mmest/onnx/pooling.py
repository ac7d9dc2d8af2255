"""Average pooling to a number of cells, of maps whose size is open."""

from typing import Any

import torch


def translation() -> dict[Any, Any]:
    """How the exporter of torch writes ``adaptive_avg_pool2d``, which it has for maps of a known size only: as products
    with two matrices, of the share that each row, and each column, has in each cell.
    """
    from onnxscript import opset18 as op

    def shares(length, cells: int):
        """Length×cells. Cell i goes from ⌊i L / n⌋ to below ⌈(i + 1) L / n⌉, as torch has it."""
        number = op.Constant(value_ints=[*range(cells)])
        all_cells, one = op.Constant(value_int=cells), op.Constant(value_int=1)
        begin = op.Div(op.Mul(number, length), all_cells)
        end = op.Div(op.Add(op.Mul(op.Add(number, one), length), op.Sub(all_cells, one)), all_cells)
        place = op.Unsqueeze(op.Range(op.Constant(value_int=0), length, one), one)
        inside = op.And(op.GreaterOrEqual(place, begin), op.Less(place, end))
        return op.Div(op.Cast(inside, to=1), op.Cast(op.Sub(end, begin), to=1))

    def in_onnx(x, output_size):
        rows, columns = output_size
        height, width = (op.Squeeze(op.Shape(x, start=side, end=side + 1)) for side in (2, 3))
        pooled = op.MatMul(x, shares(width, columns))
        return op.MatMul(op.Transpose(shares(height, rows), perm=[1, 0]), pooled)

    return {torch.ops.aten.adaptive_avg_pool2d.default: in_onnx}
