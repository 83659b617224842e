"""The rules of the house that no linter knows. An escape is `# house: <rule> - <why>` on the line it excuses.

Each rule is shown a piece of code that breaks it, so that none of them passes because it looks at nothing.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from api.problems import STATUS_OF
from shared.domain import campaign, message
from shared.errors import ServiceError
from shared.gateways import ADAPTERS
from shared.settings import Settings

ROOT: Final = Path(__file__).parents[1]
SERVICE: Final = ("api", "dispatcher", "shared")
PRODUCT: Final = (*SERVICE, "deploy", "proof")
EVERYTHING: Final = (*PRODUCT, "migrations", "tests")

LONGEST_MODULE: Final = 400
LONGEST_FUNCTION: Final = 40
CLOCKS: Final = ("shared/clock.py", "shared/ids.py")
PLUMBING: Final = ("shared/db.py",)
CLOCK_CALLS: Final = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
WAITING: Final = {"transport", "hand_over", "sleep", "gather"}
NOT_A_NOUN: Final = {
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "manager",
    "managers",
    "service",
    "services",
    "misc",
}

VENDORS: Final = sorted(ADAPTERS.keys() - {"custom", "sandbox"})
LIST: Final = "shared/gateways/__init__.py"
EXAMPLES: Final = ("examples", "example_world")  # of the OpenAPI document: they show what an owner would have

# An excuse gives its reason: `noqa: S101 - why`, `type: ignore[x]  # why`, `house: rule - why`.
ESCAPE: Final = re.compile(r"#\s*(noqa|type: ignore|pragma|house|fmt: (?:skip|off))\b")
EXPLAINED: Final = re.compile(
    r"#\s*(?:noqa: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)* - \S|type: ignore\[[\w, -]+\]\s+# \S|house: [\w-]+ - \S|fmt: )"
)


@dataclass(frozen=True, slots=True)
class Module:
    """A source file; `path` is told from the root of the project."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, text: str, path: str = "shared/sample.py") -> "Module":
        return cls(path, text, ast.parse(text))


Offence = tuple[int, str]  # the line, and what is wrong with it
Rule = Callable[[Module], Iterator[Offence]]


@cache
def modules(folders: tuple[str, ...]) -> tuple[Module, ...]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(Module.of(path.read_text(), str(path.relative_to(ROOT))) for path in paths)


def short_modules(module: Module) -> Iterator[Offence]:
    count = len(module.text.splitlines())
    if count > LONGEST_MODULE:
        yield 1, f"has {count} lines, and {LONGEST_MODULE} are the most"


def short_functions(module: Module) -> Iterator[Offence]:
    """Without its signature and docstring: what a route asks for, by name, is not its length."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            begun = node.body[bool(ast.get_docstring(node)) and len(node.body) > 1].lineno
            count = (node.end_lineno or begun) - begun + 1
            if count > LONGEST_FUNCTION:
                yield node.lineno, f"{node.name} has {count} lines, and {LONGEST_FUNCTION} are the most"


def docstrings(module: Module) -> Iterator[Offence]:
    if module.tree.body and not ast.get_docstring(module.tree):
        yield 1, "has no docstring; say what it is and what it refuses to be"


def nouns(module: Module) -> Iterator[Offence]:
    if set(Path(module.path).with_suffix("").parts) & NOT_A_NOUN:
        yield 1, "is named after nothing; name it after its noun"


def one_clock(module: Module) -> Iterator[Offence]:
    """`now` is a parameter; who reads the clock cannot be tested at another time."""
    if module.path in CLOCKS:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in CLOCK_CALLS:
            yield node.lineno, f"reads the clock by {ast.unparse(node)}; take `now` as a parameter"


def no_commit(module: Module) -> Iterator[Offence]:
    if module.path in PLUMBING:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "rollback"}:
            yield node.lineno, f"calls {ast.unparse(node)}; a transaction ends with its block"


def nobody_waits_in_a_transaction(module: Module) -> Iterator[Offence]:
    """No database connection is held while a gateway is on the line."""
    for block in ast.walk(module.tree):
        if not isinstance(block, ast.AsyncWith) or not any(_opens_a_transaction(item) for item in block.items):
            continue
        for node in (inner for statement in block.body for inner in ast.walk(statement)):
            if isinstance(node, ast.Attribute | ast.Name):
                name = ast.unparse(node).rpartition(".")[2]
                if name in WAITING:
                    yield node.lineno, f"{name} inside a transaction"


def _opens_a_transaction(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in {
        "transaction",
        "begin",
        "reading",
    }


def sql_in_queries(module: Module) -> Iterator[Offence]:
    parts = Path(module.path).with_suffix("").parts
    if {"queries", "models"} & set(parts) or module.path in PLUMBING:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            statements = {name.name for name in node.names} & {"select", "insert", "update", "delete", "text", "func"}
            if statements:
                yield node.lineno, f"imports {', '.join(sorted(statements))}; SQL lives in queries"


def kinds_stand_alone(module: Module) -> Iterator[Offence]:
    """A vendor's name stands in its adapter and once in the list; what differs between kinds is asked of the contract.

    `custom` and `sandbox` are no vendor's: presets belong to the one, and the other calls nobody.
    """
    path = Path(module.path)
    if path.stem in EXAMPLES:
        return
    own = path.parts[2].removesuffix(".py") if path.parts[:2] == ("shared", "gateways") else ""
    docs = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    found = [(line, name) for node in ast.walk(module.tree) if id(node) not in docs for line, name in _names_in(node)]
    listed = Counter(name for _, name in found if module.path == LIST)
    for line, name in found:
        if name != own and listed[name] != 1:
            yield line, f"names {name}; ask shared/adapter.py's contract instead"


def _names_in(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Constant(value=str(words)) | ast.Name(id=words) | ast.Attribute(attr=words):
            pass
        case ast.ImportFrom(module=str(source), names=names):
            words = ".".join([source, *(name.name for name in names)])
        case ast.Import(names=names):
            words = ".".join(name.name for name in names)
        case _:
            return
    is_import = isinstance(node, ast.Import | ast.ImportFrom)
    parts = words.split(".") if is_import else [re.split(r"[-_.:]", words)[0]]  # "twilio", "twilio-request-id"
    for kind in VENDORS:
        if kind in parts:
            yield node.lineno, kind


def explained_escapes(module: Module) -> Iterator[Offence]:
    for number, line in enumerate(module.text.splitlines(), start=1):
        if ESCAPE.search(line) and not EXPLAINED.search(line) and not _in_quotes(line):
            yield number, f"an escape without its reason: {line.strip()[-60:]}"


def _in_quotes(line: str) -> bool:
    found = ESCAPE.search(line)
    return found is not None and any(line[: found.start()].count(mark) % 2 for mark in "\"'`")


RULES: Final[dict[str, tuple[Rule, tuple[str, ...], str]]] = {
    "short-modules": (short_modules, PRODUCT, '"""Long."""\n' + "x = 1\n" * LONGEST_MODULE),
    "short-functions": (short_functions, PRODUCT, "def long():\n" + "    x = 1\n" * (LONGEST_FUNCTION + 1)),
    "docstrings": (docstrings, EVERYTHING, "x = 1\n"),
    "one-clock": (one_clock, SERVICE, "import datetime\nat = datetime.datetime.now(datetime.UTC)\n"),
    "no-commit": (no_commit, SERVICE, "async def store(tx):\n    await tx.commit()\n"),
    "nobody-waits-in-a-transaction": (
        nobody_waits_in_a_transaction,
        SERVICE,
        "async def f(worker):\n    async with worker.transaction():\n        await worker.transport.perform()\n",
    ),
    "sql-in-queries": (sql_in_queries, SERVICE, "from sqlalchemy import select\n"),
    "kinds-stand-alone": (kinds_stand_alone, SERVICE, 'KINDS_WITH_LOGIN = {"smsportal"}\n'),
    "explained-escapes": (explained_escapes, EVERYTHING, "x = y  # noqa\n"),
}


def offences(name: str, module: Module) -> Iterator[str]:
    """What breaks the rule and has no escape on its line."""
    rule, _, _ = RULES[name]
    lines = module.text.splitlines()
    for number, what in rule(module):
        line = lines[number - 1] if lines else ""
        if f"# house: {name} - " not in line:
            yield f"{module.path}:{number}: {what}"


@pytest.mark.parametrize("name", RULES)
def test_the_rule_holds(name: str) -> None:
    _, folders, _ = RULES[name]
    found = [offence for module in modules(folders) for offence in offences(name, module)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", RULES)
def test_the_rule_can_be_broken_and_excused(name: str) -> None:
    _, _, broken = RULES[name]
    found = list(offences(name, Module.of(broken)))
    assert len(found) == 1
    number = int(found[0].split(":")[1])
    lines = broken.splitlines()
    lines[number - 1] += f"  # house: {name} - a reason"
    assert not list(offences(name, Module.of("\n".join(lines))))


def test_no_module_is_named_after_nothing() -> None:
    assert list(nouns(Module.of("", "api/utils.py")))
    assert not [module.path for module in modules(EVERYTHING) for _ in nouns(module)]


def test_every_escape_is_of_a_rule_and_needed() -> None:
    for module in modules(EVERYTHING):
        if module.path == str(Path(__file__).relative_to(ROOT)):
            continue
        for number, line in enumerate(module.text.splitlines(), start=1):
            found = re.search(r"# house: ([\w-]+)", line)
            if found is None:
                continue
            where = f"{module.path}:{number}"
            assert found[1] in RULES, f"{where}: there is no rule {found[1]}"
            rule, _, _ = RULES[found[1]]
            assert number in {line for line, _ in rule(module)}, f"{where}: nothing is excused here"


def test_a_kind_is_one_line_of_the_list() -> None:
    assert not list(kinds_stand_alone(Module.of('A = ("twilio",)\n', LIST)))
    assert len(list(kinds_stand_alone(Module.of('A = ("twilio",)\nB = ("twilio",)\n', LIST)))) == 2
    assert list(kinds_stand_alone(Module.of("from shared.gateways import twilio\n", "shared/gateways/smsportal/x.py")))
    assert not list(kinds_stand_alone(Module.of('KIND = "twilio"\n', "shared/gateways/twilio/x.py")))


def kinds_of_error(kind: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from kinds_of_error(child)


def test_every_error_has_a_status_and_a_meaning() -> None:
    for name in ("api.main", "dispatcher.main"):
        import_module(name)
    kinds = [kind for kind in kinds_of_error() if kind.__module__.partition(".")[0] in SERVICE]
    assert len(kinds) > 20
    for kind in kinds:
        parent = next(parent for parent in kind.__mro__ if parent in STATUS_OF)
        assert parent is not ServiceError, f"{kind.__module__}.{kind.__name__} has no status in api/problems.py"
        assert kind.__doc__, f"{kind.__name__} needs a docstring: it is the meaning of the problem"


def diagrams() -> list[str]:
    return re.findall(r"^```mermaid\n(.*?)^```$", (ROOT / "dispatcher/README.md").read_text(), re.DOTALL | re.MULTILINE)


def moves_of(diagram: str) -> dict[str, set[str]]:
    """The arrows of a state diagram; one at a box stands for one at each state in it."""
    boxes = {
        name: set(re.findall(r"^ +(\w+)$", body, re.MULTILINE)) | set(chain.from_iterable(arrows_of(body)))
        for name, body in re.findall(r"^ +state (\w+) \{\n(.*?)^ +\}$", diagram, re.DOTALL | re.MULTILINE)
    }
    moves: dict[str, set[str]] = {state: set() for box in boxes.values() for state in box}
    for source, target in arrows_of(diagram):
        for one in boxes.get(source, {source}):
            moves.setdefault(one, set()).update(boxes.get(target, {target}))
        for other in boxes.get(target, {target}):
            moves.setdefault(other, set())
    return moves


def arrows_of(diagram: str) -> list[tuple[str, str]]:
    return re.findall(r"^ +(\w+) --> (\w+)(?::.*)?$", diagram, re.MULTILINE)


@pytest.mark.parametrize(
    ("number", "law"),
    [
        pytest.param(0, message.MOVES, id="message"),
        pytest.param(1, campaign.MOVES, id="campaign"),
        pytest.param(2, campaign.STEP_MOVES, id="campaign message"),
    ],
)
def test_the_diagram_is_the_law(number: int, law: dict[str, frozenset[str]]) -> None:
    assert moves_of(diagrams()[number]) == {str(status): {str(to) for to in targets} for status, targets in law.items()}


def test_every_status_has_its_moves() -> None:
    assert set(message.MOVES) == set(message.Status)
    assert set(campaign.MOVES) == set(campaign.Status)
    assert set(campaign.STEP_MOVES) == set(campaign.StepStatus)


def test_every_gateway_is_listed_and_has_a_table() -> None:
    folder = ROOT / "shared/gateways"
    kinds = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert kinds - {"__init__"} == set(ADAPTERS)
    for kind in ADAPTERS:
        assert import_module(f"tests.gateways.{kind}").SENDS


def env_example() -> dict[str, tuple[str, bool, str]]:
    """Each setting's value, whether it has to be set, and the line above it."""
    lines = (ROOT / "deploy/env.example").read_text().splitlines()
    found: dict[str, tuple[str, bool, str]] = {}
    for above, line in zip(["", *lines], lines, strict=False):
        if setting := re.fullmatch(r"(# )?(LAPWING_[A-Z_]+)=(.*)", line):
            assert setting[2] not in found, f"{setting[2]} stands there twice"
            found[setting[2]] = (setting[3], setting[1] is None, above)
    return found


def test_env_example_names_every_setting_and_no_other() -> None:
    fields = {f"LAPWING_{name.upper()}": field for name, field in Settings.model_fields.items()}
    example = env_example()
    assert set(example) == set(fields)
    for name, (value, is_set, above) in example.items():
        assert re.match(r"# \S.*\.$", above), f"{name} needs a line that says what it is"
        assert is_set or not fields[name].is_required(), f"{name} has no default"
        if not is_set:
            default = fields[name].default
            shown = ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)
            assert value == shown, f"{name} is {shown!r} by default"


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_requirements_name_no_registry(path: Path) -> None:
    text = path.read_text()
    assert "--hash=sha256:" in text
    for line in text.splitlines():
        assert not re.search(r"://|^\s*--?(i|index-url|extra-index-url|find-links|f|trusted-host)\b", line), line


def test_head_is_the_newest_migration() -> None:
    names = sorted(path.stem for path in (ROOT / "migrations/versions").glob("*.py"))
    assert (ROOT / "migrations/HEAD").read_text().strip() == names[-1].partition("_")[0]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+", name) for name in names)
