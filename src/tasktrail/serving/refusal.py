"""What a request is answered that does not come through: a status, and a short JSON text."""

from __future__ import annotations

import json

from tasktrail.serving.asgi import Send


class Refusal(Exception):
    """A request is refused.

    Args:
        status: Of HTTP.
        code: A word for programs.
        message: What was met and what was expected.
        hint: What to do about it.
        headers: Further ones of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, hint: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = headers

    async def answer(self, send: Send) -> None:
        """Say it."""
        error = {"code": self.code, "message": self.message, "hint": self.hint}
        body = json.dumps({"error": error}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
