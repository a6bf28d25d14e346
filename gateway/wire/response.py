"""An answer: outputs as JSON or binary tensors, rejected rows blanked, and what callers may see of the verdict.

Float values that aren't finite become `null` in JSON: standard JSON has no NaN, and clients read null as NaN.
The `verdict` tensor (BYTES, one word a row), and with `disclose: scores` the `p_value` tensor (FP64), are there when
asked for by name, and in answers with all outputs whenever a row is not allowed: answers to allowed rows are what
the model alone would give. A request that names its outputs and has rejected rows gets `verdict` too: NaN alone could
be the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from defenses.randomized_smoothing import Smoothed
from gateway.disclosure import Disclosure
from gateway.errors import Rejected
from gateway.verdict import Action, Judged
from gateway.wire import binarydata
from gateway.wire.request import ALL_BINARY, Wanted
from gateway.wire.signature import Signature
from models.backend import DATATYPES
from models.batch import Array, Arrays

Header = tuple[bytes, bytes]
JSON: Header = (b"content-type", b"application/json")
BINARY: Header = (b"content-type", b"application/octet-stream")
WORDS = np.array([action.word for action in Action], dtype=object)
REJECT = int(Action.REJECT)  # numpy compares with an enum ten times slower than with an int
REFUSED = "the request was rejected"
_FORMS = 256

_encode = msgspec.json.Encoder().encode
_DATATYPE_OF = {dtype: name for name, dtype in DATATYPES.items()}


class Writer:
    """Writes an endpoint's answers."""

    def __init__(self, signature: Signature, disclosure: Disclosure | None = None) -> None:
        self.signature = signature
        self._disclosure = disclosure
        self._start = b'{"model_name":%b,"model_version":%b,"outputs":[' % (
            _encode(signature.endpoint),
            _encode(signature.version),
        )
        self._datatypes = {spec.name: spec.datatype for spec in signature.outputs.values()}
        self._heads: dict[str, bytes] = {}
        self._sized = "BYTES" not in self._datatypes.values()
        self._forms: dict[tuple[tuple[int, ...], ...], tuple[bytes, list[Header]]] = {}

    def write(
        self, judged: Judged, worst: int, wanted: Wanted, request_id: str, certified: Smoothed | None = None
    ) -> tuple[list[Header], bytes]:
        """Headers and body of the answer.

        `worst` is the largest action of the rows; `certified` stands beside what is wanted.

        Raises:
            Rejected: every row was rejected, or any was and the caller may not know which.
        """
        outputs = self.outputs(judged, worst)
        if certified is None and not (worst or request_id) and wanted is ALL_BINARY and self._sized:
            return self._form([outputs[name] for name in self._datatypes])
        start = self._start if not request_id else b'{"id":%b,%b' % (_encode(request_id), self._start[1:])
        heads: list[bytes] = []
        blobs: list[bytes] = []
        for name, binary in self._names(wanted, worst):
            values = outputs[name] if name in outputs else self._told(name, judged)
            heads.append(self._tensor(name, values, binary, blobs))
        if certified is not None:
            heads += [self._tensor(*named, wanted.binary, blobs) for named in self._certificates(certified)]
        text = b"%b%b]}" % (start, b",".join(heads))
        if not blobs:
            return [JSON, (b"content-length", b"%d" % len(text))], text
        body = b"".join((text, *blobs))
        return _binary_headers(text, len(body)), body

    def _form(self, arrays: list[Array]) -> tuple[list[Header], bytes]:
        """The most usual answer, all outputs in binary: everything around the values depends on shapes only."""
        shapes = tuple(values.shape for values in arrays)
        known = self._forms.get(shapes)
        if known is None:
            blobs: list[bytes] = []
            named = zip(self._datatypes, arrays, strict=True)
            heads = [self._tensor(name, values, True, blobs) for name, values in named]
            text = b"%b%b]}" % (self._start, b",".join(heads))
            if len(self._forms) >= _FORMS:
                self._forms.clear()
            known = self._forms[shapes] = text, _binary_headers(text, len(text) + sum(map(len, blobs)))
        text, headers = known
        return headers.copy(), b"".join((text, *[values.tobytes() for values in arrays]))

    def plain(self, judged: Judged, worst: int, server_id: str, certified: Smoothed | None = None) -> bytes:
        """The body of an answer from /predict: `{"id", "endpoint", "outputs": {name: rows}}`, and the verdict words.

        Raises:
            Rejected: as for `write`.
        """
        told: dict[str, Any] = {"id": server_id, "endpoint": self.signature.endpoint}
        told["outputs"] = {name: values.tolist() for name, values in self.outputs(judged, worst).items()}
        for name in self.signature.extras:
            told[name] = self._told(name, judged).tolist()
        if certified is not None:
            told.update({name: values.tolist() for name, values in self._certificates(certified)})
        return _encode(told)

    def outputs(self, judged: Judged, worst: int) -> Mapping[str, Array]:
        """The model's output tensors as callers see them, rejected rows blanked."""
        if worst < REJECT and judged.outputs is not None:
            return self._disclosed(judged.outputs.tensors)
        rejected = judged.verdicts.actions == REJECT
        if judged.outputs is None or self.signature.disclose == "none" or rejected.all():
            raise Rejected(REFUSED)
        return {name: blanked(values, rejected) for name, values in self._disclosed(judged.outputs.tensors).items()}

    def _disclosed(self, tensors: Arrays) -> Arrays:
        return tensors if self._disclosure is None else self._disclosure.apply(tensors)

    def _names(self, wanted: Wanted, worst: int) -> Iterator[tuple[str, bool]]:
        extras = self.signature.extras
        if wanted.names is None:
            yield from ((name, wanted.binary) for name in self._datatypes)
            if worst:
                yield from ((name, wanted.binary) for name in extras)
            return
        yield from wanted.names
        if worst == REJECT and extras and all(name != self.signature.verdict for name, _ in wanted.names):
            yield self.signature.verdict, wanted.binary

    def _told(self, name: str, judged: Judged) -> Array:
        if name == self.signature.verdict:
            return WORDS[judged.verdicts.actions]
        return np.asarray(judged.verdicts.p_value, dtype=np.float64)

    def _certificates(self, certified: Smoothed) -> list[tuple[str, Array]]:
        names = self.signature.certified_class, self.signature.certified_radius
        return list(zip(names, (certified.classes, certified.radius), strict=True))

    def _tensor(self, name: str, values: Array, binary: bool, blobs: list[bytes]) -> bytes:
        head = self._heads.get(name)
        if head is None:
            datatype = self._datatypes.get(name) or _DATATYPE_OF.get(values.dtype, "BYTES")
            head = self._heads[name] = b'{"name":%b,"datatype":"%b","shape":[' % (_encode(name), datatype.encode())
        shape = ",".join(map(str, values.shape)).encode()
        if not binary:
            data = _encode([_text(v) for v in values.flat] if values.dtype == object else values.reshape(-1).tolist())
            return b'%b%b],"data":%b}' % (head, shape, data)
        blob = binarydata.pack(values)
        blobs.append(blob)
        return b'%b%b],"parameters":{"binary_data_size":%d}}' % (head, shape, len(blob))


class CoarseWriter(Writer):
    """Writes answers to a marked principal: no p-values either."""

    def _told(self, name: str, judged: Judged) -> Array:
        told = super()._told(name, judged)
        return told if told.dtype == object else np.full_like(told, np.nan)


def _binary_headers(text: bytes, size: int) -> list[Header]:
    length = (b"inference-header-content-length", b"%d" % len(text))
    return [BINARY, length, (b"content-length", b"%d" % size)]


def blanked(values: Array, rows: Array) -> Array:
    """A copy in which `rows` hold NaN, the integer type's minimum, false or an empty string."""
    copy = values.copy()
    kind = values.dtype.kind
    blank: Any = ""
    if kind == "f":
        blank = np.nan
    elif kind in "iu":
        blank = np.iinfo(values.dtype).min
    elif kind == "b":
        blank = False
    copy[rows] = blank
    return copy


def error_body(text: str, server_id: str) -> bytes:
    """The body of every refusal."""
    return _encode({"error": text, "id": server_id})


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
