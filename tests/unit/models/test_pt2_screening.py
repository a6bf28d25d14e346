"""Every route by which a `.pt2` file is known to run code: plain torch takes it, the screen refuses it unrun."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import ModelError, UnsafeModel
from models.pt2_screening import screen_pt2
from models.specs import PytorchSpec, load_model

Entries = dict[str, bytes]
Plant = Callable[[Entries, Path], None]
OPERATORS = frozenset(torch._C._dispatch_get_all_op_names())
PROGRAM = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 6)
        self.last = torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(torch.relu(self.first(x)))
        return logits


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    rows = {0: torch.export.Dim.DYNAMIC}
    torch.export.save(torch.export.export(Net().eval(), (torch.rand(2, 4),), dynamic_shapes=(rows,)), path)
    return path


def read(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {info.filename.split("/", 1)[1]: archive.read(info) for info in archive.infolist()}


def write(path: Path, entries: Entries, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(f"net/{name}", content)
    return path


def edit(entries: Entries, change: Callable[[Any], None], name: str = PROGRAM) -> None:
    document = json.loads(entries[name])
    change(document)
    entries[name] = json.dumps(document).encode()


def saved(thing: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def call_of(marker: Path) -> str:
    return f"__import__('pathlib').Path('{marker}').touch()"


def sample_inputs(entries: Entries, marker: Path) -> None:
    entries[SAMPLES] = saved(((Touch(marker),), {}))


def pickled_weight(entries: Entries, marker: Path) -> None:
    entries["data/weights/weight_0"] = saved(Touch(marker))
    edit(
        entries, lambda d: d["config"]["first.weight"].update(use_pickle=True), "data/weights/model_weights_config.json"
    )


def legacy_weights(entries: Entries, marker: Path) -> None:
    entries["data/weights/model.pt"] = saved({"first.weight": Touch(marker)})


def opaque_constant(entries: Entries, marker: Path) -> None:
    entries["data/constants/opaque_obj_0"] = pickle.dumps(Touch(marker))
    held = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    edit(entries, lambda d: d["config"].update(thing=held), "data/constants/model_constants_config.json")


def symbolic_shape(entries: Entries, marker: Path) -> None:
    def change(document: Any) -> None:
        sizes = document["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = f"Integer(2) if {call_of(marker)} else Integer(2)"

    edit(entries, change)


def guard(entries: Entries, marker: Path) -> None:
    edit(entries, lambda d: d.update(guards_code=[f"{call_of(marker)} is None"]))


def file_operator(entries: Entries, marker: Path) -> None:
    """aten's own `from_file` makes the file that it is told to map."""
    arguments = [
        {"name": "filename", "arg": {"as_string": str(marker)}, "kind": 1},
        {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
        {"name": "size", "arg": {"as_int": 3}, "kind": 1},
    ]

    def change(document: Any) -> None:
        node = document["graph_module"]["graph"]["nodes"][-1]
        node.update(target="torch.ops.aten.from_file.default", inputs=arguments)

    edit(entries, change)


def argument_name(entries: Entries, marker: Path) -> None:
    name = f"x={call_of(marker)}"

    def change(document: Any) -> None:
        graph, signature = document["graph_module"]["graph"], document["graph_module"]["signature"]
        graph["inputs"][-1]["as_tensor"]["name"] = name
        graph["tensor_values"][name] = graph["tensor_values"].pop("x")
        graph["nodes"][0]["inputs"][0]["arg"]["as_tensor"]["name"] = name
        signature["input_specs"][-1]["user_input"]["arg"]["as_tensor"]["name"] = name

    edit(entries, change)


def argument_tree(entries: Entries, marker: Path) -> None:
    (marker.parent / "planted.py").write_text(f"{call_of(marker)}\nmake = dict\n")
    leaf: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
    context = {"default_factory_module": "planted", "default_factory_name": "make", "dict_context": ["a"]}
    tree = {"type": "collections.defaultdict", "context": context, "children_spec": [leaf]}

    def change(document: Any) -> None:
        document["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, tree])

    edit(entries, change)


ROUTES: list[Plant] = [
    sample_inputs,
    pickled_weight,
    legacy_weights,
    opaque_constant,
    symbolic_shape,
    guard,
    file_operator,
    argument_name,
    argument_tree,
]


def plain(path: Path) -> None:
    """What anybody would do: load the file and ask for an answer."""
    torch.export.load(path).module()(torch.rand(2, 4))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("plant", ROUTES, ids=lambda plant: plant.__name__)
def test_plain_torch_runs_it_and_the_screen_does_not(
    plant: Plant, honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    marker = tmp_path / "marker"
    entries = read(honest)
    plant(entries, marker)
    planted = write(tmp_path / "net.pt2", entries)
    with contextlib.suppress(Exception):  # it may fail after it has run the code
        plain(planted)
    assert marker.exists(), "plain torch did not run it: this test shows nothing"
    marker.unlink()
    monkeypatch.delitem(sys.modules, "planted", raising=False)
    if plant is argument_tree:  # trees are not read from the file at all: those that torch gets are ours
        load_model(PytorchSpec(path=planted))
    else:
        with pytest.raises(UnsafeModel, match=r"^model: expected .*found"):
            load_model(PytorchSpec(path=planted))
    assert not marker.exists()


def test_an_honest_file_answers_as_before_and_tells_nothing_of_its_maker(honest: Path) -> None:
    x = torch.rand(5, 4)
    clean = screen_pt2(honest, OPERATORS)
    assert torch.equal(torch.export.load(io.BytesIO(clean)).module()(x), torch.export.load(honest).module()(x))
    assert str(Path(__file__).parent).encode() in honest.read_bytes()  # stack traces
    assert str(Path(__file__).parent).encode() not in clean
    assert clean == screen_pt2(honest, OPERATORS)


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.ops.aten.save.default",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten._unsafe_index.Tensor",
        "torch.ops.aten.nonsense.default",
        "torch.ops.higher_order.cond",
        "torch.ops.prim.device.default",
        "#extension:op",
        "_operator.attrgetter",
        "math.__loader__",
        "builtins.eval",
    ],
)
def test_operators_that_do_more_than_compute_are_refused(target: str, honest: Path, tmp_path: Path) -> None:
    entries = read(honest)
    edit(entries, lambda document: document["graph_module"]["graph"]["nodes"][0].update(target=target))
    with pytest.raises(UnsafeModel, match="operators"):
        screen_pt2(write(tmp_path / "net.pt2", entries), OPERATORS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data/constants/custom_obj_0", b"x"),
        ("data/aotinductor/model/kernel.so", b"x"),
        ("models/other.json", b"{}"),
        ("../outside", b"x"),
        ("models/../../outside", b"x"),
        ("code.py", b"x"),
    ],
)
def test_entries_that_are_not_a_program_and_raw_tensors_are_refused(
    name: str, content: bytes, honest: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnsafeModel, match="found"):
        screen_pt2(write(tmp_path / "net.pt2", {**read(honest), name: content}), OPERATORS)


def test_compressed_entries_are_refused_unread(honest: Path, tmp_path: Path) -> None:
    bomb = write(tmp_path / "net.pt2", {**read(honest), "extra/zeros": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeModel, match="no larger than the file"):
        screen_pt2(bomb, OPERATORS)
    small = write(tmp_path / "net.pt2", {**read(honest), "extra/text": b"short"}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeModel, match="compressed"):
        screen_pt2(small, OPERATORS)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_entry_of_the_same_name_is_refused(honest: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "net.pt2", read(honest))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/{PROGRAM}", "{}")
    with pytest.raises(UnsafeModel, match="distinct"):
        screen_pt2(path, OPERATORS)


def test_a_tensor_of_any_size_can_not_be_made_of_no_bytes(honest: Path, tmp_path: Path) -> None:
    entries = read(honest)
    entries["data/weights/weight_0"] = b""
    with pytest.raises(ModelError, match="expected values"):
        screen_pt2(write(tmp_path / "net.pt2", entries), OPERATORS)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_other_files_are_told_apart(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"torch\.export"):
        screen_pt2(path, OPERATORS)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("graph_module"),
        lambda d: d.update(graph_module=[]),
        lambda d: d["graph_module"]["graph"].update(nodes={"a": 1}),
        lambda d: d.update(opset_version={}),
        lambda d: d["graph_module"]["graph"]["nodes"][0].pop("target"),
    ],
)
def test_a_program_in_another_layout_is_a_clear_error(
    change: Callable[[Any], None], honest: Path, tmp_path: Path
) -> None:
    entries = read(honest)
    edit(entries, change)
    with pytest.raises(ModelError, match=r"^model: expected"):
        screen_pt2(write(tmp_path / "net.pt2", entries), OPERATORS)


def test_a_model_that_changes_its_own_state_is_told_to_be_exported_in_eval_mode(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).train()
    torch.export.save(torch.export.export(network, (torch.rand(4, 4),)), tmp_path / "net.pt2")
    with pytest.raises(ModelError, match=r"\.eval\(\)"):
        screen_pt2(tmp_path / "net.pt2", OPERATORS)
