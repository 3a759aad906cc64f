"""A cursor over a statement's words, for the grammar that is Athena's own and that no SQL library parses whole."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local_cloud.athena.errors import QueryFailed, SyntaxRefused


@dataclass(frozen=True)
class Name:
    """A possibly qualified name, in lower case as the catalog has it."""

    name: str
    database: str | None = None


@dataclass(frozen=True)
class Token:
    text: str
    is_text: bool
    start: int
    end: int
    line: int
    column: int

    @property
    def word(self) -> str:
        return "" if self.is_text else self.text.lower()

    @property
    def place(self) -> str:
        return f"line {self.line}:{self.column}"


_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      |(?P<string>'(?:[^']|'')*')
      |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
      |(?P<word>[A-Za-z_][\w$]*|\d[\w.]*)
      |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


class Cursor:
    """Reads the statements that are Athena's own and that no SQL library parses whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(tokens_of(text))
        self.at = 0

    def drop_final_semicolon(self) -> None:
        while self.tokens and self.tokens[-1].text == ";" and not self.tokens[-1].is_text:
            self.tokens.pop()

    @property
    def is_done(self) -> bool:
        return self.at >= len(self.tokens)

    def peek(self, *words: str) -> bool:
        ahead = self.tokens[self.at : self.at + len(words)]
        return [token.word for token in ahead] == list(words)

    def accept(self, *words: str) -> bool:
        if not self.peek(*words):
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected(" ".join(words).upper())

    def unexpected(self, wanted: str) -> SyntaxRefused:
        if self.is_done:
            return SyntaxRefused(f"line 1:{len(self.text) + 1}: mismatched input '<EOF>'. Expecting: {wanted}")
        token = self.tokens[self.at]
        return SyntaxRefused(f"{token.place}: mismatched input '{token.text}'. Expecting: {wanted}")

    def end(self) -> None:
        if not self.is_done:
            raise self.unexpected("<EOF>")

    def string(self) -> str:
        if self.is_done or not self.tokens[self.at].text.startswith("'"):
            raise self.unexpected("<string>")
        token = self.tokens[self.at]
        self.at += 1
        return unquoted(token.text)

    def identifier(self) -> str:
        if self.is_done or (self.tokens[self.at].is_text and self.tokens[self.at].text.startswith("'")):
            raise self.unexpected("<identifier>")
        token = self.tokens[self.at]
        if not token.is_text and not re.fullmatch(r"[\w$]+", token.text):
            raise self.unexpected("<identifier>")
        self.at += 1
        return unquoted(token.text).lower()

    def name(self) -> Name:
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        return qualified(parts)

    def literal(self) -> str:
        """A string or number as text."""
        if self.is_done:
            raise self.unexpected("<literal>")
        token = self.tokens[self.at]
        if token.text.startswith("'"):
            return self.string()
        negative = self.accept("-")
        value = self.tokens[self.at].text
        self.at += 1
        return f"-{value}" if negative else value

    def rest(self) -> str:
        """The text from here to the end of the statement."""
        if self.is_done:
            raise self.unexpected("<query>")
        return self.text[self.tokens[self.at].start : self.tokens[-1].end]

    def group(self) -> str:
        """The text inside a pair of parentheses."""
        self.expect("(")
        first, depth = self.at, 1
        while depth and not self.is_done:
            depth += {"(": 1, ")": -1}.get(self.tokens[self.at].word, 0)
            self.at += 1
        if depth:
            raise self.unexpected(")")
        return self.text[self.tokens[first - 1].end : self.tokens[self.at - 1].start]

    def properties(self) -> dict[str, Any]:
        """`(key = 'value', other = ARRAY['a'])` with keys in lower case; values are text or lists of text."""
        found: dict[str, Any] = {}
        self.expect("(")
        while True:
            token_is_string = not self.is_done and self.tokens[self.at].text.startswith("'")
            key = self.string() if token_is_string else self.identifier()
            self.expect("=")
            found[key.lower()] = self._value()
            if self.accept(")"):
                return found
            self.expect(",")

    def _value(self) -> Any:
        if not self.accept("array"):
            return self.literal()
        self.expect("[")
        values: list[str] = []
        while not self.accept("]"):
            values.append(self.literal())
            self.accept(",")
        return values


def tokens_of(text: str) -> Sequence[Token]:
    found, line, line_start = [], 1, 0
    for match in _TOKEN.finditer(text):
        kind, written = match.lastgroup, match.group()
        if kind != "space":
            is_text = kind in ("string", "quoted")
            column = match.start() - line_start + 1
            found.append(Token(written, is_text, match.start(), match.end(), line, column))
        newlines = written.count("\n")
        if newlines:
            line += newlines
            line_start = match.start() + written.rindex("\n") + 1
    return found


def unquoted(written: str) -> str:
    mark = written[0]
    return written[1:-1].replace(mark * 2, mark) if mark in "'\"`" else written


def qualified(parts: Sequence[str]) -> Name:
    """A name of one to three parts; the catalog part may only be awsdatacatalog."""
    if len(parts) == 3 and parts[0].lower() != "awsdatacatalog":
        raise QueryFailed("CATALOG_NOT_FOUND", f"Catalog '{parts[0]}' does not exist", "line 1:1")
    if len(parts) > 3:
        raise SyntaxRefused(f"line 1:1: Too many parts in table name: {'.'.join(parts)}")
    return Name(parts[-1], parts[-2] if len(parts) > 1 else None)
