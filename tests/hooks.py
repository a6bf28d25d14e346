"""An HTTP server that takes webhooks: keeps what it was sent, and answers as it is told to."""

from __future__ import annotations

import threading

from tests.posted import Answer, Post, PostServer


class Hooks(PostServer):
    """`statuses` are answered first, one a request, then 204. A 3xx leads to `/elsewhere`."""

    def __init__(self, *statuses: int, wait: threading.Event | None = None) -> None:
        super().__init__()
        self.posts: list[Post] = []
        self.statuses = list(statuses)
        self.wait = wait

    @property
    def url(self) -> str:
        return f"{super().url}/hook"

    def take(self, post: Post) -> Answer:
        self.posts.append(post)
        if self.wait is not None:
            self.wait.wait(10)
        return Answer(self.statuses.pop(0) if self.statuses else 204, {"location": "/elsewhere"})
