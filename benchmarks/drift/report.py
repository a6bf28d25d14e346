"""The results as a page."""

from __future__ import annotations

from typing import Any

from benchmarks.machine import sentence
from benchmarks.tables import table


def page(document: dict[str, Any]) -> str:
    """Markdown."""
    parts = ["# Drift: false alarms, delays, cost", f"`{document['command']}`. {sentence(document['machine'])}"]
    parts += [RESUMED] * document["resumed"]
    parts += [FALSE_ALARMS, false_alarms(document["subjects"]), DELAYS]
    for name, found in document["subjects"].items():
        parts += [f"## {name}: rows from the change to the alarm", delays(found)]
        if found["rivals"]:
            parts += [RIVALS, rivals(found)]
    parts += [COST, cost(document["subjects"])]
    return "\n\n".join(parts)


RESUMED = "*Some parts were kept from a run before this one, and may be of another hour.*"

FALSE_ALARMS = """## False alarms

Average run length without drift, in rows: rows watched over alarms seen, each stream up to its first alarm or to three
times what was asked for. The interval takes the rate of alarms as constant; streams of one split share a reference, so
it is a little narrow. Each split draws 8,000 reference rows, makes a monitor of them, and draws its streams, with
replacement, from the rest."""

DELAYS = """Delays are at one false alarm in 20,000 rows, in rows from the change to the end of the step that alarmed,
over about 50 trials; the change comes about 2,000 rows after the start. Trials with an alarm before it are left out.
All trials share one random reference: with another, shifts as small as its own error are found sooner or later."""

RIVALS = """Others on the same rows: alibi-detect's read the 16 components, river's the energy. MMDDriftOnline was asked
for an average run length of 20,000 rows (1,000 reference rows, 25,000 bootstraps; its makers advise ten times the run
length), KSDrift for a p-value of 0.01 a window, which is one alarm in 20,000 rows; KSWIN has an alpha of 0.0001, ADWIN
its default. Whoever could not be run is left out. The change comes 400 to 600 rows after the start, ten times; `run
length` is rows watched over alarms in 20 streams of at most 20,000 rows without drift, each up to its first alarm.

*MB* is resident memory, each detector in a process of its own, beyond what was resident with libraries and reference
loaded: the most while it was made, and the most after that, while it watched streams of 20,000 rows without drift (ours
one, the others 20, each up to its first alarm). What was freed is given back between the two. *s, making* is CPU."""

COST = """## Cost

CPU microseconds a row to encode and add, in batches of 1, 8 and 64 rows, and to fold a bucket a step of 50 rows;
bytes of a full state; CPU seconds to make a monitor, and resident megabytes beyond what libraries and reference take,
the most while it is made and the most while it watches."""

MEGABYTES = ("MB, making", "MB, watching")


def false_alarms(subjects: dict[str, Any]) -> str:
    """One line a subject and setting."""
    lines = []
    for name, found in subjects.items():
        for run in found["runs"]:
            low, high = run["interval95"]
            asked = run["asked"]
            lines.append(
                [
                    f"{name}, window {run['window']:,}",
                    f"{asked:,}",
                    f"{run['average']:,.0f} [{low:,.0f}, {high:,.0f}]",
                    f"{run['average'] / asked:.2f}",
                    f"{run['alarms']} of {run['streams']}",
                ]
            )
    return table(["subject", "asked for", "measured [95 %]", "ratio", "streams with an alarm"], lines)


def delays(found: dict[str, Any]) -> str:
    """One line a drift, two columns a window."""
    windows = sorted(found["delays"], key=int)
    header = [f"{share}, window {int(window):,}" for window in windows for share in ("median", "9 in 10")]
    lines = [
        [drift, *(_rows(found["delays"][window][drift][share]) for window in windows for share in ("median", "p90"))]
        for drift in found["delays"][windows[0]]
    ]
    return table(["drift", *header], lines)


def rivals(found: dict[str, Any]) -> str:
    """One line a detector, ours first: median delays, run length and cost."""
    window = min(found["delays"], key=int)
    late = found["delays"][window]
    run = found["runs"][0]
    ours = [f"watchgate, window {int(window):,}", *(_rows(told["median"]) for told in late.values())]
    us = found["sums_us"]["64"] + found["fold_us"]
    lines = [[*ours, f"{run['average']:,.0f}", f"{us:.1f}", f"{found['design_s']:.0f}", *_megabytes(found)]]
    for name, told in found["rivals"].items():
        length = f"{told['watched'] / told['alarms']:,.0f}" if told["alarms"] else f"over {told['watched']:,}"
        each = [_rows(told["delays"].get(drift, {}).get("median")) for drift in late]
        lines.append([name, *each, length, f"{told['us']:.1f}", f"{told['make_s']:.0f}", *_megabytes(told)])
    return table(["detector", *late, "run length", "µs a row", "s, making", *MEGABYTES], lines)


def cost(subjects: dict[str, Any]) -> str:
    """One line a subject."""
    lines = [
        [
            f"{name}, {found['series']} series",
            *(f"{found['sums_us'][batch]:.1f}" for batch in ("1", "8", "64")),
            f"{found['fold_us']:.1f}",
            f"{found['state_bytes']:,}",
            f"{found['design_s']:.0f}",
            *_megabytes(found),
        ]
        for name, found in subjects.items()
    ]
    spent = ["µs, alone", "µs, of 8", "µs, of 64", "µs, fold", "state bytes", "s, making", *MEGABYTES]
    return table(["subject", *spent], lines)


def _megabytes(found: dict[str, Any]) -> list[str]:
    return [f"{found[key]:.1f}" for key in ("making_mb", "watching_mb")]


def _rows(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f}"
