"""An MLServer runtime that does the same onnxruntime call; runs in MLServer's own environment, without watchgate's."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):  # type: ignore[misc]
    """One ONNX model."""

    async def load(self) -> bool:
        """Opens the session, single-threaded as everywhere in this benchmark."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = os.environ["BENCH_MODEL"]
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The logits of these images."""
        image = NumpyCodec.decode_input(payload.inputs[0])
        logits = self.session.run(["logits"], {"image": image.astype(np.float32, copy=False)})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("logits", logits)])
