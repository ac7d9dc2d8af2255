"""Models as ONNX graphs: pictures in, classes of pixels or boxes out, for programs that know nothing of torch."""
