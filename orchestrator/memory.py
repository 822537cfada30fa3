"""`orchestrator memory`: what is remembered, why it would be used or not, and how it is forgotten."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from retrain.config import Lookup
from retrain.opening import open_up_to_date
from retrain.page import Page, hanging
from retrain.tables import number, render, timestamp, to_json
from retrain.who import who
from tuner.errors import NotFoundError
from tuner.patterns import THRESHOLD, Traits, similarity, trust
from tuner.registry import open_registry
from tuner.registry.base import Lesson, Pattern, RegistryReader

__all__ = ["explain_pattern", "forget_pattern", "list_events", "list_patterns"]

_N_EVENTS = 1000
_COLUMNS = ["id", "study", "model", "kind", "rows", "metric", "value", "used", "helped", "forgotten"]


def list_patterns(config: Lookup, output: str = "table") -> str:
    """One line per pattern, oldest first.

    Raises:
        NotFoundError: nothing is remembered yet.
    """
    with open_up_to_date(config) as registry:
        patterns, lessons = registry.patterns(), registry.lessons()
        metrics = {each.name: each.metric for each in registry.studies()}
    if not patterns:
        raise NotFoundError(
            "Nothing is remembered yet: what a study taught is stored when it ends.",
            "orchestrator --method bayesian --configs 20",
        )
    rows = [_row(each, _of(each, lessons), metrics[each.study]) for each in patterns]
    # On a terminal of 80 columns, an empty column at the end would be a table of its own.
    told = [each for each in _COLUMNS if output != "table" or any(row[each] is not None for row in rows)]
    return render(rows, told, output, keys=["id"])


def _row(pattern: Pattern, lessons: Sequence[Lesson], metric: str) -> dict[str, Any]:
    traits = Traits.from_dict(pattern.traits)
    _, n_helped, n_judged = trust(lessons)
    rows = traits.features.get("n_rows")
    return {
        "id": pattern.id,
        "study": pattern.study,
        "model": traits.model,
        "kind": traits.kind,
        "rows": None if rows is None else int(rows),
        "metric": metric,
        "value": pattern.value,
        "used": sum(each.kind == "used" for each in lessons),
        "helped": f"{n_helped} of {n_judged}" if n_judged else None,
        "forgotten": "yes" if _forgotten(lessons) else None,
    }


def explain_pattern(config: Lookup, id_: int, output: str = "table", *, colour: bool = False) -> str:
    """What a pattern is, what became of it, and how similar the others are.

    Raises:
        NotFoundError: there is no such pattern.
    """
    with open_up_to_date(config) as registry:
        pattern = _get(registry, id_)
        lessons = _of(pattern, registry.lessons())
        others = [each for each in registry.patterns() if each.id != pattern.id]
        metric = next(each.metric for each in registry.studies() if each.name == pattern.study)
    traits = Traits.from_dict(pattern.traits)
    trusted, n_helped, n_judged = trust(lessons)
    alike = [
        {"id": each.id, "study": each.study, "similarity": similarity(traits, Traits.from_dict(each.traits))}
        for each in others
    ]
    alike.sort(key=lambda one: (-float(str(one["similarity"])), one["id"]))
    if output == "json":
        told = [{**asdict(each), "at": timestamp(each.at)} for each in lessons]
        document = {**asdict(pattern), "created_at": timestamp(pattern.created_at), "metric": metric}
        return to_json({**document, "trust": trusted, "lessons": told, "similar": alike})
    if output == "csv":
        return render([_row(pattern, lessons, metric)], _COLUMNS, output)
    page = Page(output, colour)
    page.lines(
        f"Pattern {pattern.id}",
        f"{pattern.experiment} was the best of study {pattern.study!r}: {metric} {number(pattern.value)}",
        f"model {traits.model}" + (f", {traits.kind}" if traits.kind else ""),
        ", ".join(f"{name} {number(value)}" for name, value in traits.features.items()) or "data not known",
    )
    params = [{"parameter": name, "value": value} for name, value in pattern.params.items()]
    page.table("Parameters", params, ["parameter", "value"])
    page.table("What became of it", [_told(each) for each in lessons], ["at (UTC)", "what", "study", "why"])
    page.table("Like it", alike[:5], ["id", "study", "similarity"], digits=2)
    page.lines("Would be used", *_verdict(lessons, trusted, n_helped, n_judged))
    return "\n\n".join(page.parts)


def _told(lesson: Lesson) -> dict[str, Any]:
    return {"at (UTC)": _minute(lesson.at), "what": lesson.kind, "study": lesson.study, "why": lesson.why}


def _verdict(lessons: Sequence[Lesson], trusted: float, n_helped: int, n_judged: int) -> list[str]:
    if forgotten := _forgotten(lessons):
        return [f"never again: it was forgotten, {forgotten.why}"]
    past = f"it helped {n_helped} of {n_judged} times" if n_judged else "it was not used and judged yet"
    product = f"similarity x {number(trusted, 3)}"
    least = f"{THRESHOLD:g}, or what [study] memory says"
    return [
        f"by studies of the same model and kind with --memory, where {product} is at least {least}: {past}"
    ]


def forget_pattern(config: Lookup, id_: int, reason: str | None = None) -> str:
    """Never use a pattern again. It stays in the registry, with who wanted that, when and why.

    Raises:
        NotFoundError: there is no such pattern.
    """
    with open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs) as registry:
        pattern = _get(registry, id_)
        why = f"by {who()}" + (f": {reason}" if reason else "")
        known = _forgotten(_of(pattern, registry.lessons()))
        if known is not None:
            return f"pattern {id_} is forgotten already, {known.why}"
        registry.add_lesson(Lesson(id_, "forgotten", why=why))
        message = f"Pattern {id_} of study {pattern.study!r} was forgotten {why}."
        registry.log("pattern forgotten", message, salience=0.6, pattern=id_, study=pattern.study)
    return f"pattern {id_} is forgotten: no study starts from it any more"


def list_events(config: Lookup, salience: float, output: str = "table") -> str:
    """What mattered at least so much, oldest first: one line for each event.

    Raises:
        NotFoundError: nothing did.
    """
    with open_up_to_date(config) as registry:
        events = [each for each in registry.events(_N_EVENTS) if each.salience >= salience][::-1]
    if not events:
        raise NotFoundError(
            f"There is no event of a salience of {salience:g} or more.", "orchestrator memory --events 0"
        )
    if output in ("json", "csv"):
        rows = [{**asdict(each), "at": timestamp(each.at), "data": dict(each.data)} for each in events]
        columns = ["at", "kind", "salience", "message"]
        return render(rows, [*columns, "data"] if output == "json" else columns, output)
    shown = [
        {"at (UTC)": _minute(each.at), "salience": each.salience, "what": each.message} for each in events
    ]
    if output == "markdown":
        return render(shown, ["at (UTC)", "salience", "what"], output)
    heads = [f"{_minute(each.at)}  {each.salience:.1f}  " for each in events]
    told = [hanging(head, each.message.replace("\n", " ")) for head, each in zip(heads, events, strict=True)]
    return "\n".join(line for lines in told for line in lines)


def _minute(at: float) -> str:
    return str(timestamp(at)).replace("T", " ")[: len("2026-11-21 09:01")]


def _get(registry: RegistryReader, id_: int) -> Pattern:
    patterns = {each.id: each for each in registry.patterns()}
    if id_ not in patterns:
        known = ", ".join(map(str, patterns)) or "none"
        raise NotFoundError(f"There is no pattern {id_}. There are: {known}.", "orchestrator memory")
    return patterns[id_]


def _of(pattern: Pattern, lessons: Sequence[Lesson]) -> list[Lesson]:
    return [each for each in lessons if each.pattern == pattern.id]


def _forgotten(lessons: Sequence[Lesson]) -> Lesson | None:
    return next((each for each in lessons if each.kind == "forgotten"), None)
