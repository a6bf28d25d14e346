"""What each kind of detector looks at, in words for somebody who has never heard of it."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.state.record import RowEvidence

WORDS = {
    "contract": "checks what every honest row keeps to: the allowed range of each value, and the steps that values come"
    " in. A row that breaks it is mostly a broken client, or an attack that was not rounded.",
    "input_statistics": "compares figures of the input itself (how noisy, smooth and spread out it is) with those of"
    " honest rows. It does not ask the model.",
    "class_statistics": "compares figures of the input itself (how noisy, smooth and spread out it is) with those of"
    " honest rows to which the model gives the same class.",
    "margin": "looks at how close the model's second choice of a class comes to its first. Many attacks stop as soon as"
    " the answer changes, and so end up between two classes.",
    "max_softmax": "looks at how likely the model finds its own answer: rows unlike the training data get unsure ones.",
    "energy": "looks at whether the model finds any class likely at all: rows unlike the training data fit none.",
    "mahalanobis": "measures how far the row lies from the middle of the nearest class, as the model sees it.",
    "deep_mahalanobis": "measures, in several layers of the model, how far the row lies from the middle of the class"
    " that the model gives it.",
    "nearest": "measures how far the row lies from the most similar honest rows, as the model sees them.",
    "deep_nearest": "looks up the most similar honest rows, layer by layer of the model, and counts how many belong to"
    " another class than the one that the model gives.",
    "local_intrinsic_dimension": "looks at how the honest rows around this one lie, layer by layer of the model: an"
    " attacked row lies off the sheet that honest rows form.",
    "feature_squeezing": "simplifies the input (fewer gray levels, a slight blur) and looks at how far the model's"
    " answer moves: details that an attack has added do not survive that.",
    "squeezed_odds": "simplifies the input and looks at how the odds of another class move: an attack loses what it has"
    " added.",
    "noise_stability": "adds a little noise to the input and looks at how far the model's answer moves: attacked rows"
    " hold their answer only in a small, odd place.",
    "adversarial_autoencoder": "lets a network that was trained on honest rows redraw the input, and looks at how far"
    " the model's answer moves.",
    "reconstruction": "lets something that has learned honest rows redraw the input, and measures what it can not"
    " redraw.",
    "isolation_forest": "counts how few random questions about its values set the row apart from honest rows.",
    "combiner": "weighs several pieces of evidence together, each by how well it found attacks on this very model.",
    "onnx": "is a detector that somebody else trained, kept as an ONNX graph.",
    "sklearn": "is a detector of scikit-learn, fitted on honest rows.",
    "alibi": "is a detector of alibi-detect, fitted on honest rows.",
    "custom": "is a detector of the operator's own.",
}


def words(kind: str) -> str | None:
    """The rest of a sentence that begins with the stage's name; None for a kind that nobody has put into words."""
    return WORDS.get(kind)


def deciding(row: RowEvidence, kinds: Mapping[str, str]) -> str | None:
    """What the stage looks at that decided the row, by the kinds of stages; None where none stopped it."""
    if row.stage is None or row.verdict == "allow":
        return None
    return words(kinds.get(row.stage, row.stage))
