"""Asks a person before something is taken away: by elicitation where the client can, else by a token to confirm with.

A token belongs to one tool, its arguments, and what the call would take away now: where that has become more, it is
worth nothing, and so it is once it was used. What the client sends back is never believed for anything else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from tasktrail.logs import logger
from tasktrail.mcp.fitting import compact
from tasktrail.tools import Words

__all__ = ["CONFIRM", "Asking", "declined"]

CONFIRM: Final = "confirm"
"""The argument, the question and its answer are all called so."""
_FORM: Final = {
    "type": "object",
    "properties": {CONFIRM: {"type": "boolean", "title": "Do it", "description": "Whether to go on."}},
    "required": [CONFIRM],
}
_VALID_S: Final = 600.0
_DIGITS: Final = 16
_MOST_USED: Final = 1_000

Context = ServerRequestContext[Any, Any]


class Asking:
    """Questions of one server process.

    Args:
        clock: Seconds that never go back.
        patience_s: How long a person has to answer; then a token must do.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, patience_s: float = _VALID_S) -> None:
        self._secret, self._clock, self._patience_s = secrets.token_bytes(32), clock, patience_s
        self._used: dict[str, int] = {}

    async def ask(
        self,
        ctx: Context,
        params: CallToolRequestParams,
        actor: str,
        arguments: Mapping[str, Any],
        losses: str,
        confirm: str,
    ) -> Words | InputRequiredResult | None:
        """Return None where the call may go on, else what it is to be answered with.

        Args:
            actor: Who calls.
            losses: What it would take away.
            confirm: The token that came with it.
        """
        question = f"{params.name}: {losses}. Go on?"
        about = compact([actor, params.name, sorted(arguments.items()), losses])
        if confirm and self._is_token(confirm, about):
            self._use_up(about)
            return None
        if params.request_state is not None and self._is_token(params.request_state, about):
            self._use_up(about)
            return _judged((params.input_responses or {}).get(CONFIRM))
        if not _can_elicit(ctx):
            return self._refused(losses, about, is_wrong=bool(confirm))
        form = ElicitRequestFormParams(message=question, requested_schema=_FORM)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            asked = ElicitRequest(params=form)
            return InputRequiredResult(input_requests={CONFIRM: asked}, request_state=self._token(about))
        try:
            with anyio.fail_after(self._patience_s):
                return _judged(await ctx.session.elicit_form(question, _FORM, related_request_id=ctx.request_id))
        except (MCPError, ValidationError, TimeoutError) as error:  # no way to ask, no sense in the answer, or none
            logger(__name__).info("nobody could be asked by elicitation: %s", type(error).__name__)
            return self._refused(losses, about, is_wrong=bool(confirm))

    def _refused(self, losses: str, about: str, *, is_wrong: bool) -> Words:
        token = self._token(about)
        why = "this token does not confirm it" if is_wrong else "a person must confirm it first"
        return {
            "status": "error",
            "message": f"{losses}; {why}",
            "code": "confirmation_needed",
            CONFIRM: token,
            "hint": f"ask the person; if the answer is yes, call again with {CONFIRM}={token} within ten minutes",
        }

    def _token(self, about: str, *, before: int = 0) -> str:
        window = int(self._clock() // _VALID_S) - before
        told = f"{window}\n{self._used.get(about, 0)}\n{about}".encode(errors="surrogatepass")
        return hmac.new(self._secret, told, hashlib.sha256).hexdigest()[:_DIGITS]

    def _use_up(self, about: str) -> None:
        """Whoever asks for the same once more needs another token."""
        used = self._used.pop(about, 0) + 1
        while len(self._used) >= _MOST_USED:
            self._used.pop(next(iter(self._used)))
        self._used[about] = used

    def _is_token(self, given: str, about: str) -> bool:
        told = given.encode(errors="replace")
        return any(hmac.compare_digest(told, self._token(about, before=before).encode()) for before in (0, 1))


def declined() -> Words:
    """Return the answer to a call that a person does not want."""
    message = "the person declined; nothing was changed"
    return {"status": "error", "message": message, "code": "declined", "hint": "do not ask again for the same"}


def _can_elicit(ctx: Context) -> bool:
    """A client that names no mode means forms. Source: MCP 2025-11-25, elicitation."""
    can = ctx.session.client_capabilities
    found = can.elicitation if can is not None else None
    return found is not None and (found.form is not None or found.url is None)


def _judged(answer: object) -> Words | None:
    accepted = isinstance(answer, ElicitResult) and answer.action == "accept" and (answer.content or {}).get(CONFIRM)
    return None if accepted is True else declined()
