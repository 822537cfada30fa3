"""Hyperparameters as constants of a Python module, `LEARNING_RATE = 0.1`, or entries of a dictionary.

libcst says where each literal stands; exactly these characters are replaced. A constant counts only where the
module binds its name once, at the top level, to a plain literal: anything else might not be what runs.
"""

import ast
import io
import json
import re
import tokenize
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan, MetadataWrapper, PositionProvider

from retrain.deploy.target import Slot, SlotTarget
from tuner.errors import did_you_mean
from tuner.experiment import Params, Value

__all__ = ["PythonTarget"]

_LONGEST = 500_000
"""Characters of a module; libcst takes half a minute and more for what is longer."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that may hold a parameter: a constant, or `DICTIONARY["key"]`; `label` says which."""

    label: str
    node: cst.BaseExpression
    trouble: str = ""

    @property
    def is_constant(self) -> bool:
        return not self.label.endswith("]")


class PythonTarget(SlotTarget):
    """A Python module. `section` names a dictionary constant; without it constants and all of those count."""

    keeps_inactive = True  # other modules may import the constant of a parameter that is not active

    def encoding(self, data: bytes) -> str:
        """Codec named by the module's coding line or byte order mark."""
        try:
            return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        except SyntaxError as error:
            raise self.refuse(f"has no encoding that Python knows: {error}") from error

    def drop(self, text: str, names: Collection[str]) -> str:  # noqa: ARG002 - they stay
        """Return the text as it is."""
        return text

    def slots(self, text: str, names: Collection[str]) -> dict[str, Slot]:
        """Return the place of each constant's or entry's literal."""
        module = _Module(self, text)
        slots: dict[str, Slot] = {}
        holders: dict[int, str] = {}
        troubles = []
        for name in dict.fromkeys(names):
            try:
                slot = module.find(self._labels(name))
            except ValueError as error:
                troubles.append(str(error))
                continue
            if slot is None:
                continue
            slots[name] = slot
            other = holders.setdefault(slot.start, name)
            if other != name:
                troubles.append(f"{other!r} and {name!r} have the same place (line {slot.line})")
        if troubles:
            raise self.refuse(
                "must hold each hyperparameter once, as a plain literal at its top level, but "
                + "; ".join(troubles),
                f"Mend {self.file}, or name one dictionary in it as `section` under [deploy].",
            )
        return slots

    def _labels(self, name: str) -> set[str]:
        """How the places that may hold `name` are labelled."""
        if self.section is not None:
            return {f"{self.section}[{name!r}]"}
        constant = self.prefix + re.sub(r"\W", "_", name)
        return {constant, constant.upper(), f"[{name!r}]"}

    def literal(self, value: Value, old: str) -> str:
        """Spell a Python literal, in the quotes that are in use."""
        if isinstance(value, str) and not old.startswith("'"):
            return json.dumps(value, ensure_ascii=False)  # double quotes; its escapes are Python's, too
        return repr(value)

    def add(self, text: str, params: Params) -> str:
        """Refuse: where a constant belongs in a module is for its author to say."""
        known = [place.label for place in _Module(self, text).places]
        labels = [self._new_label(name) for name in params]
        hints = {label: did_you_mean(label, known) for label in labels}
        raise self.refuse(
            f"must hold every hyperparameter, but at its top level there is no {', no '.join(labels)}",
            f"Add to {self.file} as plain literals: {', '.join(labels)}."
            + "".join(f" For {label}:{hint}" for label, hint in hints.items() if hint),
        )

    def create(self, values: Params) -> str:
        """Return a module of constants, or of one dictionary."""
        head = '"""Hyperparameters in production, written by `retrain`."""\n\n'
        if self.section is not None:
            entries = "".join(f'    "{name}": {self.literal(value, "")},\n' for name, value in values.items())
            return f"{head}{self.section} = {{\n{entries}}}\n"
        for name in values:
            label = self._new_label(name)
            if not label.isidentifier():
                raise self.refuse(
                    f"must hold every hyperparameter, but {label!r} for {name!r} is no name of a constant",
                    'Name a `prefix` under [deploy], such as "P_", or a dictionary as `section`.',
                )
        rows = (f"{self._new_label(name)} = {self.literal(value, '')}\n" for name, value in values.items())
        return head + "".join(rows)

    def _new_label(self, name: str) -> str:
        if self.section is not None:
            return f"{self.section}[{name!r}]"
        return self.prefix + re.sub(r"\W", "_", name).upper()


def _check_nesting(text: str) -> None:
    """Let Python parse it first: nesting that it refuses would crash the parser of libcst."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes and the like, which are not ours to judge
        ast.parse(text)


class _Module:
    """A parsed module and the places in it."""

    def __init__(self, target: PythonTarget, text: str) -> None:
        if len(text) > _LONGEST:
            raise target.refuse(
                f"is longer than {_LONGEST:,} characters", "Keep constants in a module of their own."
            )
        try:
            _check_nesting(text)
            wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        except (cst.ParserSyntaxError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "raw_line", None) or getattr(error, "lineno", None)
            where = f" (line {line})" if line else ""
            raise target.refuse(f"is not a Python module that parses{where}") from error
        if wrapper.module.code != text:
            raise target.refuse("has line ends or form feeds that cannot be kept", "Remove the form feeds.")
        self._bytes = text.encode()
        self._spans = wrapper.resolve(ByteSpanPositionProvider)
        self._positions = wrapper.resolve(PositionProvider)
        bindings = _Bindings()
        wrapper.module.visit(bindings)
        self.places = list(_places(wrapper.module, bindings.counts, target.section))

    def find(self, labels: Collection[str]) -> Slot | None:
        """The one place with any of these labels, or None.

        Raises:
            ValueError: there are several, or it holds something else than one plain value.
        """
        places = [place for place in self.places if place.label in labels]
        if any(place.is_constant for place in places):  # {"depth": MAX_DEPTH} only passes the constant on
            places = [place for place in places if place.is_constant or self._value(place.node) is not ...]
        if len(places) > 1:
            raise ValueError(f"{' and '.join(map(self._describe, places))} could both be meant")
        if not places:
            return None
        place = places[0]
        if place.trouble:
            raise ValueError(f"{self._describe(place)} {place.trouble}")
        value = self._value(place.node)
        if value is ...:
            raise ValueError(f"{self._describe(place)} is not a plain number, string, True, False or None")
        span = self._spans[place.node]
        start = len(self._bytes[: span.start].decode())
        end = start + len(self._bytes[span.start : span.start + span.length].decode())
        return Slot(value, start, end, self._line(place.node))

    def _value(self, node: cst.BaseExpression) -> Any:
        """The plain value that the literal `node` stands for; `...` for everything else."""
        span: CodeSpan = self._spans[node]
        try:
            literal = self._bytes[span.start : span.start + span.length].decode()
            value = ast.literal_eval(f"({literal}\n)")  # it may run over lines, inside parentheses of its own
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ...
        return value if value is None or isinstance(value, bool | int | float | str) else ...

    def _describe(self, place: _Place) -> str:
        return f"{place.label} (line {self._line(place.node)})"

    def _line(self, node: cst.CSTNode) -> int:
        return int(self._positions[node].start.line)


class _Bindings(cst.CSTVisitor):
    """Counts how often each name is bound at module level, in blocks too, but not inside functions."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:  # noqa: N802 - libcst calls it by this name
        self.counts[node.name.value] += 1
        return False

    def visit_ClassDef(self, node: cst.ClassDef) -> bool:  # noqa: N802
        self.counts[node.name.value] += 1
        return False

    def visit_Lambda(self, _node: cst.Lambda) -> bool:  # noqa: N802
        return False

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:  # noqa: N802
        self._bind(node.target)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:  # noqa: N802
        if node.value is not None:
            self._bind(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:  # noqa: N802
        self._bind(node.target)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:  # noqa: N802
        self._bind(node.target)

    def visit_For(self, node: cst.For) -> None:  # noqa: N802
        self._bind(node.target)

    def visit_Del(self, node: cst.Del) -> None:  # noqa: N802
        self._bind(node.target)

    def visit_AsName(self, node: cst.AsName) -> None:  # noqa: N802
        self._bind(node.name)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> None:  # noqa: N802
        if node.asname is None:
            self._bind(node.name)

    def _bind(self, target: cst.CSTNode) -> None:
        self.counts.update(_names([target]))


def _places(module: cst.Module, counts: Counter[str], section: str | None) -> Iterator[_Place]:
    """Every constant and every entry of a dictionary constant at the top level of the module."""
    for statement in module.body:
        for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
            match small:
                case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value):
                    pass
                case cst.AnnAssign(target=cst.Name(value=name), value=cst.BaseExpression() as value):
                    pass
                case cst.Assign(targets=targets, value=value):
                    for name in set(_names(target.target for target in targets)):
                        yield _Place(name, value, "shares its assignment with other names")
                    continue
                case _:
                    continue
            trouble = "" if counts[name] == 1 else f"is bound {counts[name]} times in the module"
            yield _Place(name, value, trouble)
            if isinstance(value, cst.Dict):
                yield from _entries(name if section is not None else "", value.elements, trouble)


def _entries(label: str, elements: Sequence[cst.BaseDictElement], trouble: str) -> Iterator[_Place]:
    """The entries of a dictionary literal whose keys are plain strings."""
    if any(isinstance(element, cst.StarredDictElement) for element in elements):
        trouble = trouble or "stands in a dictionary with **, which may override it"
    for element in elements:
        match element:
            case cst.DictElement(key=cst.SimpleString(evaluated_value=str(key)), value=value):
                yield _Place(f"{label}[{key!r}]", value, trouble)


def _names(targets: Iterable[cst.CSTNode]) -> Iterator[str]:
    """The names that assignment targets bind, or whose content they change."""
    for target in targets:
        match target:
            case cst.Name(value=name):
                yield name
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                yield from _names(element.value for element in elements)
            case cst.Subscript(value=inner) | cst.Attribute(value=inner):
                yield from _names([inner])
