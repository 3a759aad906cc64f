"""The emulator as seen from the endpoint: raw forwarding, and signed calls under the root key or a role."""

import hashlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit
from weakref import WeakSet
from xml.etree import ElementTree as ET

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_cloud.athena.errors import EmulatorRefused, QueryFailed
from local_cloud.athena.facts import AthenaFacts

TIMEOUT_SECONDS = 60
REFRESH_BEFORE_SECONDS = 300
SESSION_SECONDS = 3600
TARGETS = {"glue": "AWSGlue", "athena": "AmazonAthena"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class StoredObject:
    """An S3 object; `size` is bytes."""

    bucket: str
    key: str
    size: int

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass
class _Session:
    credentials: Credentials
    expires: float


@dataclass
class Emulator:
    """Connections are kept per thread; credentials of roles are kept until shortly before they expire."""

    facts: AthenaFacts
    _local: threading.local = field(default_factory=threading.local)
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: "WeakSet[http.client.HTTPSConnection]" = field(default_factory=WeakSet)

    def __post_init__(self) -> None:
        self._context = ssl.create_default_context(cafile=str(self.facts.ca_bundle))
        self.root = Credentials(self.facts.access_key, self.facts.secret_key)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | IO[bytes] = b"") -> Answer:
        """One request as it is; a connection that the emulator closed meanwhile is opened again once."""
        try:
            return self._send(method, path, headers, body)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError, BrokenPipeError):
            self._local.connection = None
            if not isinstance(body, bytes):
                body.seek(0)
            return self._send(method, path, headers, body)

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | IO[bytes]) -> Answer:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(
                self.facts.authority, timeout=TIMEOUT_SECONDS, context=self._context
            )
            self._local.connection = connection
            self._open.add(connection)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        except BaseException:
            connection.close()
            self._local.connection = None
            raise

    def close(self) -> None:
        """Ends idle connections: the emulator waits for them when it stops."""
        for connection in list(self._open):
            connection.close()

    def call(self, service: str, action: str, payload: Mapping[str, Any], credentials: Credentials) -> dict[str, Any]:
        """One JSON 1.1 call; raises EmulatorRefused."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{TARGETS[service]}.{action}",
        }
        body = json.dumps(payload).encode()
        request = AWSRequest("POST", f"{self.facts.endpoint}/", headers=headers, data=body)
        SigV4Auth(credentials, service, self.facts.region).add_auth(request)
        answer = self.send("POST", "/", dict(request.headers), body)
        value = json.loads(answer.body or b"{}")
        if answer.status >= 300:
            code = str(value.get("__type", "Unknown")).rpartition("#")[2]
            raise EmulatorRefused(code, str(value.get("message") or value.get("Message") or ""), answer.status)
        return dict(value)

    def assume(self, role: str) -> Credentials:
        """Temporary credentials of a role, made with the root key."""
        with self._lock:
            session = self._sessions.get(role)
            if session is None or session.expires < time.time() + REFRESH_BEFORE_SECONDS:
                session = self._assume(role)
                self._sessions[role] = session
            return session.credentials

    def forget(self) -> None:
        """An emulator that was killed does not know the sessions that it gave."""
        with self._lock:
            self._sessions.clear()

    def _assume(self, role: str) -> _Session:
        found = self._query(
            "sts",
            {
                "Action": "AssumeRole",
                "Version": "2011-06-15",
                "RoleArn": role,
                "RoleSessionName": "athena-query",
                "DurationSeconds": str(SESSION_SECONDS),
            },
        )
        credentials = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return _Session(credentials, time.time() + SESSION_SECONDS)

    def permits(self, role: str, action: str, resource: str) -> bool:
        """Whether a role's policies allow an action on a resource, for checks that the emulator makes on another."""
        found = self._query(
            "iam",
            {
                "Action": "SimulatePrincipalPolicy",
                "Version": "2010-05-08",
                "PolicySourceArn": role,
                "ActionNames.member.1": action,
                "ResourceArns.member.1": resource,
            },
        )
        return found.get("EvalDecision") == "allowed"

    def _query(self, service: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """One call of the query protocol under the root key; the answer's leaves by name."""
        form = urlencode(parameters).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", f"{self.facts.endpoint}/", headers=headers, data=form)
        SigV4Auth(self.root, service, self.facts.region).add_auth(request)
        answer = self.send("POST", "/", dict(request.headers), form)
        if answer.status >= 300:
            raise _xml_error(answer)
        return {_local_name(node): node.text or "" for node in ET.fromstring(answer.body).iter()}  # noqa: S314  ours

    # S3, path style

    def get_object(self, uri: str, credentials: Credentials) -> bytes:
        return self._s3("GET", uri, credentials).body

    def put_object(self, uri: str, content: bytes | Path, credentials: Credentials) -> None:
        if isinstance(content, bytes):
            self._s3("PUT", uri, credentials, body=content, size=len(content))
            return
        with content.open("rb") as file:
            self._s3("PUT", uri, credentials, body=file, size=content.stat().st_size)

    def delete_object(self, uri: str, credentials: Credentials) -> None:
        self._s3("DELETE", uri, credentials)

    def list_objects(self, prefix_uri: str, credentials: Credentials) -> Iterator[StoredObject]:
        """Every object below a prefix, in key order."""
        bucket, prefix = split_uri(prefix_uri)
        token = ""
        while True:
            query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
            answer = self._s3("GET", f"s3://{bucket}/", credentials, query=query)
            root = ET.fromstring(answer.body)  # noqa: S314  the emulator's own answer
            for node in root.iter():
                if _local_name(node) == "Contents":
                    parts = {_local_name(child): child.text or "" for child in node}
                    yield StoredObject(bucket, parts["Key"], int(parts["Size"]))
            token = next((n.text or "" for n in root.iter() if _local_name(n) == "NextContinuationToken"), "")
            if not token:
                return

    def _s3(  # one place for everything that S3 calls share
        self,
        method: str,
        uri: str,
        credentials: Credentials,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] = b"",
        size: int = 0,
    ) -> Answer:
        bucket, key = split_uri(uri)
        path = f"/{bucket}/{quote(key, safe='/~')}" if key else f"/{bucket}"
        if query:
            path += "?" + urlencode(sorted(query.items()), quote_via=quote)
        headers = {
            "X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else "UNSIGNED-PAYLOAD",
            "X-Amz-Expected-Bucket-Owner": self.facts.account,
        }
        request = AWSRequest(method, self.facts.endpoint + path, headers=headers)
        S3SigV4Auth(credentials, "s3", self.facts.region).add_auth(request)
        answer = self.send(method, path, dict(request.headers) | {"Content-Length": str(size)}, body)
        if answer.status >= 300:
            raise _xml_error(answer)
        return answer


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` (or `s3a://`) address."""
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme not in ("s3", "s3a", "s3n") or not parts.netloc:
        raise QueryFailed("HIVE_METASTORE_ERROR", f"'{uri}' is not an address in S3")
    return parts.netloc, (parts.path + (f"?{parts.query}" if parts.query else "")).removeprefix("/")


def _local_name(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


def _xml_error(answer: Answer) -> EmulatorRefused:
    try:
        found = {_local_name(node): node.text or "" for node in ET.fromstring(answer.body).iter()}  # noqa: S314  ours
    except ET.ParseError:
        found = {}
    return EmulatorRefused(found.get("Code", f"HTTP {answer.status}"), found.get("Message", ""), answer.status)
