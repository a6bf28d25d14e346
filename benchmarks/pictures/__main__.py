"""`python -m benchmarks.pictures`: makes the pictures in `docs/images`, of all scenes or of one."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.browser import found
from benchmarks.data import ROOT
from benchmarks.pictures import demo, drift, principals
from benchmarks.pictures.gallery import Gallery

SCENES = {"demo": demo.draw, "drift": drift.draw, "principals": principals.draw}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--only", choices=SCENES, help="one scene; all of them otherwise")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    program = found()
    if program is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    gallery = Gallery(program, options.out.absolute())
    for name in SCENES if options.only is None else (options.only,):
        with tempfile.TemporaryDirectory() as work:
            SCENES[name](Path(work), gallery)


if __name__ == "__main__":
    main()
