"""An attack that knows the whole chain: descents, matching and search, the best of each row."""

from __future__ import annotations

from attacks.evading.attack import Effort, Evaded, evade
from attacks.evading.knowing import Epsilon, Told
from attacks.evading.matching import Guides
from attacks.evading.scene import Aim, Judge, Known, Scene, Watcher

__all__ = ["Aim", "Effort", "Epsilon", "Evaded", "Guides", "Judge", "Known", "Scene", "Told", "Watcher", "evade"]
