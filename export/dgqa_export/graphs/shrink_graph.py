"""The graphs that shrink a photograph where it was decoded, on a GPU: `dgqa_infer/images/decoders/*.onnx`.

    python -m dgqa_export.graphs.shrink_graph

writes them anew; a test compares the files with what is built here.
"""

from __future__ import annotations

from onnx import ModelProto, TensorProto, checker, helper

from dgqa_infer.images.decoders.nvjpeg import GRAPHS

# Of `Resize`, ONNX Runtime's CUDA kernels knew 18 years before they knew 19; with another, a CPU would do it.
_OPSET = 18
_IR_VERSION = 8


def shrink_graph(*, lying: bool) -> ModelProto:
    """Pillow's bicubic filter, up to the rounding of its weights, on planes of bytes.

    Inputs: `picture`, uint8 [1, 3, height, width], and `size`, int64 [4], what it becomes: [1, 3, h, w].
    Output: `shrunk`, uint8 [1, h, w, 3].

    Args:
        lying: rows and columns change places first, as in a photograph whose camera was held upright: it is
            shrunk along the rows first, and rounded, and which these are makes a difference.
    """
    nodes = []
    if lying:
        nodes.append(helper.make_node("Transpose", ["picture"], ["standing"], perm=[0, 1, 3, 2]))
    resize = helper.make_node(
        "Resize",
        ["standing" if lying else "picture", "", "", "size"],
        ["planes"],
        mode="cubic",
        antialias=1,
        cubic_coeff_a=-0.5,
        # Pillow leaves out what lies outside, and weighs what is left.
        exclude_outside=1,
        coordinate_transformation_mode="half_pixel",
    )
    turn = helper.make_node("Transpose", ["planes"], ["shrunk"], perm=[0, 2, 3, 1])
    graph = helper.make_graph(
        [*nodes, resize, turn],
        "shrink",
        [
            helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, 3, "height", "width"]),
            helper.make_tensor_value_info("size", TensorProto.INT64, [4]),
        ],
        [helper.make_tensor_value_info("shrunk", TensorProto.UINT8, [1, "h", "w", 3])],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="dgqa-export",
    )
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    for lying, path in GRAPHS.items():
        path.write_bytes(shrink_graph(lying=lying).SerializeToString())
