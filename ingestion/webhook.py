"""Lambda on the platform's topic: carries each alert to a chat by an incoming webhook.

`ingestion.webhook.handler`, SNS event in. The URL is a secret: it stands in an SSM parameter, and no message or log of
this function shows more of it than its host. What the chat does not take is raised, so that SNS tries again.
"""

import functools
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ingestion import journal
from ingestion.errors import WebhookRefused
from ingestion.settings import WebhookSettings

TIMEOUT_S = 10
URL_S = 300.0
"""How long a container believes the URL that it read: a new one is in use five minutes after it was written."""

ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"
HERE = {"127.0.0.1", "::1"}


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, int]:
    """Entry point of the Lambda function; gives how many messages it carried."""
    del context
    return {"posted": webhook().post(event)}


@functools.cache
def webhook() -> "Webhook":
    """Made at the first event of a container, not at import: clients need the container's environment."""
    import boto3

    settings = WebhookSettings.from_environment(os.environ)
    return Webhook(boto3.client("ssm"), settings.webhook_parameter, settings.webhook_format)


class Webhook:
    def __init__(self, ssm: Any, parameter: str, form: str, *, timeout: float = TIMEOUT_S) -> None:
        if form not in FORMATS:
            raise WebhookRefused(f"format of the webhook is {form!r}, expected one of {', '.join(FORMATS)}")
        self.ssm = ssm
        self.parameter = parameter
        self.form = FORMATS[form]
        self.timeout = timeout
        self._url = ("", 0.0)

    def post(self, event: Mapping[str, Any]) -> int:
        """Posts every message of the event; if one was refused, raises when the others are through."""
        refused: list[WebhookRefused] = []
        for record in event["Records"]:
            subject, text = readable(record["Sns"])
            try:
                self._send(self.form(subject, text))
            except WebhookRefused as error:
                journal.write("not_posted", subject=subject, why=str(error))
                refused.append(error)
            else:
                journal.write("posted", subject=subject)
        if refused:
            raise refused[0]
        return len(event["Records"])

    def _send(self, payload: Mapping[str, Any]) -> None:
        url = self.url()
        request = urllib.request.Request(  # noqa: S310 - `url` lets https through, and this machine
            url, data=json.dumps(payload).encode(), headers={"Content-Type": "application/json"}, method="POST"
        )
        host = urlsplit(url).hostname
        try:
            with OPENER.open(request, timeout=self.timeout) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise WebhookRefused(f"{host} answered {error.code}: {said}") from None
        except (OSError, ValueError) as error:
            # From None: the error underneath may show the URL.
            raise WebhookRefused(f"{host} cannot be reached: {type(error).__name__}: {error}") from None

    def url(self) -> str:
        known, until = self._url
        if until < time.monotonic():
            answer = self.ssm.get_parameter(Name=self.parameter, WithDecryption=True)
            known = _checked(str(answer["Parameter"]["Value"]).strip(), self.parameter)
            self._url = (known, time.monotonic() + URL_S)
        return known


def _checked(url: str, parameter: str) -> str:
    parts = urlsplit(url)
    if (parts.scheme == "https" and parts.hostname) or (parts.scheme == "http" and parts.hostname in HERE):
        return url
    raise WebhookRefused(f"SSM parameter {parameter}: {parts.scheme or 'no'} URL, expected one that begins https://")


class _Stays(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other that is not 2xx: an alert is not sent on to wherever it points."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        del args, options


# No proxy of the environment, no file:, no ftp:.
OPENER = urllib.request.OpenerDirector()
for _part in (
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPDefaultErrorHandler(),
    urllib.request.HTTPErrorProcessor(),
    _Stays(),
):
    OPENER.add_handler(_part)


def readable(message: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and text of an SNS message; what CloudWatch says of an alarm is JSON and is put into words."""
    text = str(message.get("Message") or "")
    subject = str(message.get("Subject") or text.split("\n", 1)[0])[:200]
    try:
        alarm = json.loads(text)
    except ValueError:
        return subject, text
    if isinstance(alarm, Mapping) and "AlarmName" in alarm:
        lines = (f"{alarm['AlarmName']}: {alarm.get('NewStateValue')}", alarm.get("AlarmDescription"))
        return subject, "\n".join(str(line) for line in (*lines, alarm.get("NewStateReason")) if line)
    return subject, alarm if isinstance(alarm, str) else text


def slack(subject: str, text: str) -> dict[str, Any]:
    """The text in a code block, where nothing of it is taken for a mark-up or a mention."""
    return {"text": f"*{_escaped(subject)}*\n```\n{_escaped(text)}\n```"}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")


def teams(subject: str, text: str) -> dict[str, Any]:
    """An Adaptive Card, a line of the text in a block of its own: runs of text know no Markdown."""
    lines = [{"type": "TextRun", "text": line or " ", "fontType": "Monospace"} for line in text.splitlines()]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": subject, "weight": "Bolder"}]},
            *({"type": "RichTextBlock", "spacing": "None", "inlines": [line]} for line in lines),
        ],
    }
    return {"type": "message", "attachments": [{"contentType": ADAPTIVE_CARD, "contentUrl": None, "content": card}]}


FORMATS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {"slack": slack, "teams": teams}
