"""`/sign-in`: a token for a session."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console.access import COOKIE, SESSION_S
from gateway.console.rendering import access_of, form, message, render
from gateway.errors import OperatorError

_PAUSE_S = 0.5  # after a wrong token


def page(request: Request) -> Response:
    """The form."""
    access = access_of(request)
    if access.may_enter(request.cookies.get(COOKIE, "")):
        return RedirectResponse("/", 303)
    return render(request, "signin.html", wrong=False)


async def sign_in(request: Request) -> Response:
    """A session for whoever has the token."""
    try:
        fields = await form(request)
    except OperatorError as error:
        return message(request, 403, "Not done", str(error))
    session = access_of(request).sign_in(fields.get("token", "").strip())
    if session is None:
        await asyncio.sleep(_PAUSE_S)
        return render(request, "signin.html", 403, wrong=True)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, session, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=secure)
    return answer


async def sign_out(request: Request) -> Response:
    """Ends the session."""
    try:
        await form(request)
    except OperatorError as error:
        return message(request, 403, "Not done", str(error))
    access_of(request).sign_out(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer
