"""What callers may see of the model's classes: the less, the dearer to copy the model or to invert it. Pure.

Tramèr, Zhang, Juels, Reiter, Ristenpart: Stealing Machine Learning Models via Prediction APIs (USENIX Security 2016);
Fredrikson, Jha, Ristenpart: Model Inversion Attacks that Exploit Confidence Information (CCS 2015). Both show that
labels alone still leak, only more slowly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.special import expit, softmax

from gateway.errors import OperatorError
from gateway.strict import Strict
from models.backend import TensorSpec
from models.batch import Array, Arrays
from models.specs import OutputConfig

_WHOLE = 1e15


@dataclass(frozen=True, slots=True)
class Scores:
    """The class output of some rows: (n, classes), or (n, 1) for the score of the second of two classes."""

    values: Array
    are_probabilities: bool

    @property
    def one_column(self) -> bool:
        """Whether there are two classes and one score."""
        return self.values.shape[1] == 1

    @property
    def none(self) -> float:
        """What a class that is withheld scores: softmax gives it 0."""
        return 0.0 if self.are_probabilities else float(np.finfo(self.values.dtype).min)

    @property
    def full(self) -> float:
        """What a class that is certain scores; where there is one column only, or in probabilities."""
        return 1.0 if self.are_probabilities else float(np.finfo(self.values.dtype).max)

    @property
    def probabilities(self) -> Array:
        """Of the values' shape."""
        if self.are_probabilities:
            return self.values
        values = self.values.astype(np.float64)
        return np.asarray(expit(values) if self.one_column else softmax(values, axis=1))


class AnswerPolicy(Strict, ABC):
    """One entry of `answers`. Subclasses add `kind: Literal[...] = ...` and parameters."""

    kind: str

    @abstractmethod
    def apply(self, scores: Scores) -> Array:
        """What is told of them: same shape and dtype."""


class Round(AnswerPolicy):
    """Every score to so many digits after the point."""

    kind: Literal["round"] = "round"
    digits: Annotated[int, Field(ge=0, le=6)] = 2

    def apply(self, scores: Scores) -> Array:
        """What is withheld stays so: numbers that large have no digits after the point."""
        wide = scores.values.astype(np.float64)
        large = np.abs(wide) > _WHOLE
        told = np.where(large, wide, np.round(np.where(large, 0.0, wide), self.digits))
        return told.astype(scores.values.dtype)


class TopK(AnswerPolicy):
    """Only the scores of the `k` likeliest classes."""

    kind: Literal["top_k"] = "top_k"
    k: Annotated[int, Field(ge=1)] = 1

    def apply(self, scores: Scores) -> Array:
        """Of equal scores the first count as likelier."""
        told = scores.values.copy()
        others = np.argsort(-told, axis=1, kind="stable")[:, self.k :]
        np.put_along_axis(told, others, told.dtype.type(scores.none), axis=1)
        return told


class LabelsOnly(AnswerPolicy):
    """Which class is the likeliest, and nothing of how likely."""

    kind: Literal["labels_only"] = "labels_only"

    def apply(self, scores: Scores) -> Array:
        """1 for the likeliest class, 0 for others; as logits, numbers that softmax (sigmoid) makes so."""
        if scores.one_column:
            told = np.where(scores.probabilities >= 0.5, scores.full, scores.none)
        else:
            top = scores.values.argmax(axis=1)[:, None] == np.arange(scores.values.shape[1])
            told = np.where(top, 1.0 if scores.are_probabilities else 0.0, scores.none)
        return told.astype(scores.values.dtype)


class HighConfidenceOnly(AnswerPolicy):
    """Only scores of classes whose probability is `cutoff` or more. One score of two classes: else undecided."""

    kind: Literal["high_confidence_only"] = "high_confidence_only"
    cutoff: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5

    def apply(self, scores: Scores) -> Array:
        """A row in which no class is likely enough tells none."""
        p, none = scores.probabilities, scores.none
        if scores.one_column:
            p, none = np.maximum(p, 1.0 - p), 0.5 if scores.are_probabilities else 0.0
        return np.where(p < self.cutoff, scores.values.dtype.type(none), scores.values)


AnyAnswerPolicy = Annotated[Round | TopK | LabelsOnly | HighConfidenceOnly, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """The policies of an endpoint, in order, and the output that they are about."""

    policies: tuple[AnswerPolicy, ...]
    output: str
    are_probabilities: bool

    @staticmethod
    def of(
        policies: Sequence[AnswerPolicy], classes: OutputConfig, outputs: Collection[TensorSpec]
    ) -> Disclosure | None:
        """The disclosure of a model whose resolved spec says `classes`; None without policies.

        Raises:
            OperatorError: the model has no class output that callers get, or another output tells what it hides.
        """
        if not policies:
            return None
        if classes.logits is None:
            raise OperatorError("answers: expected a model with class outputs, found `outputs.kind: none`")
        known = {tensor.name: tensor for tensor in outputs}
        if classes.logits not in known:
            raise OperatorError(
                f"answers: expected `outputs.logits` to be one of the outputs that callers get "
                f"({', '.join(known)}), found {classes.logits!r}"
            )
        _refuse_others(classes.logits, outputs)
        if known[classes.logits].shape[1:] in ((), (1,)) and any(policy.kind == "top_k" for policy in policies):
            raise OperatorError("answers: top_k expects a score a class, found one score of two classes")
        return Disclosure(tuple(policies), classes.logits, classes.kind == "probabilities")

    def apply(self, tensors: Arrays) -> Arrays:
        """The output tensors as callers see them: same names, shapes and dtypes. Rows that are no numbers stay so."""
        whole = tensors[self.output]
        values = given = whole[:, None] if whole.ndim == 1 else whole
        for policy in self.policies:
            values = policy.apply(Scores(values, self.are_probabilities))
        values[np.isnan(given).any(axis=1)] = np.nan
        return {**tensors, self.output: values.reshape(whole.shape)}


def _refuse_others(name: str, outputs: Collection[TensorSpec]) -> None:
    others = [tensor.name for tensor in outputs if tensor.name != name and tensor.dtype.kind == "f"]
    if others:
        raise OperatorError(
            f"answers: output {others[0]!r} holds real numbers too, and would tell what {name!r} hides: "
            f"export the model without it"
        )
