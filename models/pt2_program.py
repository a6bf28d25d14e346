"""The program in a `.pt2` file, written anew from what a short list of rules admits.

`model.json` has the graph as nested objects. Each key below is known by what its value may be; any other key, and any
string that its rule doesn't admit, refuses the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from models.errors import ModelError, UnsafeModel
from models.pt2_expressions import SYMBOL, is_guard, is_symbolic

__all__ = ["clean_program", "clean_tensors"]

IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,255}", re.ASCII)  # a name that stands in generated code
DOTTED = re.compile(r"[\w.\-]{1,512}", re.ASCII)  # a name in a state dict
TEXT = re.compile(r"[ -~]{0,256}")  # an argument such as 'constant'; generated code has its repr
VERSION = re.compile(r"[\w.+]{1,64}", re.ASCII)
ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)", re.ASCII)

# Beside aten: arithmetic of sizes.
ARITHMETIC = frozenset(
    {f"_operator.{name}" for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "getitem")}
    | {f"_operator.{name}" for name in ("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_")}
    | {"torch.sym_max", "torch.sym_min", "torch.sym_int", "torch.sym_not", "math.ceil", "math.floor", "math.trunc"}
)
# Operators of aten that open files, print, or trust indices and sizes without checking them.
REFUSED = frozenset({"from_file", "save", "warn", "set_", "resize_", "resize_as_", "resize", "set"})
# Operators of aten whose names start with an underscore are internal and check less; these are what exports hold.
INTERNAL = frozenset(
    {"_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_add_relu", "_assert_async", "_assert_scalar", "_conj"}
    | {"_assert_tensor_metadata", "_cdist_forward", "_convolution", "_embedding_bag", "_fft_c2c", "_fft_c2r"}
    | {"_fft_r2c", "_is_all_true", "_log_softmax", "_native_batch_norm_legit_no_training", "_prelu_kernel"}
    | {"_safe_softmax", "_scaled_dot_product_flash_attention_for_cpu", "_softmax", "_stack", "_to_copy"}
    | {"_scaled_dot_product_attention_math", "_scaled_dot_product_flash_attention", "_unsafe_view", "_weight_norm"}
    | {"_scaled_dot_product_efficient_attention", "_native_multi_head_attention", "_transformer_encoder_layer_fwd"}
    | {"_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_nearest_exact2d", "_weight_norm_interface"}
)

Rule = Callable[[str], bool]


def _matches(pattern: re.Pattern[str]) -> Rule:
    return lambda text: pattern.fullmatch(text) is not None


# Keys whose values are strings, and which strings.
STRINGS: Mapping[str, Rule] = {
    "name": _matches(IDENTIFIER),
    "as_name": _matches(IDENTIFIER),
    "parameter_name": _matches(DOTTED),
    "buffer_name": _matches(DOTTED),
    "tensor_constant_name": _matches(DOTTED),
    "expr_str": is_symbolic,
    "type": frozenset({"cpu", "cuda"}).__contains__,
    "as_string": _matches(TEXT),
    "as_strings": _matches(TEXT),
    "as_float": frozenset({"Infinity", "-Infinity", "NaN"}).__contains__,
    "as_floats": frozenset({"Infinity", "-Infinity", "NaN"}).__contains__,
    "path_name": _matches(re.compile(r"(weight|tensor)_\d+")),
}
# Keys whose values are objects with names of their own as keys.
NAMED: Mapping[str, Rule] = {
    "tensor_values": _matches(IDENTIFIER),
    "sym_int_values": _matches(IDENTIFIER),
    "sym_bool_values": _matches(IDENTIFIER),
    "sym_float_values": _matches(IDENTIFIER),
    "range_constraints": _matches(SYMBOL),
    "config": _matches(DOTTED),
}
# Keys whose values are numbers, or hold only other keys listed here.
PLAIN = frozenset(
    {"inputs", "outputs", "nodes", "target", "arg", "kind", "is_hop_single_tensor_return", "is_single_tensor_return"}
    | {"input_specs", "output_specs", "user_input", "parameter", "buffer", "tensor_constant", "constant_input"}
    | {"user_output", "value", "persistent", "dtype", "sizes", "strides", "storage_offset", "requires_grad", "device"}
    | {"layout", "index", "hint", "min_val", "max_val", "is_param", "use_pickle", "tensor_meta", "as_tensor"}
    | {"as_tensors", "as_int", "as_ints", "as_bool", "as_bools", "as_none", "as_expr", "as_sym_int", "as_sym_ints"}
    | {"as_sym_bool", "as_sym_bools", "as_sym_float", "as_sym_floats", "as_scalar_type", "as_memory_format"}
    | {"as_layout", "as_device", "as_optional_tensor", "as_optional_tensors", "as_int_lists", "as_float_lists"}
)
EXPLAINED: Mapping[str, str] = {
    "buffer_mutation": "a model that changes its own state (export it after .eval())",
    "as_graph": "control flow or a no_grad block inside forward",
    "as_custom_obj": "a custom object",
    "custom_obj": "a custom object",
    "as_operator": "an operator as an argument",
}


def clean_program(document: Any, operators: Container[str]) -> dict[str, Any]:
    """The program of `model.json` with only what running it needs. `operators` are the dispatcher's, `aten::relu`.

    Raises:
        UnsafeModel: an operator, name, symbolic shape, guard or key that no rule admits.
        ModelError: not the layout that torch writes.
    """
    try:
        module = document["graph_module"]
        graph = {key: value for key, value in module["graph"].items() if not (key == "custom_obj_values" and not value)}
        graph["nodes"] = [{k: v for k, v in node.items() if k != "metadata"} for node in graph["nodes"]]
        signature = module["signature"]
        _check_guards(document.get("guards_code") or [])
        for part in (graph, signature, {"range_constraints": document["range_constraints"]}):
            _check(part, "")
        for node in graph["nodes"]:
            node["metadata"] = {}
            _check_target(node["target"], operators)
            _check_mode(node)
        return {
            "graph_module": {
                "graph": graph,
                "signature": signature,
                "module_call_graph": [_root(module, signature)],
                "metadata": {},
                "treespec_namedtuple_fields": {},
            },
            "opset_version": {"aten": int(document["opset_version"]["aten"])},
            "range_constraints": document["range_constraints"],
            "schema_version": {key: int(document["schema_version"][key]) for key in ("major", "minor")},
            "verifiers": ["TRAINING"],
            "torch_version": _version(document["torch_version"]),
            "guards_code": [],
        }
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"model: expected a program as torch.export.save writes it ({error!r})") from None


def clean_tensors(document: Any) -> dict[str, Any]:
    """The table of weights or constants: names, shapes, and which entry holds the raw bytes.

    Raises:
        UnsafeModel: a tensor is pickled, or a name that no rule admits.
    """
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise ModelError("model: expected a table of tensors as torch.export.save writes it")
    for name, tensor in document["config"].items():
        if not isinstance(tensor, dict) or tensor.get("use_pickle") is not False:
            raise UnsafeModel(f"model: expected raw tensors, found {name!r} pickled, which runs code when it is loaded")
    table = {"config": document["config"]}
    _check(table, "")
    return table


def _check(value: Any, key: str) -> None:
    """Holds a value against its key's rule."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if key in NAMED:
                _admit(NAMED[key](name), key, name)
                _check(inner, "")
            else:
                known = name in STRINGS or name in NAMED or name in PLAIN
                _admit(known, "one of the parts that the gateway knows", EXPLAINED.get(name, name))
                _check(inner, name)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, key)
    elif isinstance(value, str) and key != "target":
        _admit(key in STRINGS and STRINGS[key](value), "a symbolic shape" if key == "expr_str" else key, value)


def _admit(admitted: bool, expected: str, found: object) -> None:
    if not admitted:
        raise UnsafeModel(f"model: expected {expected} in its rules, found {str(found)[:120]!r}")


def _check_guards(guards: list[str]) -> None:
    for guard in guards:
        if not isinstance(guard, str) or not is_guard(guard):
            raise UnsafeModel(f"model: expected guards that compare sizes, found code: {str(guard)[:120]!r}")


def _check_target(target: str, operators: Container[str]) -> None:
    if target in ARITHMETIC:
        return
    match = ATEN.fullmatch(target)
    name = match[1] if match else ""
    internal = name.startswith("_") and name not in INTERNAL
    overload = "" if match is None or match[2] == "default" else f".{match[2]}"
    if not name or internal or name in REFUSED or f"aten::{name}{overload}" not in operators:
        raise UnsafeModel(f"model: expected operators of torch.ops.aten that only compute, found {target[:120]!r}")


def _check_mode(node: Mapping[str, Any]) -> None:
    """Batch norm and dropout as they are while training: answers would depend on chance and on other rows."""
    for argument in node["inputs"]:
        if argument["name"] in ("train", "training") and argument["arg"].get("as_bool") is True:
            raise ModelError(f"model: expected one exported after .eval(), found {node['target']} in training mode")


def _version(text: str) -> str:
    _admit(VERSION.fullmatch(text) is not None, "torch_version", text)
    return text


def _root(module: Any, signature: Any) -> dict[str, Any]:
    """The one call signature that torch needs: as many flat inputs and outputs as there are, outputs by their names."""
    inputs = sum("user_input" in spec or "constant_input" in spec for spec in signature["input_specs"])
    count = sum("user_output" in spec for spec in signature["output_specs"])
    names = _output_names(module["module_call_graph"], count)
    outputs = LEAF if count == 1 else _tree("builtins.tuple", count)
    if names:
        outputs = _tree("builtins.dict", count, json.dumps(names))
    arguments = {**_tree("builtins.tuple", 2), "children_spec": [_tree("builtins.tuple", inputs), EMPTY_KEYWORDS]}
    specs = {"in_spec": json.dumps([1, arguments]), "out_spec": json.dumps([1, outputs])}
    return {"fqn": "", "signature": {"inputs": [], "outputs": [], **specs, "forward_arg_names": None}}


LEAF: Mapping[str, Any] = {"type": None, "context": None, "children_spec": []}
EMPTY_KEYWORDS: Mapping[str, Any] = {"type": "builtins.dict", "context": "[]", "children_spec": []}


def _tree(kind: str, leaves: int, context: str = "null") -> Mapping[str, Any]:
    return {"type": kind, "context": context, "children_spec": [LEAF] * leaves}


def _output_names(calls: Any, count: int) -> list[str] | None:
    """The keys of a forward that returns a flat dictionary; None otherwise."""
    try:
        tree = json.loads(calls[0]["signature"]["out_spec"])[1]
        names = json.loads(tree["context"]) if tree["type"] == "builtins.dict" else None
    except (ValueError, LookupError, TypeError):
        return None
    if not isinstance(names, list) or len(names) != count:
        return None
    return names if all(isinstance(name, str) and IDENTIFIER.fullmatch(name) for name in names) else None
