"""The webhook against a local HTTP server that plays the chat, and moto's SSM."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ingestion import webhook
from ingestion.errors import WebhookRefused
from ingestion.webhook import Webhook

PARAMETER = "/lake/dev/webhook"
SECRET = "T000/B000/s3cret"


class Chat:
    """An HTTP server of one thread: answers with `status`, remembers what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.location: str | None = None
        self.got: list[tuple[str, str, Any]] = []
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chat.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.send_response(chat.status)
                if chat.location:
                    self.send_header("Location", chat.location)
                self.end_headers()
                self.wfile.write(b"no_service" if chat.status != 200 else b"ok")

            def do_GET(self) -> None:
                chat.got.append(("GET " + self.path, "", None))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/{SECRET}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def chat() -> Iterator[Chat]:
    made = Chat()
    yield made
    made.close()


@pytest.fixture(scope="module")
def parameters() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


@pytest.fixture
def ssm(parameters: Any, chat: Chat) -> Any:
    parameters.put_parameter(Name=PARAMETER, Value=chat.url, Type="SecureString", Overwrite=True)
    return parameters


def an_event(
    *texts: str, subject: str | None = "Lake: northwind: a file was quarantined"
) -> dict[str, list[dict[str, Any]]]:
    return {
        "Records": [
            {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"Subject": subject, "Message": text}}
            for text in texts
        ]
    }


def test_slack_gets_one_text(ssm, chat):
    assert Webhook(ssm, PARAMETER, "slack").post(an_event("file: raw/a.csv\nlake files northwind")) == 1

    assert chat.got == [
        (
            f"/services/{SECRET}",
            "application/json",
            {"text": "*Lake: northwind: a file was quarantined*\n```\nfile: raw/a.csv\nlake files northwind\n```"},
        )
    ]


def test_what_a_key_is_made_of_is_no_markup_in_slack(ssm, chat):
    Webhook(ssm, PARAMETER, "slack").post(an_event("file: raw/<!channel>&```b.csv", subject="<!here>"))

    [(_, _, payload)] = chat.got
    assert payload == {"text": "*&lt;!here&gt;*\n```\nfile: raw/&lt;!channel&gt;&amp;'''b.csv\n```"}


def test_teams_gets_an_adaptive_card_with_a_block_per_line(ssm, chat):
    Webhook(ssm, PARAMETER, "teams").post(an_event("file: raw/**a**.csv\n\nlake files northwind"))

    [(_, _, payload)] = chat.got
    [attachment] = payload["attachments"]
    card = attachment["content"]
    assert (payload["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert [block["inlines"][0]["text"] for block in card["body"]] == [
        "Lake: northwind: a file was quarantined",
        "file: raw/**a**.csv",
        " ",
        "lake files northwind",
    ]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}  # no Markdown in it


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_what_the_chat_does_not_take_is_raised_so_that_sns_tries_again(ssm, chat, status):
    chat.status = status

    with pytest.raises(WebhookRefused, match=f"127.0.0.1 answered {status}: no_service"):
        Webhook(ssm, PARAMETER, "slack").post(an_event("text"))


def test_an_alert_does_not_follow_a_redirect(ssm, chat):
    chat.status, chat.location = 302, "/elsewhere"

    with pytest.raises(WebhookRefused, match="answered 302"):
        Webhook(ssm, PARAMETER, "slack").post(an_event("text"))
    assert [path for path, _, _ in chat.got] == [f"/services/{SECRET}"]


def test_one_refused_message_does_not_keep_the_others(ssm, chat, monkeypatch):
    hook = Webhook(ssm, PARAMETER, "slack")
    send = hook._send

    def refuses(payload):
        if "poison" in payload["text"]:
            raise WebhookRefused("no")
        send(payload)

    monkeypatch.setattr(hook, "_send", refuses)

    with pytest.raises(WebhookRefused):
        hook.post(an_event("poison", "good"))
    assert len(chat.got) == 1


def test_a_host_that_is_not_there_is_named_and_the_url_is_not(ssm, chat, capsys):
    ssm.put_parameter(Name=PARAMETER, Value=f"https://127.0.0.1:1/{SECRET}", Type="SecureString", Overwrite=True)

    with pytest.raises(WebhookRefused, match=r"127\.0\.0\.1 cannot be reached") as raised:
        Webhook(ssm, PARAMETER, "slack").post(an_event("text"))
    assert "s3cret" not in f"{raised.value}{raised.value.__cause__}{capsys.readouterr().out}"


@pytest.mark.parametrize(
    "url", ["http://chat.example/x", "file:///etc/passwd", "ftp://chat.example", "chat.example/x", "", "https://"]
)
def test_only_https_and_this_machine_are_posted_to(ssm, chat, url):
    ssm.put_parameter(Name=PARAMETER, Value=url or " ", Type="SecureString", Overwrite=True)

    with pytest.raises(WebhookRefused, match="expected one that begins https://"):
        Webhook(ssm, PARAMETER, "slack").post(an_event("text"))
    assert chat.got == []


def test_a_new_url_is_in_use_some_minutes_later(ssm, chat, monkeypatch):
    hook = Webhook(ssm, PARAMETER, "slack")
    hook.post(an_event("text"))
    ssm.put_parameter(Name=PARAMETER, Value=chat.url + "2", Type="SecureString", Overwrite=True)
    hook.post(an_event("text"))
    hook._url = (hook._url[0], 0.0)
    hook.post(an_event("text"))

    assert [path.removeprefix(f"/services/{SECRET}") for path, _, _ in chat.got] == ["", "", "2"]


def test_an_unknown_format_is_refused_with_those_there_are(ssm):
    with pytest.raises(WebhookRefused, match="'discord', expected one of slack, teams"):
        Webhook(ssm, PARAMETER, "discord")


def test_what_cloudwatch_says_of_an_alarm_is_put_into_words(ssm, chat):
    alarm = {
        "AlarmName": "lake-dev-dead-letters",
        "AlarmDescription": "Events that could not be registered.",
        "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed: 1 datapoint [2.0] was greater than the threshold (1.0).",
        "Trigger": {"MetricName": "ApproximateNumberOfMessagesVisible"},
    }

    Webhook(ssm, PARAMETER, "slack").post(an_event(json.dumps(alarm), subject='ALARM: "lake-dev-dead-letters"'))

    [(_, _, payload)] = chat.got
    assert payload["text"].splitlines() == [
        '*ALARM: "lake-dev-dead-letters"*',
        "```",
        "lake-dev-dead-letters: ALARM",
        "Events that could not be registered.",
        "Threshold Crossed: 1 datapoint [2.0] was greater than the threshold (1.0).",
        "```",
    ]


def test_a_message_without_a_subject_begins_with_its_first_line(ssm, chat):
    Webhook(ssm, PARAMETER, "slack").post(an_event("Job a, run b: FAILED.", subject=None))

    assert chat.got[0][2]["text"].startswith("*Job a, run b: FAILED.*\n")


def test_the_function_reads_its_parameter_and_format_from_its_environment(ssm, chat, monkeypatch):
    monkeypatch.setenv("LAKE_WEBHOOK_PARAMETER", PARAMETER)
    monkeypatch.setenv("LAKE_WEBHOOK_FORMAT", "slack")
    webhook.webhook.cache_clear()

    assert webhook.handler(an_event("one", "two"), None) == {"posted": 2}
    webhook.webhook.cache_clear()
    assert len(chat.got) == 2
