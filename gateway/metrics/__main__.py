"""`python -m gateway.metrics` prints the tables of docs/metrics.md."""

from __future__ import annotations

from gateway.metrics.families import FAMILIES, LABELS


def tables() -> str:
    """Every metric, and every label, in Markdown."""
    lines = ["| metric | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        lines.append(f"| `{family.name}` | {family.kind} | {family.unit} | {labels} | {family.text} |")
    lines += ["", "| label | its values |", "|---|---|"]
    lines += [f"| `{label}` | {text} |" for label, text in LABELS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
