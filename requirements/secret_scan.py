"""Looks for secrets in every file that git knows, and tells each by file, line and kind; never the secret itself.

Run by `make check` in the environment of audit.lock: `python requirements/secret_scan.py`. What looks like a secret and
is none stands in secrets.known: its kind, the SHA-1 of its text and the reason. Nothing leaves the machine.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KNOWN = Path(__file__).with_name("secrets.known")
# Hashes and nothing else; each is checked against what it names when it is installed.
HASHES = (".lock", "package-lock.json", "secrets.known")
PLUGINS = [
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector", "MailchimpDetector",
    "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector",
    "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
]  # fmt: skip
ENTROPY = [{"name": "Base64HighEntropyString", "limit": 4.5}, {"name": "HexHighEntropyString", "limit": 3.0}]
HEURISTICS = [
    "is_indirect_reference", "is_likely_id_string", "is_not_alphanumeric_string", "is_potential_uuid",
    "is_prefixed_with_dollar_sign", "is_sequential_string", "is_templated_secret",
]  # fmt: skip


class Found(NamedTuple):
    """Something that looks like a secret; `digest` is the SHA-1 of its text."""

    file: str
    kind: str
    digest: str
    line: int

    @property
    def key(self) -> tuple[str, str]:
        return self.kind.replace(" ", "-"), self.digest


def files(folder: Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout
    return [name for name in listed.decode().split("\0") if name and not name.endswith(HASHES)]


def scan(task: tuple[str, list[str]]) -> list[Found]:
    """What the files of a folder hold; a process of its own can do it."""
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import transient_settings

    folder, names = task
    filters = [{"path": f"detect_secrets.filters.heuristic.{name}"} for name in HEURISTICS]
    plugins = [*({"name": name} for name in PLUGINS), *ENTROPY]
    collection = SecretsCollection(root=folder)
    with transient_settings({"plugins_used": plugins, "filters_used": filters}):
        for name in names:
            if (Path(folder) / name).is_file():
                collection.scan_file(name)
    return [Found(name, secret.type, secret.secret_hash, secret.line_number) for name, secret in collection]


def known(path: Path) -> dict[tuple[str, str], str]:
    """Reasons by kind and digest."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if without := [line for line in lines if len(line.split(maxsplit=2)) < 3]:
        raise SystemExit(f"{path.name}: {without[0]!r} has no reason; expected: kind, SHA-1, why it is no secret")
    return {(kind, digest): why for kind, digest, why in (line.split(maxsplit=2) for line in lines)}


def problems(found: list[Found], reasons: dict[tuple[str, str], str]) -> Iterator[str]:
    for each in sorted(found):
        if each.key not in reasons:
            advice = f"take it out and revoke it; if it is none: `{' '.join(each.key)} <why>` in secrets.known"
            yield f"{each.file}:{each.line}: looks like a secret ({each.kind}); {advice}"
    for key in sorted(reasons.keys() - {each.key for each in found}):
        yield f"requirements/secrets.known: {' '.join(key)}: is not there any more; take the line out"


def main() -> None:
    names = files(ROOT)
    parts = [(str(ROOT), names[start::8]) for start in range(8)]
    with ProcessPoolExecutor() as pool:
        found = [each for part in pool.map(scan, parts) for each in part]
    told = list(problems(found, known(KNOWN)))
    print("\n".join([*told, f"secrets: {len(names)} files, {len(told)} problems"]), file=sys.stderr)
    sys.exit(1 if told else 0)


if __name__ == "__main__":
    main()
