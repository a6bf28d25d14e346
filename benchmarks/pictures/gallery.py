"""Takes pictures of a console's pages in Chromium, light and dark."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.browser import SCHEMES, browsing

PHONE = (390, 844)


@dataclass(frozen=True)
class Gallery:
    """The browser's program, and the folder for the pictures."""

    program: str
    out: Path

    def take(self, base: str, pages: Mapping[str, str], phone: str, height: int = 1100) -> None:
        """Pictures of `pages`, paths at `base` by the picture's name; `phone` names the first page's on a phone.

        What the browser complains of is printed.
        """
        asyncio.run(self._take(base, pages, phone, height))

    async def _take(self, base: str, pages: Mapping[str, str], phone: str, height: int) -> None:
        async with browsing(self.program) as page:
            for scheme in SCHEMES:
                await page.look(scheme)
                for name, path in pages.items():
                    await page.open(base + path)
                    await page.picture(self.out / f"console-{name}-{scheme}.png", height=height)
            await page.look("light", *PHONE)
            await page.open(base + next(iter(pages.values())))
            await page.picture(self.out / f"console-{phone}.png", height=height)
            for error in page.errors:
                print(error, file=sys.stderr)
