"""A good watchgate.yaml, and everything an operator may get wrong in it, with the whole complaint."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from defenses.catalogue import AnyPurifierSpec
from detectors.catalogue import AnyDetectorSpec

GOOD = """\
endpoints:
  digits:
    model:
      kind: onnx
      path: digits.onnx
      input:
        bounds: [0, 1]
    reference: train.npz
    holdout: test.npz
    budget: {flag: 0.05, reject: 0.01}
    chain:
      - kind: contract
      - kind: mahalanobis
        timeout_ms: 50
      - kind: feature_squeezing
        when: suspicious
        weight: 2
    purify:
      - kind: median
        size: 2
        when: flagged
    disclose: verdict
state:
  path: state/
telemetry: {otlp: null, sample_clean: 0.01}
"""


def kinds(union: Any) -> str:
    """The kinds that a discriminated union offers, as a complaint lists them."""
    schema = TypeAdapter(union).json_schema()
    return ", ".join(sorted(schema["discriminator"]["mapping"]))


DETECTORS, PURIFIERS = kinds(AnyDetectorSpec), kinds(AnyPurifierSpec)

# What is replaced, by what, and the whole complaint (after the file's name).
MISTAKES = {
    "unknown key at the top": ("state:", "sate:", "23: sate: unknown key (did you mean 'state'?)"),
    "unknown key of an endpoint": (
        "reference:",
        "refrence:",
        "2: endpoints.digits.reference: is required, found nothing\n"
        "watchgate.yaml:8: endpoints.digits.refrence: unknown key (did you mean 'reference'?)",
    ),
    "unknown key, nothing like it": (
        "budget: {flag: 0.05, reject: 0.01}",
        "budget: {flag: 0.05, zzz: 1}",
        "10: endpoints.digits.budget.zzz: unknown key; expected one of flag, reject, guarantee",
    ),
    "unknown key of the model": (
        "      input:\n        bounds:",
        "      inputs:\n        bounds:",
        "6: endpoints.digits.model.inputs: unknown key (did you mean 'input'?)",
    ),
    "unknown key deeper in the model": (
        "bounds: [0, 1]",
        "bound: [0, 1]",
        "7: endpoints.digits.model.input.bound: unknown key (did you mean 'bounds'?)",
    ),
    "unknown key of a stage": (
        "when: suspicious",
        "wen: suspicious",
        "16: endpoints.digits.chain[2].wen: unknown key (did you mean 'when'?)",
    ),
    "unknown key of a purifier": (
        "size: 2",
        "sise: 2",
        "20: endpoints.digits.purify[0].sise: unknown key (did you mean 'size'?)",
    ),
    "misspelled detector": (
        "kind: mahalanobis",
        "kind: mahalonobis",
        f"13: endpoints.digits.chain[1].kind: expected one of {DETECTORS}, found 'mahalonobis' "
        "(did you mean 'mahalanobis'?)",
    ),
    "misspelled purifier": (
        "kind: median",
        "kind: medium",
        f"19: endpoints.digits.purify[0].kind: expected one of {PURIFIERS}, found 'medium' (did you mean 'median'?)",
    ),
    "another model kind": (
        "kind: onnx",
        "kind: tensorflow",
        "4: endpoints.digits.model.kind: expected one of onnx, pytorch, found 'tensorflow'",
    ),
    "stage without kind": (
        "- kind: contract",
        "- name: first",
        f"12: endpoints.digits.chain[0].kind: is required, one of {DETECTORS}; found nothing",
    ),
    "stage that is a word": (
        "- kind: contract",
        "- contract",
        "12: endpoints.digits.chain[0]: expected a mapping (key: value), found 'contract'",
    ),
    "model that is a path": (
        "    model:\n      kind: onnx\n      path: digits.onnx\n      input:\n        bounds: [0, 1]\n",
        "    model: digits.onnx\n",
        "3: endpoints.digits.model: expected a mapping (key: value), found 'digits.onnx'",
    ),
    "choice": (
        "disclose: verdict",
        "disclose: verdicts",
        "22: endpoints.digits.disclose: expected one of none, scores, verdict, found 'verdicts' "
        "(did you mean 'verdict'?)",
    ),
    "choice in a stage": (
        "when: suspicious",
        "when: sometimes",
        "16: endpoints.digits.chain[2].when: expected one of always, suspicious, found 'sometimes'",
    ),
    "share above one": (
        "flag: 0.05",
        "flag: 5",
        "10: endpoints.digits.budget.flag: expected a number below 1, found 5",
    ),
    "share of zero": (
        "reject: 0.01",
        "reject: 0",
        "10: endpoints.digits.budget.reject: expected a number above 0, found 0",
    ),
    "reject above flag": (
        "flag: 0.05",
        "flag: 0.001",
        "10: endpoints.digits.budget: reject (0.01) must not exceed flag (0.001), which counts it in",
    ),
    "a percent sign": (
        "flag: 0.05",
        "flag: 5%",
        "10: endpoints.digits.budget.flag: expected a number, found '5%'",
    ),
    "a number in quotes": (
        "flag: 0.05",
        'flag: "0.05"',
        "10: endpoints.digits.budget.flag: expected a number, found '0.05'",
    ),
    "a truth value for a number": (
        "sample_clean: 0.01",
        "sample_clean: true",
        "25: telemetry.sample_clean: expected a number, found true",
    ),
    "a truth value for a detector's number": (
        "timeout_ms: 50",
        "timeout_ms: true",
        "14: endpoints.digits.chain[1].timeout_ms: expected a number, found true",
    ),
    "a number in quotes for a detector's": (
        "- kind: contract",
        '- kind: contract\n        margin: "0.2"',
        "13: endpoints.digits.chain[0].margin: expected a number, found '0.2'",
    ),
    "a number for text": (
        "reference: train.npz",
        "reference: 5",
        "8: endpoints.digits.reference: expected a path, found 5",
    ),
    "nothing for a path": (
        "reference: train.npz",
        "reference:",
        "8: endpoints.digits.reference: expected a path, found nothing",
    ),
    "yes for a truth value": (
        "  path: state/",
        "  path: state/\n  capture: {payloads: yes}",
        "25: state.capture.payloads: expected true or false, found 'yes'",
    ),
    "one for a truth value": (
        "  path: state/",
        "  path: state/\n  capture: {payloads: 1}",
        "25: state.capture.payloads: expected true or false, found 1",
    ),
    "a fraction for a count": (
        "    disclose: verdict",
        "    disclose: verdict\n    limits: {max_batch_rows: 1.5}",
        "23: endpoints.digits.limits.max_batch_rows: expected a whole number, found 1.5",
    ),
    "a negative count": (
        "    disclose: verdict",
        "    disclose: verdict\n    limits:\n      max_batch_rows: -1",
        "24: endpoints.digits.limits.max_batch_rows: expected a number above 0, found -1",
    ),
    "a word for bounds": (
        "bounds: [0, 1]",
        "bounds: unit",
        "7: endpoints.digits.model.input.bounds: expected a list, found 'unit'",
    ),
    "one bound": (
        "bounds: [0, 1]",
        "bounds: [0]",
        "7: endpoints.digits.model.input.bounds[1]: is required, found nothing",
    ),
    "three bounds": (
        "bounds: [0, 1]",
        "bounds: [0, 1, 2]",
        "7: endpoints.digits.model.input.bounds: expected at most 2 entries, found 3 entries",
    ),
    "a word in bounds": (
        "bounds: [0, 1]",
        "bounds:\n          - 0\n          - one",
        "9: endpoints.digits.model.input.bounds[1]: expected a number, found 'one'",
    ),
    "bounds the wrong way round": (
        "bounds: [0, 1]",
        "bounds: [1, 0]",
        "7: endpoints.digits.model.input.bounds: expected [low, high] with low < high, found [1, 0]",
    ),
    "a mapping for the chain": (
        "chain:\n      - kind: contract\n      - kind: mahalanobis\n        timeout_ms: 50\n",
        "chain:\n        kind: contract\n    seed: 1\n    ignored:\n      - kind: x\n",
        "11: endpoints.digits.chain: expected a list, found a mapping\n"
        "watchgate.yaml:14: endpoints.digits.ignored: unknown key; expected one of model, reference, holdout, group, "
        "budget, chain, cost, wear, purify, mode, disclose, answers, smoothing, queries, drift, feedback, trackers, "
        "limits, examples, seed",
    ),
    "two stages of one name": (
        "kind: mahalanobis",
        "kind: contract",
        "2: endpoints.digits: two stages are named 'contract': give one of them a `name`",
    ),
    "only conditional stages": (
        "      - kind: contract\n      - kind: mahalanobis\n        timeout_ms: 50\n",
        "",
        "2: endpoints.digits: `when: suspicious` needs at least one unconditional enforcing stage before it",
    ),
    "a pickled model": (
        "kind: onnx\n      path: digits.onnx",
        "kind: pytorch\n      path: digits.pt",
        "5: endpoints.digits.model.path: expected a .pt2 (torch.export) or .safetensors file, found a pickle, "
        "which runs code when it is loaded",
    ),
    "a factory where none is due": (
        "kind: onnx\n      path: digits.onnx",
        "kind: pytorch\n      path: digits.pt2\n      factory: ./net.py:make",
        "6: endpoints.digits.model.factory: expected with a .safetensors file and only there "
        "(./net.py:make or pkg.mod:make)",
    ),
    "a key twice": (
        "    disclose: verdict",
        "    disclose: verdict\n    reference: other.npz",
        "23: endpoints.digits.reference: this key is already given in line 8",
    ),
    "a number as a name": ("  digits:", "  7:", "2: endpoints: keys must be text, found 7: put it in quotes"),
    "a tag": (
        "reference: train.npz",
        "reference: !!python/name:os.system train.npz",
        "8: endpoints.digits.reference: YAML tags are not read, found tag:yaml.org,2002:python/name:os.system",
    ),
    "a date": (
        "reference: train.npz",
        "reference: 2026-01-01",
        "8: endpoints.digits.reference: a date is not expected anywhere here: put it in quotes if it is text",
    ),
    "a bracket left open": (
        "bounds: [0, 1]",
        "bounds: [0, 1",
        "8: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
    ),
    "a tab": (
        "    disclose: verdict",
        "\tdisclose: verdict",
        "22: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any token",
    ),
    "a colon in a value": (
        "reference: train.npz",
        "reference: a: b",
        "8: not valid YAML: mapping values are not allowed here",
    ),
    "a state without its URL": (
        "  path: state/",
        "  kind: redis",
        "23: state.url: is required with `kind: redis`, or `url_env`: redis://[user:password@]host[:port][/number],"
        " rediss:// for TLS, or unix://path; found nothing",
    ),
    "a URL that is none": (
        "  path: state/",
        "  kind: redis\n  url: http://me:hidden@host:6379",
        "25: state.url: expected redis://[user:password@]host[:port][/number], rediss:// for TLS, or unix://path, found"
        " 'http://me:***@host:6379'",
    ),
    "a URL that nothing asks for": (
        "  path: state/",
        "  url: redis://host",
        "24: state.url: expected with `kind: redis` only",
    ),
    "a URL's variable that nothing asks for": (
        "  path: state/",
        "  url_env: REDIS_URL",
        "24: state.url_env: expected with `kind: redis` only",
    ),
    "a prefix with braces": (
        "  path: state/",
        "  kind: redis\n  url: redis://host\n  prefix: 'a{b}'",
        "26: state.prefix: string should match pattern '^[A-Za-z0-9_.:-]{1,64}$', found 'a{b}'",
    ),
    "no endpoints": (
        GOOD,
        "endpoints: {}\n",
        "1: endpoints: expected at least 1 entry, found 0 entries",
    ),
    "an empty file": (GOOD, "# nothing\n", "1: expected a mapping with the key `endpoints`, found an empty file"),
    "a list": (GOOD, "- endpoints\n", "1: expected a mapping with the key `endpoints`, found a list"),
    "an endpoint of nothing": (
        GOOD,
        "endpoints:\n  a:\n",
        "2: endpoints.a: expected a mapping (key: value), found nothing",
    ),
}
