"""Gradients of ONNX models: a small interpreter that runs a graph in torch. Needs the `torch` extra.

    module = differentiable(Path("classifier.onnx"))     # rows to the first output, a torch.nn.Module
    verify(module, Path("classifier.onnx"), rows)        # largest difference from onnxruntime

Opsets 13 to 23. The operators of ai.onnx:

    Abs, Acos, Acosh, Add, And, ArgMax, ArgMin, Asin, Asinh, Atan, Atanh, Attention, AveragePool,
    BatchNormalization, Cast, CastLike, Ceil, Celu, Clip, Concat, Constant, ConstantOfShape, Conv, ConvInteger,
    ConvTranspose, Cos, Cosh, CumSum, DepthToSpace, DequantizeLinear, Div, Dropout, DynamicQuantizeLinear, Einsum,
    Elu, Equal, Erf, Exp, Expand, EyeLike, Flatten, Floor, GRU, Gather, GatherElements, GatherND, Gelu, Gemm,
    GlobalAveragePool, GlobalLpPool, GlobalMaxPool, Greater, GreaterOrEqual, GridSample, GroupNormalization,
    HardSigmoid, HardSwish, Hardmax, Identity, InstanceNormalization, IsInf, IsNaN, LRN, LSTM, LayerNormalization,
    LeakyRelu, Less, LessOrEqual, Log, LogSoftmax, LpNormalization, MatMul, MatMulInteger, Max, MaxPool, Mean,
    MeanVarianceNormalization, Min, Mish, Mod, Mul, Neg, NonZero, Not, OneHot, Or, PRelu, Pad, Pow, QuantizeLinear,
    RMSNormalization, RNN, Range, Reciprocal, ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp, ReduceMax,
    ReduceMean, ReduceMin, ReduceProd, ReduceSum, ReduceSumSquare, Relu, Reshape, Resize, Round, ScatterElements,
    ScatterND, Selu, Shape, Shrink, Sigmoid, Sign, Sin, Sinh, Size, Slice, Softmax, Softplus, Softsign,
    SpaceToDepth, Split, Sqrt, Squeeze, Sub, Sum, Tan, Tanh, ThresholdedRelu, Tile, TopK, Transpose, Trilu,
    Unsqueeze, Where, Xor

of ai.onnx.ml:

    ArrayFeatureExtractor, FeatureVectorizer, Imputer, LinearClassifier, LinearRegressor, Normalizer, Scaler

Known in part: recurrent layers without peepholes, lengths and other activations (GRU with linear_before_reset only);
Resize without antialias and tf_crop_and_resize; scatter with reduction none or add; MaxPool without indices.
Quantized tensors pass gradients straight through their rounding. Anything else is refused before it runs, all in one
message.
"""

from models.gradients.network import Network, UnsupportedGraph, differentiable, unsupported
from models.gradients.operators import OPERATORS
from models.gradients.verification import TOLERANCE, verify

__all__ = [
    "OPERATORS",
    "TOLERANCE",
    "Network",
    "UnsupportedGraph",
    "differentiable",
    "operator_list",
    "unsupported",
    "verify",
]


def operator_list() -> str:
    """The operators that gradients can pass through, one domain a line."""
    domains = sorted({domain for domain, _ in OPERATORS})
    lines = (
        f"{domain or 'ai.onnx'}: {', '.join(sorted(name for other, name in OPERATORS if other == domain))}"
        for domain in domains
    )
    return "\n".join(lines)
