"""Networks handed on: as files with their audit, as folders for a model hub, and as an ensemble in one ONNX file."""
