"""The tags of a text, read by jinja2's own parser and admitted by a whitelist of its nodes.

A tag is a known name (dots allowed) or a literal, with filters of ours: nothing that loops, calls,
computes or branches. jinja2's runtime has no part in this; what comes out are plain values for
`template.py` to fill.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from jinja2 import Environment, TemplateSyntaxError, nodes

from shared.domain import template_values
from shared.domain.template_tags import MAX_NAME_CHARACTERS, MAX_NAME_PARTS, VOUCHER_TAGS, Known
from shared.domain.template_values import Step, sendable
from shared.errors import FieldError, Invalid

MAX_VALUE_CHARACTERS: Final = 320
_MAX_TOKENS: Final = 40  # of one tag: the bound on jinja2's recursion

_ENVIRONMENT: Final = Environment(keep_trailing_newline=True)  # noqa: S701 - only ever parses
_UNUSABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES: Final = frozenset("\\n'\"")
_EXAMPLE: Final = 'write a tag as {{ name }} or {{ name | default("there") }}'
_WHAT_IT_IS: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "a call",
    nodes.Getitem: "an index",
    nodes.Test: "a test",
    nodes.Compare: "a comparison",
    nodes.CondExpr: "a condition",
    nodes.And: "a condition",
    nodes.Or: "a condition",
    nodes.Not: "a condition",
    nodes.List: "a list",
    nodes.Tuple: "several values",
    nodes.Dict: "a mapping",
}
_USAGE: Final = {
    **dict.fromkeys(template_values.WITHOUT_ARGUMENT, "takes nothing in brackets"),
    "default": (f'takes one text in quotes, of at most {MAX_VALUE_CHARACTERS} characters: default("there")'),
    "truncate": f"takes one whole number from 1 to {MAX_VALUE_CHARACTERS}: truncate(20)",
}


class InvalidTemplate(Invalid):
    """The text holds a tag that cannot be read, or that asks for more than filling in a value."""

    def __init__(
        self,
        detail: str,
        *,
        pointer: str | None = None,
        errors: Sequence[FieldError] = (),
        line: int = 1,
        column: int = 1,
    ) -> None:
        super().__init__(detail, pointer=pointer, errors=errors)
        self.line = line
        self.column = column

    def at(self, pointer: str) -> Self:
        return type(self)(self.detail, errors=(FieldError(pointer, self.detail),), line=self.line, column=self.column)


class UnknownTag(InvalidTemplate):
    """The text holds a tag for which nobody has a value."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A place to fill: the name as written, the keys to the value, and what is done to it."""

    name: str
    path: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(slots=True)
class _Span:
    """One tag as the lexer sees it. Its start, its end and its tokens' places are offsets."""

    start: int
    end: int = 0
    tokens: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    """The text under the reader's eye, which knows where in it something is wrong."""

    text: str

    def wrong(self, detail: str, *, offset: int, error: type[InvalidTemplate] = InvalidTemplate) -> InvalidTemplate:
        line = self.text.count("\n", 0, offset) + 1
        column = offset - self.text.rfind("\n", 0, offset)
        return error(f"text, line {line}, column {column}: {detail}.", line=line, column=column)


def parse(text: str, *, known: Known) -> list[str | Tag]:
    """The text as literal pieces and tags, in order."""
    source = _Source(text.replace("\r\n", "\n").replace("\r", "\n"))
    unusable = _UNUSABLE.search(source.text)
    if unusable:
        raise source.wrong(
            f"the control character U+{ord(unusable[0]):04X} cannot be sent; remove it", offset=unusable.start()
        )
    return [piece if isinstance(piece, str) else _read_tag(source, piece, known=known) for piece in _pieces(source)]


def _pieces(source: _Source) -> list[str | _Span]:
    """What the lexer finds: literal text and the spans of tags. Comments are gone."""
    pieces: list[str | _Span] = []
    tag: _Span | None = None
    for offset, kind, value in _tokens(source):
        if kind in {"block_begin", "raw_begin"}:
            raise source.wrong("statements ({% ... %}) are not possible here; " + _EXAMPLE, offset=offset)
        if kind == "data":
            pieces.append(value)
        elif kind == "variable_begin":
            tag = _Span(offset)
            pieces.append(tag)
        elif tag and kind == "variable_end":
            tag.end, tag = offset + len(value), None
        elif tag and kind != "whitespace":
            tag.tokens.append((offset, kind, value))
    if tag:
        raise source.wrong(f"this tag is never closed with }}}}; {_EXAMPLE}", offset=tag.start)
    return pieces


def _tokens(source: _Source) -> Iterator[tuple[int, str, str]]:
    """The lexer's tokens, each with its place instead of its line."""
    offset, kind = 0, ""
    try:
        for _, kind, value in _ENVIRONMENT.lex(source.text):
            # `{{-` has eaten the white space before it, and only that.
            start = source.text.index(value, offset)
            yield start, kind, value
            offset = start + len(value)
    except TemplateSyntaxError as refusal:
        in_tag = kind != "comment_begin"
        raise _unreadable(source, in_tag=in_tag, offset=offset) from refusal


def _unreadable(source: _Source, *, in_tag: bool, offset: int) -> InvalidTemplate:
    if not in_tag:
        return source.wrong(
            'the comment that begins with {# is never closed with #}; for the characters themselves write {{ "{#" }}',
            offset=max(offset - 2, 0),
        )
    character = source.text[offset : offset + 1]
    if character in {"'", '"'}:
        return source.wrong(f"the quote {character} is never closed; {_EXAMPLE}", offset=offset)
    return source.wrong(f"{character!r} cannot stand in a tag; {_EXAMPLE}", offset=offset)


def _read_tag(source: _Source, span: _Span, *, known: Known) -> str | Tag:
    expression, filters = _filters_of(_expression(source, span))
    path: tuple[str, ...] = ()
    name = ""
    if not isinstance(expression, nodes.Const):
        name, path = _name_of(source, span, expression, known=known)
    places = [span.tokens[at + 1][0] for at, token in enumerate(span.tokens) if token[1:] == ("operator", "|")]
    steps = tuple(_step(source, each, offset=at) for each, at in zip(filters, places, strict=False))
    if not isinstance(expression, nodes.Const):
        return Tag(name, path, steps)
    literal: str | None = _literal(source, expression, offset=span.start)
    for step in steps:
        literal = step(literal)
    return literal or ""


def _check_escapes(source: _Source, quoted: str, *, offset: int) -> None:
    r"""jinja2 reads a quoted text as Python would; \N{BELL} and the like would get in unseen."""
    for escape in _ESCAPE.finditer(quoted):
        if escape[1] not in _KNOWN_ESCAPES:
            raise source.wrong(
                r"in quotes only \\, \n, \' and \" are known; double the backslash to mean itself",
                offset=offset + escape.start(),
            )


def _expression(source: _Source, span: _Span) -> nodes.Node:
    """What jinja2 makes of this one tag."""
    if not span.tokens:
        raise source.wrong(f"this tag is empty; {_EXAMPLE}", offset=span.start)
    if len(span.tokens) > _MAX_TOKENS:
        raise source.wrong(f"too much in one tag; {_EXAMPLE}", offset=span.start)
    for offset, kind, value in span.tokens:
        if kind == "string":
            _check_escapes(source, value, offset=offset)
    try:
        tree = _ENVIRONMENT.parse(source.text[span.start : span.end])
    except TemplateSyntaxError as refusal:
        why = (refusal.message or "").replace("end of print statement", "}}")
        raise source.wrong(f"this tag cannot be read ({why}); {_EXAMPLE}", offset=span.start) from refusal
    match tree.body:
        case [nodes.Output(nodes=[expression])]:
            return expression
        case _:
            raise source.wrong(f"this tag cannot be read; {_EXAMPLE}", offset=span.start)


def _filters_of(expression: nodes.Node) -> tuple[nodes.Node, list[nodes.Filter]]:
    """The expression under its filters, and these in the order in which they act."""
    filters: list[nodes.Filter] = []
    while isinstance(expression, nodes.Filter) and expression.node is not None:
        filters.append(expression)
        expression = expression.node
    return expression, filters[::-1]


def _name_of(source: _Source, span: _Span, expression: nodes.Node, *, known: Known) -> tuple[str, tuple[str, ...]]:
    """A dotted name, as written and as the keys to its value."""
    parts: list[str] = []
    while isinstance(expression, nodes.Getattr):
        parts.append(expression.attr)
        expression = expression.node
    if not isinstance(expression, nodes.Name):
        what = _WHAT_IT_IS.get(type(expression), "a calculation")
        raise source.wrong(f"a tag holds a name and filters, not {what}; {_EXAMPLE}", offset=span.start)
    parts.append(expression.name)
    offset = next(at for at, kind, _ in span.tokens if kind == "name")
    if len(parts) > MAX_NAME_PARTS or any(len(part) > MAX_NAME_CHARACTERS for part in parts):
        raise source.wrong("this name is too long for a tag", offset=offset, error=UnknownTag)
    name = ".".join(reversed(parts))
    path = known.path(tuple(reversed(parts)))
    if path is None or any(part.startswith("_") for part in parts):
        raise source.wrong(_unknown(name, known=known), offset=offset, error=UnknownTag)
    return name, path


def _unknown(name: str, *, known: Known) -> str:
    nearest = known.nearest(name)
    meant = f" (did you mean `{nearest}`?)" if nearest else ""
    key = name.rpartition(".")[2]
    below = "<key>`" if name in known.open_roots or key.startswith("_") else f"{key}`"
    fields = "".join(f", or `{root}.{below}" for root in sorted(known.open_roots))
    elsewhere = name in VOUCHER_TAGS.names or name.startswith("variables.")
    what = "has a value in single messages only" if elsewhere else f"is not a known tag{meant}"
    return f"`{name}` {what}; known are {', '.join(known.names)}{fields}"


def _step(source: _Source, tag_filter: nodes.Filter, *, offset: int) -> Step:
    name = tag_filter.name
    given = [each.value for each in tag_filter.args if type(each) is nodes.Const]
    strange = tag_filter.kwargs or tag_filter.dyn_args or tag_filter.dyn_kwargs
    if len(given) != len(tag_filter.args) or strange:
        raise source.wrong(f"`{name}` takes only a literal text or number", offset=offset)
    match name, given:
        case "default", [str() | int() as text] if type(text) is not bool:
            if len(str(text)) <= MAX_VALUE_CHARACTERS:
                return template_values.default(sendable(str(text)))
        case "truncate", [int() as size] if type(size) is not bool:
            if 1 <= size <= MAX_VALUE_CHARACTERS:
                return template_values.truncate(size)
        case _, [] if name in template_values.WITHOUT_ARGUMENT:
            return template_values.WITHOUT_ARGUMENT[name]
    usage = _USAGE.get(name, f"is not a known filter; use one of {', '.join(_USAGE)}")
    raise source.wrong(f"`{name}` {usage}", offset=offset)


def _literal(source: _Source, constant: nodes.Const, *, offset: int) -> str:
    if type(constant.value) not in {str, int}:
        raise source.wrong(f"a literal in a tag is a text in quotes; {_EXAMPLE}", offset=offset)
    return sendable(str(constant.value))
