"""`python -m benchmarks.serving`: measures all servers in one interleaved run and keeps the table."""

from __future__ import annotations

import argparse
import sys

from benchmarks import machine
from benchmarks.data import CACHE
from benchmarks.serving.nets import NETS, row_us
from benchmarks.serving.process import ServerFailed
from benchmarks.serving.report import keep
from benchmarks.serving.rounds import Effort, Measured, measure
from benchmarks.serving.systems import SYSTEMS
from benchmarks.serving.targets import checks
from benchmarks.serving.workload import Workload
from benchmarks.tables import RESULTS

FULL = Effort(rounds=5, warm_s=0.2, measure_s=1.5)
QUICK = Effort(rounds=1, warm_s=0.1, measure_s=0.4)
PACKAGES = ("bentoml", "onnxruntime", "uvicorn", "uvloop", "httptools", "numpy")


def main() -> int:
    """Status 1 where a promise was not kept, 2 where a server did not work."""
    asked = arguments()
    say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    facts = machine.facts(PACKAGES)
    effort = QUICK if asked.quick else FULL
    systems = [system for system in SYSTEMS if system.name in asked.systems]
    runs: list[Measured] = []
    try:
        for net in (net for net in NETS if net.name in asked.nets):
            work = Workload.make(net)
            runs.append(measure(work, systems, effort, row_us(work.model, work.x), asked.quick, say))
    except ServerFailed as failure:
        print(failure, file=sys.stderr)
        return 2
    whole = not asked.quick and len(systems) == len(SYSTEMS) and len(runs) == len(NETS)
    command = "python -m benchmarks.serving" + " --quick" * asked.quick
    page = keep(runs, effort, facts, command, RESULTS if whole else CACHE / "results")
    print(page.read_text())
    return int(any(check.outcome == "fail" for run in runs for check in checks(run)))


def arguments() -> argparse.Namespace:
    """What the command line asks for; only a whole run replaces the kept results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: shows that all works, measures little")
    names = [system.name for system in SYSTEMS]
    parser.add_argument("--systems", nargs="+", choices=names, default=names, help="only these")
    nets = [net.name for net in NETS]
    parser.add_argument("--nets", nargs="+", choices=nets, default=nets, help="only these")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
