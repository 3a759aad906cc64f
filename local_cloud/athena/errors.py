"""What can go wrong with a request or a query.

AthenaError
├── RequestRefused      the call itself is answered with an error (InvalidRequestException …)
│   └── SyntaxRefused   the text is not one statement that Athena's grammar knows
├── QueryFailed         the call was accepted; the query ends FAILED with this reason
├── QueryCancelled      the query ends CANCELLED with this reason (cut-off, StopQueryExecution)
└── EmulatorRefused     the emulator said no to a call made under some role
"""


class AthenaError(Exception):
    """Raised with the text that a client reads."""


class RequestRefused(AthenaError):
    """Raised when a call is answered with an error. `code` is the exception's name in the API."""

    def __init__(self, message: str, *, code: str = "InvalidRequestException", reason: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class SyntaxRefused(RequestRefused):
    """Raised when a text is not one well-formed statement; Athena says so before it makes a query id."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="MALFORMED_QUERY")


class QueryFailed(AthenaError):
    """Raised when a query cannot be answered. `kind` is Athena's error name, `TABLE_NOT_FOUND` and the like."""

    def __init__(self, kind: str, message: str, place: str | None = None) -> None:
        super().__init__(f"{kind}: {place}: {message}" if place else f"{kind}: {message}")
        self.kind = kind


class QueryCancelled(AthenaError):
    """Raised to end a query as CANCELLED."""


class EmulatorRefused(AthenaError):
    """Raised when the emulator answers a call of ours with an error."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    @property
    def is_denial(self) -> bool:
        return self.status == 403 or self.code.startswith(("AccessDenied", "UnrecognizedClient", "InvalidClientToken"))
