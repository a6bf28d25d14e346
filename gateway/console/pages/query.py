"""What a list is narrowed to, read from the address; whatever makes no sense there is left out."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from gateway.state.lists import By
from gateway.state.record import WORDS, Word
from gateway.state.store import Filter

STOPPED: tuple[Word, ...] = ("flag", "reject", "error")
TOGETHER: dict[By, str] = {"principal": "by principal", "digest": "by input"}
AGES_S = {"15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800}
_ID = re.compile(r"[0-9a-f-]{1,64}")
_TEXT = 300
_STEP_S = 10  # "the last hour" moves on so often: in between, a list that nothing was added to need not be made


@dataclass(frozen=True, slots=True)
class Query:
    """The fields as the form shows them, `""` where one is not used."""

    verdicts: tuple[Word, ...]
    fields: Mapping[str, str]

    @staticmethod
    def of(request: Request) -> Query:
        """As the request's address says."""
        params = request.query_params
        stated = params.getlist("verdict")
        verdicts = tuple(word for word in WORDS if word in stated) or STOPPED
        names = ("endpoint", "stage", "principal", "label", "age", "digest", "q", "together")
        return Query(verdicts, {name: params.get(name, "").strip()[:_TEXT] for name in names})

    def filter(self) -> Filter:
        """What the store is asked for."""
        fields = self.fields
        age_s = AGES_S.get(fields["age"])
        return Filter(
            since_ns=None if age_s is None else int(time.time() / _STEP_S) * _STEP_S * 10**9 - age_s * 10**9,
            endpoint=fields["endpoint"] or None,
            verdicts=self.verdicts if not fields["q"] else (),
            stage=fields["stage"] or None,
            principal=fields["principal"] or None,
            label=int(fields["label"]) if re.fullmatch(r"\d{1,9}", fields["label"]) else None,
            digest=fields["digest"] or None,
            begins=self.begins,
        )

    @property
    def by(self) -> By | None:
        """What requests are put together by; None where each stands alone."""
        return next((by for by in TOGETHER if by == self.fields["together"]), None)

    @property
    def begins(self) -> str | None:
        """The beginning of an id that is searched for; one that no id has, where the text is none."""
        searched = self.fields["q"].lower()
        return (searched if _ID.fullmatch(searched) else "-") if searched else None

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out beyond what always is."""
        return any(self.fields.values()) or self.verdicts != STOPPED

    def inside(self, key: str) -> str:
        """The end of an address that shows the requests of one group."""
        return self.address(together="", **{self.by or "q": key})

    def address(self, **more: str) -> str:
        """The same query as the end of an address."""
        shown = [("verdict", word) for word in self.verdicts] if self.verdicts != STOPPED else []
        used = [(name, value) for name, value in {**self.fields, **more}.items() if value]
        return urlencode([*shown, *used])
