"""What people are told of: on the topic of the tenant's owner and on the platform's, in words, once a day.

The message is text for a person; its last line is the command to run next. The attributes `kind`, `tenant` and
`dataset` let a subscription filter. That a topic cannot be reached breaks nothing: it is written to the log.
"""

import shlex
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from ingestion import journal
from lineage.fates import MAX_ATTEMPTS
from lineage.notices import PLATFORM, Notices
from lineage.text import visible
from lineage.values import DatasetEntry, Errand, Member, RunState, TenantEntry

AGAIN_AFTER = timedelta(hours=24)
SUBJECT_LENGTH = 100
REASON_LENGTH = 2000
LONGEST_KEY = 1024
MOST_A_DAY = 20  # of one kind about one tenant: what a job writes into its rows must not fill mailboxes
LOCAL = "local"


class Kind(StrEnum):
    BATCH_FAILED = "batch_failed"
    FILE_QUARANTINED = "file_quarantined"
    UNROUTED_FILE = "unrouted_file"
    DEAD_LETTERS = "dead_letters"
    WAITING_TOO_LONG = "waiting_too_long"
    ERRAND_FAILED = "errand_failed"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One thing that somebody should know. `about`: what it is not told again of within a day."""

    kind: Kind
    headline: str
    """What happened, as the end of a sentence: it becomes the subject."""
    reason: str
    advice: str
    command: tuple[str, ...]
    """Without the environment."""
    about: str
    tenant: str | None = None
    dataset: str | None = None
    key: str | None = None
    others: int = 0
    """How many more files than `key`."""
    run: str | None = None


class Alerts:
    def __init__(self, notices: Notices, sns: Any, *, topic: str, environment: str) -> None:
        self.notices = notices
        self.sns = sns
        self.topic = topic
        self.environment = environment

    def tell(self, alert: Alert, tenant: TenantEntry | None) -> bool:
        """Publishes, unless it was told within a day, or too much of its kind was. Raises nothing.

        False = nobody was told now.
        """
        owner = alert.tenant or PLATFORM
        try:
            if not self.notices.may_tell(owner, alert.kind, alert.about, AGAIN_AFTER):
                return False
            if not self.notices.has_room(owner, alert.kind, MOST_A_DAY):
                self.notices.withdraw(owner, alert.kind, alert.about)
                journal.write(
                    "alert_left_out", kind=alert.kind, tenant=alert.tenant, about=alert.about, most=MOST_A_DAY
                )
                return False
            topics = [self.topic, *([tenant.topic] if tenant and tenant.topic else [])]
            told = [topic for topic in topics if self._publish(topic, alert)]
            if not told:
                self.notices.withdraw(owner, alert.kind, alert.about)
        except Exception as error:
            _not_told(alert, error)
            return False
        return bool(told)

    def _publish(self, topic: str, alert: Alert) -> bool:
        try:
            self.sns.publish(
                TopicArn=topic,
                Subject=self.subject(alert),
                Message=self.message(alert),
                MessageAttributes=_attributes(kind=alert.kind, tenant=alert.tenant, dataset=alert.dataset),
            )
        except Exception as error:
            _not_told(alert, error, topic=topic)
            return False
        journal.write("alert", kind=alert.kind, tenant=alert.tenant, about=alert.about, topic=topic)
        return True

    def subject(self, alert: Alert) -> str:
        """One line of ASCII, as SNS wants it."""
        whose = alert.tenant or "platform"
        words = f"[{self.environment}] {whose}: {visible(alert.headline)}".encode("ascii", "replace").decode()
        return words if len(words) <= SUBJECT_LENGTH else words[: SUBJECT_LENGTH - 3] + "..."

    def message(self, alert: Alert) -> str:
        known = {
            "environment": self.environment,
            "tenant": alert.tenant,
            "dataset": alert.dataset,
            "file": alert.key and alert.key + (f" (and {alert.others} more)" if alert.others else ""),
            "run": alert.run,
            "reason": alert.reason,
        }
        lines = [f"{name}: {visible(value[:REASON_LENGTH])}" for name, value in known.items() if value]
        headline = visible(alert.headline[0].upper() + alert.headline[1:REASON_LENGTH])
        return "\n".join([f"{headline}.", "", *lines, "", f"{alert.advice} Next:", self.command(alert.command)])

    def command(self, words: Iterable[str]) -> str:
        """As it can be pasted into a shell; a word that steers a terminal is spelled out, and then names nothing."""
        where = () if self.environment == LOCAL else ("-e", self.environment)
        return shlex.join(visible(word) for word in (*words, *where))


def can_be_pasted(text: str) -> bool:
    """As the value of an option: it is a row of the tenant's that says it."""
    return text.isprintable() and len(text) <= LONGEST_KEY and not text.startswith("-")


def _attributes(**known: str | None) -> dict[str, dict[str, str]]:
    return {
        name: {"DataType": "String", "StringValue": visible(value[:SUBJECT_LENGTH])}
        for name, value in known.items()
        if value
    }


def _look_at(tenant: str, run: str) -> tuple[str, ...]:
    """The command that shows what a run wrote; of one whose id is none of ours, a row of the tenant's: all its runs."""
    try:
        known = str(uuid.UUID(run)) == run
    except ValueError:
        known = False
    return ("lake", "runs", tenant, "--logs", run) if known else ("lake", "runs", tenant)


def _not_told(alert: Alert, error: Exception, **more: str) -> None:
    journal.write(
        "alert_not_sent",
        kind=alert.kind,
        tenant=alert.tenant,
        about=alert.about,
        error=type(error).__name__,
        why=str(error),
        **more,
    )


def batch_failed(tenant: str, run: RunState, members: Sequence[Member]) -> Alert:
    what = f"{run.files} files" if run.files != 1 else "one file"
    return Alert(
        kind=Kind.BATCH_FAILED,
        headline=f"a batch of {run.dataset} failed ({run.job}, {what})",
        reason=run.error or "the run ended without a word",
        advice=f"It is tried {MAX_ATTEMPTS} times, then halved until the file that is the matter is found.",
        command=_look_at(tenant, run.run),
        about=run.batch or run.run,
        tenant=tenant,
        dataset=run.dataset,
        key=members[0].key if members else None,
        others=max(0, len(members) - 1),
        run=run.run,
    )


def file_quarantined(tenant: str, run: RunState, member: Member, reason: str | None) -> Alert:
    """The last run of a file, alone, failed. To replay a commit object is to replay the files behind it."""
    replay = ("lake", "replay", tenant, "--file", member.key)
    return Alert(
        kind=Kind.FILE_QUARANTINED,
        headline=f"a file of {run.dataset} was set aside after its runs failed ({run.job})",
        reason=reason or run.error or "the run ended without a word",
        advice="Other files go on. Correct the file or its contract, deploy, then have it tried again.",
        command=replay if can_be_pasted(member.key) else _look_at(tenant, run.run),
        about=f"{member.id}@{member.epoch}#{run.job}",
        tenant=tenant,
        dataset=run.dataset,
        key=member.key,
        run=run.run,
    )


def files_refused(tenant: str, run: RunState, refused: Sequence[tuple[Member, str]]) -> Alert:
    """Files of a completed run of which no row could be used: told once a day for a dataset, they are all listed."""
    first, reason = refused[0]
    many = f"{len(refused)} files" if len(refused) > 1 else "a file"
    of_dataset = ("--dataset", run.dataset) if can_be_pasted(run.dataset) else ()
    return Alert(
        kind=Kind.FILE_QUARANTINED,
        headline=f"no row could be used of {many} of {run.dataset}",
        reason=reason,
        advice="Other files went on. Correct the file at its source and put it again, or correct the contract.",
        command=("lake", "files", tenant, *of_dataset, "--state", "QUARANTINED"),
        about=f"refused#{run.dataset}",
        tenant=tenant,
        dataset=run.dataset,
        key=first.key,
        others=len(refused) - 1,
        run=run.run,
    )


def waiting_too_long(dataset: DatasetEntry, job: str, oldest: Member, why: str) -> Alert:
    return Alert(
        kind=Kind.WAITING_TOO_LONG,
        headline=f"files of {dataset.dataset} wait too long for {job}",
        reason=f"the oldest arrived {oldest.arrived_at:%Y-%m-%d %H:%M} UTC; {why}",
        advice="Nothing is lost: they start when they can.",
        command=("lake", "runs", dataset.tenant),
        about=f"{job}#{dataset.dataset}",
        tenant=dataset.tenant,
        dataset=dataset.dataset,
        key=oldest.key,
    )


def dead_letters(depth: int) -> Alert:
    many = f"{depth} messages" if depth != 1 else "one message"
    return Alert(
        kind=Kind.DEAD_LETTERS,
        headline=f"{many} in the dead-letter queue of arrivals",
        reason="register could not enter them in five tries; they are kept for 14 days",
        advice="Each message says why, as far as it is known.",
        command=("lake", "queue", "show"),
        # Ten times as many is news.
        about=f"{len(str(depth))} digits",
    )


def unrouted(tenant: str, key: str, others: int) -> Alert:
    """`others`: how many more came with it into the same folder."""
    return Alert(
        kind=Kind.UNROUTED_FILE,
        headline=f"no contract takes {f'{others + 1} files' if others else 'a file'} in {folder_of(key)}/",
        reason="no contract of the tenant matches the key; it is listed as UNROUTED and nothing else happens to it",
        advice="Widen lake.files of a contract and deploy, then have them routed again.",
        command=("lake", "replay", tenant, "--unrouted"),
        about=folder_of(key),
        tenant=tenant,
        key=key,
        others=others,
    )


def errand_failed(errand: Errand) -> Alert:
    return Alert(
        kind=Kind.ERRAND_FAILED,
        headline=f"the task {errand.task} failed",
        reason=errand.error or "it ended without a word",
        advice="It is safe to ask for it again.",
        command=("lake", errand.task, errand.tenant),
        about=errand.task,
        tenant=errand.tenant,
        run=errand.id,
    )


def folder_of(key: str) -> str:
    """`raw`, or the folder right below it: one alert for whatever lies deeper.

    A name with a digit in it, a date or an id, is one of many: a tool that writes a folder per run would else send as
    many mails.
    """
    folders = key.split("/")[:-1][:2]
    return "/".join(folders[:1] if any(letter.isdigit() for letter in folders[-1]) else folders)
