from __future__ import annotations

from pydantic import TypeAdapter

from detectors.catalogue import AnyDetectorSpec
from gateway.explaining.words import WORDS, words


def test_every_detector_is_put_into_words() -> None:
    kinds = TypeAdapter(AnyDetectorSpec).json_schema()["discriminator"]["mapping"]
    assert set(kinds) == set(WORDS)
    assert all(text[0].islower() and text.endswith(".") for text in WORDS.values())


def test_of_others_nothing_is_said() -> None:
    assert words("brightness") is None
