"""One value at a time, up or down: for tables, whose columns don't lie side by side.

Guo, Gardner, You, Wilson, Weinberger: Simple Black-box Adversarial Attacks (SimBA, ICML 2019).
"""

from __future__ import annotations

import numpy as np

from attacks.scored.search import Ask, Search
from models.batch import Array


def coordinates(ask: Ask, clean: Array, y: Array, *, epsilon: Array, free: Array, queries: int, seed: int) -> Array:
    """Rows at most `epsilon` (n,) away from `clean` (n, ...) in Linf, inside [0, 1]: the misclassified, else the
    closest to it.

    `free` (m,) are the places in a flattened row that may change, `y` (n,) class labels. Changes of columns of whole
    steps come out as such: `ask` sends what can be sent.
    """
    random = np.random.default_rng(seed)
    search = Search.start(ask, clean, y)
    order = np.stack([random.permutation(free) for _ in range(len(clean))])
    for k in range(queries - 1):
        which = search.left
        if len(which) == 0 or len(free) == 0:
            break
        column = order[which, (k // 2) % len(free)]
        sign = 1.0 if k % 2 else -1.0
        size = epsilon[which] * (1.0 if k < 2 * len(free) else random.random(len(which)))
        tried = search.rows[which].reshape(len(which), -1).copy()
        here = clean[which].reshape(len(which), -1)[np.arange(len(which)), column]
        tried[np.arange(len(which)), column] = np.clip(here + sign * size, 0.0, 1.0)
        search.offer(tried.reshape(search.rows[which].shape), which)
    return search.rows
