"""May this caller do that? The emulator decides, on the caller's own signature.

The endpoint knows no secret of a caller, so it cannot sign for one. It forwards the caller's own signed headers
together with the hash of the body that was received; the emulator verifies that signature and evaluates IAM for the
signed action. The body that travels along is a harmless one that names the workgroup: the emulator reads the
resource from it, and it must not act on the caller's statement itself (its own Athena drops tables and writes objects
without asking IAM).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_cloud.athena.emulator import Answer, Emulator
from local_cloud.athena.errors import RequestRefused

# Refused by the emulator after the permission check and before anything happens.
HARMLESS = {"QueryString": "CREATE TABLE t (a int)", "ResultConfiguration": {"OutputLocation": "s3://-/"}}
NOT_FORWARDED = {"connection", "content-length", "transfer-encoding", "content-encoding", "x-amz-content-sha256"}
# Errors that the emulator raises only after the permission check; any other error counts as a denial.
AFTER_THE_CHECK = {"InvalidRequestException", "InvalidAction", "MetadataException", "ResourceNotFoundException"}


@dataclass(frozen=True)
class Request:
    """A call as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def action(self) -> str:
        return self.header("x-amz-target").rpartition(".")[2]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers.items() if key.lower() == name), "")

    def payload(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as e:
            raise RequestRefused("the request's body is not JSON", code="SerializationException") from e
        if not isinstance(value, dict):
            raise RequestRefused("the request's body is not a JSON object", code="SerializationException")
        return value


class PermissionDenied(RequestRefused):
    """Raised with the emulator's own refusal; `answer` is passed on to the caller as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("denied", code="AccessDeniedException")
        self.answer = answer


def check(emulator: Emulator, request: Request, workgroup: str | None) -> None:
    """Raises PermissionDenied unless the caller may do the signed action on this workgroup."""
    answer = probe(emulator, request, {"WorkGroup": workgroup} if workgroup else {})
    if not _is_allowed(answer):
        raise PermissionDenied(answer)


def check_identity(emulator: Emulator, request: Request) -> None:
    """Raises PermissionDenied unless the request is signed by somebody whom the emulator knows."""
    answer = probe(emulator, request, {})
    if not _is_allowed(answer) and not _code(answer).startswith("AccessDenied"):
        raise PermissionDenied(answer)


def allows(emulator: Emulator, request: Request, workgroup: str) -> bool:
    return _is_allowed(probe(emulator, request, {"WorkGroup": workgroup}))


def check_catalog(emulator: Emulator, request: Request, workgroup: str, query_role: str | None) -> bool:
    """Whether the caller may read the catalog through this workgroup.

    AWS checks these actions on the data catalog's ARN, of which the emulator knows nothing: it names a workgroup or
    `*`. So a caller whom it denies, and who is the workgroup's own query role, is asked for on that ARN.
    """
    answer = probe(emulator, request, {"WorkGroup": workgroup})
    if _is_allowed(answer):
        return True
    caller = _role_name(answer)
    if caller is None or query_role is None or query_role.rpartition("/")[2] != caller:
        return False
    facts = emulator.facts
    catalog = f"arn:aws:athena:{facts.region}:{facts.account}:datacatalog/AwsDataCatalog"
    return emulator.permits(query_role, f"athena:{request.action}", catalog)


def is_root(emulator: Emulator, request: Request) -> bool:
    """Whether the root key signed; the signature itself is checked by `check_identity`."""
    return access_key(request) == emulator.facts.access_key


def access_key(request: Request) -> str:
    """The key that the request is signed with; raises RequestRefused where the emulator could read another one.

    The header of a signature is not signed itself, so a caller could write a second key into it, or beside it.
    """
    found = _KEY.findall(request.header("authorization"))
    if len(found) > 1 or "credential=" in request.path.lower():
        raise RequestRefused("the request is signed in more than one way", code="IncompleteSignatureException")
    return str(found[0]) if found else ""


def caller(emulator: Emulator, request: Request, known: dict[str, str]) -> str | None:
    """ARN of the role or user who signed; None for the root key, and for who may use every workgroup there is.

    Only a denial says who was denied, so the action is asked for in a workgroup that cannot be. `known` keeps what was
    found by access key: a session's key is never given twice.
    """
    key = access_key(request)
    if key == emulator.facts.access_key:
        return None
    principal = known.get(key) or _principal(probe(emulator, request, {"WorkGroup": NOWHERE}))
    if principal is not None:
        known[key] = principal
    return principal


NOWHERE = "-"
_KEY = re.compile(r"credential=([^/,\s]*)", re.IGNORECASE)
_SESSION = re.compile(r"arn:(aws[\w-]*):sts::(\d+):assumed-role/([^/\s]+)/")
_USER = re.compile(r"arn:aws[\w-]*:iam::\d+:user/[^\s]+")


def _principal(denial: Answer) -> str | None:
    words = denial.body.decode(errors="replace") if _code(denial).startswith("AccessDenied") else ""
    if session := _SESSION.search(words):
        return f"arn:{session.group(1)}:iam::{session.group(2)}:role/{session.group(3)}"
    user = _USER.search(words)
    return user.group() if user else None


_ROLE = re.compile(r"assumed-role/([^/\s]+)/")


def _role_name(denial: Answer) -> str | None:
    """The role of a caller whose signature was right, from the words in which it was denied."""
    found = _ROLE.search(denial.body.decode(errors="replace")) if _code(denial).startswith("AccessDenied") else None
    return found.group(1) if found else None


def probe(emulator: Emulator, request: Request, resource: Mapping[str, str]) -> Answer:
    """The emulator's answer to the signed action with a harmless body."""
    return emulator.send("POST", request.path, signed_headers(request), json.dumps(HARMLESS | dict(resource)).encode())


def signed_headers(request: Request) -> dict[str, str]:
    """The caller's headers, and the hash of exactly the body that was received."""
    digest = hashlib.sha256(request.body).hexdigest()
    claimed = request.header("x-amz-content-sha256")
    if claimed and claimed != digest:
        raise RequestRefused("the body does not have the signed hash", code="InvalidSignatureException")
    kept = {name: value for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED}
    return kept | {"X-Amz-Content-SHA256": digest}


def _is_allowed(answer: Answer) -> bool:
    if answer.status != 400:
        return answer.status < 300
    return _code(answer) in AFTER_THE_CHECK


def _code(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body).get("__type", "")).rpartition("#")[2]
    except ValueError:
        return ""
