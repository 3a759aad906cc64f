"""One clear line for whatever went wrong: the thing, what happened, what to do.

LakeError
├── WrongInput      exit 2
├── NotFound        exit 3
└── CloudIsDown     exit 1
"""

import os
import traceback
from collections.abc import Callable

from cli.exit_codes import ExitCode

__all__ = ["CloudIsDown", "LakeError", "NotFound", "WrongInput", "explain"]


class LakeError(Exception):
    """Raised when a command cannot go on; its text is shown to the person as it is."""

    code = ExitCode.FAILED


class WrongInput(LakeError):
    """Raised when what the person gave cannot be used."""

    code = ExitCode.INPUT


class NotFound(LakeError):
    """Raised when the thing that was named does not exist; the message names what does."""

    code = ExitCode.NOT_FOUND


class CloudIsDown(LakeError):
    """Raised when a command needs the local cloud and nobody answers."""

    def __init__(self) -> None:
        super().__init__("local cloud is not running: start it with `lake up`")


def explain(error: BaseException) -> tuple[str, ExitCode]:
    """Message and exit code of any exception; `LAKE_DEBUG=1` adds the traceback."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was begun goes on in the cloud, run the command again to continue", (
            ExitCode.INTERRUPTED
        )
    text, code = _explained(error)
    if os.environ.get("LAKE_DEBUG"):
        text = "".join(traceback.format_exception(error)) + text
    return text, code


def _explained(error: BaseException) -> tuple[str, ExitCode]:
    if isinstance(error, LakeError):
        return str(error), error.code
    explainer = _ROOMS.get(type(error).__module__.split(".")[0])
    return explainer(error) if explainer is not None else _unexpected(error)


def _tenants(error: BaseException) -> tuple[str, ExitCode]:
    return str(error), ExitCode.NOT_FOUND if _says_missing(error) else ExitCode.INPUT


def _own(error: BaseException) -> tuple[str, ExitCode]:
    return str(error), ExitCode.NOT_FOUND if _says_missing(error) else ExitCode.FAILED


def _says_missing(error: BaseException) -> bool:
    return any(kind.__name__ in {"NotFound", "NotInLedger", "LookupError"} for kind in type(error).__mro__)


def _pynamodb(error: BaseException) -> tuple[str, ExitCode]:
    cause = getattr(error, "cause", None)
    return _explained(cause) if isinstance(cause, Exception) else _unexpected(error)


def _aws(error: BaseException) -> tuple[str, ExitCode]:
    name = type(error).__name__
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return _refusal(response.get("Error", {}), str(getattr(error, "operation_name", "call"))), ExitCode.FAILED
    if name in {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "SSOTokenLoadError"}:
        return f"no AWS credentials: {error}; log in (for instance `aws sso login`) and try again", ExitCode.FAILED
    if name in {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}:
        return f"AWS does not answer: {error}; see `lake status` and `lake doctor`", ExitCode.FAILED
    return f"AWS: {error}", ExitCode.FAILED


_ADVICE = {
    "AccessDenied": "the credentials in use lack this right",
    "AccessDeniedException": "the credentials in use lack this right",
    "ExpiredToken": "log in again",
    "ExpiredTokenException": "log in again",
    "InvalidAccessKeyId": "these credentials are not of this account; see `lake env`",
    "NoSuchBucket": "the tenant is not deployed: run `lake deploy`",
    "ResourceNotFoundException": "not deployed yet? run `lake deploy`",
    "SignatureDoesNotMatch": "the secret key is wrong; see `lake env`",
    "ThrottlingException": "wait a moment and try again",
}


def _refusal(error: dict[str, str], operation: str) -> str:
    code = error.get("Code", "error")
    advice = _ADVICE.get(code, "see `lake doctor`; LAKE_DEBUG=1 shows the traceback")
    subject = error.get("BucketName") or error.get("Resource") or ""
    return f"AWS refused {operation}{f' on {subject}' if subject else ''}: {code}: {error.get('Message', '')}; {advice}"


def _unexpected(error: BaseException) -> tuple[str, ExitCode]:
    if isinstance(error, OSError) and error.errno is not None:
        return _system(error), ExitCode.FAILED
    kind = type(error).__name__
    return f"unexpected {kind}: {error}; LAKE_DEBUG=1 shows the traceback", ExitCode.FAILED


def _system(error: OSError) -> str:
    advice = {28: "the disk is full: free some space and try again", 13: "no permission", 98: "the port is in use"}
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{advice.get(error.errno or 0, error.strerror)}"


_ROOMS: dict[str, Callable[[BaseException], tuple[str, ExitCode]]] = {
    "tenants": _tenants,
    "cli": _own,
    "demo": _own,
    "deployment": _own,
    "isolation": _own,
    "lineage": _own,
    "local_cloud": _own,
    "botocore": _aws,
    "boto3": _aws,
    "s3transfer": _aws,
    "pynamodb": _pynamodb,
}
