"""What a combiner is trained on: attacks made from *train* rows, and honest wear of them.

Without torch, and on a model that has no gradient, the attacks only ask it for its logits, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from defenses.base import THOROUGH, Effort
from detectors.base import Reference, Unsuitable, View
from detectors.contract import ContractSpec
from detectors.examples import Examples
from gateway.training.data import Rows
from gateway.training.passes import Chunked
from gateway.training.stored import SAMPLE_ROWS, StoredModel
from gateway.training.wearing import Wear
from models.batch import Array, Arrays, Batch

if TYPE_CHECKING:
    from attacks.attacked import Attacked
    from attacks.feasible import Feasible
    from attacks.network import Network

FEW_ROWS = 10  # an attack that won fewer teaches nothing
WORN_ROWS = 300  # of each kind of wear
_RULES_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Made:
    """Examples, if any could be made, and what a person should know of them."""

    examples: Examples | None
    notes: tuple[str, ...]
    sources: Sources | None = None


def make(
    model: StoredModel,
    train: Rows,
    reference: Rows,
    *,
    wear: Wear | None = None,
    seed: int = 0,
    effort: Effort = THOROUGH,
) -> Made:
    """Attacks the model on *train* rows, on fewer of them and in fewer steps where the effort is quick.

    `reference` rows tell the range and the grid of the input. `wear` is what honest rows may come with.
    """
    backend = model.backend
    if backend.spec.kind == "tokens":
        return _none("token ids can't be changed a little")
    chunked, some = Chunked(backend), _some(reference.batch, seed)
    if chunked.predict(some.take(slice(0, SAMPLE_ROWS))).logits is None:
        return _none("the model has no class logits")
    try:
        rules = ContractSpec().fit(Reference(View(some, chunked), backend.spec, seed=seed))
    except Unsuitable as error:
        return _none(" ".join(str(error).split()))
    classes = _classes(chunked, train.batch)
    right = np.arange(len(classes)) if train.y is None else np.flatnonzero(classes == train.y)
    victims = Victims(train.batch.take(right), classes[right], chunked)
    found = _differentiable(model, victims, some, rules)
    if isinstance(found, Sources):
        attacks, notes = found.attacked(seed, effort), []
    else:
        attacks = _asked(victims, some, rules, seed, effort)
        notes = [f"attacked without gradients, by asking the model, which is weaker: {found}"]
    views = victims.won_by(attacks)
    if not views:
        return _none("no attack changed the model's answer on enough rows")
    made = Examples(View(train.batch, chunked), views, {} if wear is None else victims.worn(wear, seed))
    return Made(made, (*notes, _told(made)), found if isinstance(found, Sources) else None)


@dataclass(frozen=True, slots=True)
class Victims:
    """Rows that the model gets right, and the classes `y` (n,) that it gives them."""

    batch: Batch
    y: Array
    backend: Chunked

    def won_by(self, attacks: Iterable[Attacked]) -> dict[str, View]:
        """For each attack by name, the rows that the backend itself takes for another class."""
        views = ((attack.name, self.won(attack)) for attack in attacks)
        return {name: view for name, view in views if view is not None}

    def won(self, attack: Attacked) -> View | None:
        """The attacked rows that the backend itself takes for another class; None for few."""
        rows = self.batch.take(attack.of).with_x(attack.x)
        won = np.flatnonzero(_classes(self.backend, rows) != self.y[attack.of])
        return View(rows.take(won), self.backend) if len(won) >= FEW_ROWS else None

    def worn(self, wear: Wear, seed: int) -> dict[str, View]:
        """By kind of wear, rows that it left what they were to the model."""
        made = wear.each(self.batch, self.backend, seed, WORN_ROWS)
        return {kind: View(rows, self.backend) for kind, rows in made.items() if len(rows) >= FEW_ROWS}


@dataclass(frozen=True, slots=True)
class Sources(Victims):
    """The same, with what it takes to attack them by gradients."""

    network: Network
    feasible: Feasible

    def attacked(self, seed: int, effort: Effort) -> Iterator[Attacked]:
        """What attacks on the undefended model make of them."""
        from attacks.making import attacked

        quick, tell = effort.quick, effort.progress
        return attacked(self.network, self.feasible, self.batch, self.y, seed=seed, quick=quick, tell=tell)


def _differentiable(model: StoredModel, victims: Victims, some: Batch, rules: Arrays) -> Sources | str:
    """The victims with gradients of the model, or why there are none."""
    try:
        network = model.network(some)
    except Unsuitable as error:
        return str(error)
    from attacks.feasible import Feasible  # imports torch

    feasible = Feasible.learn(some.x, model.backend.spec, rules)
    return Sources(victims.batch, victims.y, victims.backend, network, feasible)


def _asked(victims: Victims, some: Batch, rules: Arrays, seed: int, effort: Effort) -> Iterator[Attacked]:
    """What attacks that only ask the model make of them."""
    from attacks.scored import Grid, attacked

    grid = Grid.learn(some.x, victims.backend.spec, rules)
    quick, tell = effort.quick, effort.progress
    return attacked(victims.backend, grid, victims.batch, victims.y, seed=seed, quick=quick, tell=tell)


def _none(why: str) -> Made:
    return Made(None, (f"no attacks to learn from: {why}",))


def _told(made: Examples) -> str:
    counts = ", ".join(f"{len(view)} by {name}" for name, view in made.attacked.items())
    worn = f" and {sum(map(len, made.worn.values()))} of mild wear" if made.worn else ""
    return f"trained on {len(made.honest)} honest rows{worn}, and on attacks that fooled the model: {counts}"


def _some(batch: Batch, seed: int) -> Batch:
    rows = np.random.default_rng(seed).permutation(len(batch))[:_RULES_ROWS]
    return batch.take(np.sort(rows))


def _classes(backend: Chunked, batch: Batch) -> Array:
    logits = backend.predict(batch).logits
    assert logits is not None, "checked before"
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)
