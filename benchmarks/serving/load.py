"""One burst of load from a client process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from benchmarks.data import ROOT
from benchmarks.serving.client import GRACE_S, Burst, Order


class ClientFailed(Exception):
    """The client ended with an error; the text is the end of what it said."""


def sent(order: Order) -> Burst:
    """Sends what is ordered and measures it.

    Raises:
        ClientFailed: the server hung up, or answers were missing.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.client"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=order.warm_s + order.measure_s + 3 * GRACE_S,
        check=False,
    )
    if done.returncode != 0:
        raise ClientFailed(done.stderr[-500:])
    return Burst(**json.loads(done.stdout))
