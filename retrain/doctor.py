"""`retrain doctor`: whether everything a project stands on is sound. Looks, and changes nothing."""

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from retrain.config import Config, find_config, load_config
from retrain.config.naming import OF_TABLES
from retrain.config.pipeline import BUILT_IN_DATA
from retrain.page import hanging
from retrain.passwords import without_password
from retrain.phases import searching
from retrain.pipeline import Pipeline
from retrain.pipelines import load_pipeline
from retrain.tables import render, to_json
from tuner.errors import NotFoundError, RetrainError, did_you_mean
from tuner.registry import open_registry
from tuner.registry.base import ModelVersion, RegistryReader, VersionState
from tuner.registry.checks import locate
from tuner.registry.doctor import deep_check, registry_info, sqlite_engine
from tuner.registry.invariants import Held
from tuner.registry.mounts import file_system, is_network, mount_table
from tuner.registry.owners import of_unknown_locks
from tuner.registry.postgres import is_postgres
from tuner.space import CategoricalParam

__all__ = ["Finding", "Verdict", "doctor", "findings_text", "is_healthy", "trouble_text"]

_LEAST_FREE_BYTES = 1 << 30
_GO_BACK = "Stop all runs and go back to the latest backup."
_LIBRARIES = (
    "numpy",
    "scikit-learn",
    "xgboost",
    "scikit-optimize",
    "pandas",
    "sqlalchemy",
    "pydantic",
    "ray",
)


class Verdict(StrEnum):
    """How a check ended. Only a problem makes `doctor` fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it stands, and in a sentence why; `remedy` where there is one."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def doctor(
    path: Path | None = None,
    *,
    db: str | None = None,
    deep: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    mounts: Callable[[], str] = mount_table,
) -> list[Finding]:
    """Check Python and libraries, the configuration and what it names, the registry and the model versions.

    Args:
        path: the configuration, as for `load_config`.
        db: another registry than the configured one; with `deep` no configuration is needed for it.
        deep: check the invariants of every row.
        tell: takes a line now and then while that takes long.
        mounts: reads the kernel's table of mounted file systems.
    """
    findings = [*_environment()]
    check = partial(_registry, deep=deep, tell=tell, mounts=mounts)
    try:
        if deep and db is not None and path is None and find_config() is None:
            what = f"none here: only {without_password(db)} is looked at"
            findings.append(Finding("configuration", Verdict.OK, what))
            return [*findings, *_guarded("registry", partial(check, db))]
        config = load_config(path, {"db": db})
    except RetrainError as error:
        return [*findings, _problem("configuration", error)]
    findings.append(Finding("configuration", Verdict.OK, f"{config.source}, pipeline {config.name}"))
    pipeline: Pipeline | None = None
    try:
        pipeline = load_pipeline(config)
        findings += _pipeline(config, pipeline)
    except RetrainError as error:
        findings.append(_problem("pipeline", error))
    looks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("data", partial(_data, config)),
        ("leakage", partial(_leakage, config, pipeline)),
        ("ratings", partial(_ratings, config, pipeline)),
        ("deploy target", partial(_target, config, pipeline)),
        ("phases", partial(_phases, config)),
        ("registry", partial(check, config.db, partial(_versions, config, pipeline))),
    )
    for name, look in looks:
        said = {each.detail for each in findings if each.verdict is Verdict.PROBLEM}
        findings += [each for each in _guarded(name, look) if each.detail not in said]
    return findings


def _guarded(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a look finds, and where it fails, why."""
    findings: list[Finding] = []
    try:
        findings += look()
    except RetrainError as error:
        findings.append(_problem(check, error))
    return findings


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether none of them is a problem."""
    return all(each.verdict is not Verdict.PROBLEM for each in findings)


def trouble_text(findings: Iterable[Finding]) -> str | None:
    """Say in one line what is a problem; None where nothing is."""
    checks = list(dict.fromkeys(each.check for each in findings if each.verdict is Verdict.PROBLEM))
    if not checks:
        return None
    many = "1 check" if len(checks) == 1 else f"{len(checks)} checks"
    return f"{many} found a problem: {', '.join(checks)}"


def findings_text(findings: Sequence[Finding], output: str = "table") -> str:
    """Return the findings line by line for people, or as rows; JSON with the overall verdict."""
    rows = [
        {"verdict": each.verdict.value, "check": each.check, "detail": each.detail, "remedy": each.remedy}
        for each in findings
    ]
    if output == "json":
        return to_json({"healthy": is_healthy(findings), "findings": rows})
    if output != "table":
        return render(rows, ["verdict", "check", "detail", "remedy"], output)
    width = max(len(each.check) for each in findings)
    lines = []
    for each in findings:
        head = f"{each.verdict:<7}  {each.check:<{width}}  "
        lines += hanging(head, each.detail)
        if each.remedy:
            lines += hanging(" " * len(head) + "try: ", each.remedy)
    return "\n".join(lines)


def _problem(check: str, error: RetrainError) -> Finding:
    return Finding(check, Verdict.PROBLEM, str(error), error.remedy)


def _environment() -> Iterable[Finding]:
    yield Finding(
        "python", Verdict.OK, f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    installed, missing = [], []
    for name in _LIBRARIES:
        try:
            installed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("libraries", Verdict.OK, ", ".join(installed))
    if missing:
        yield Finding(
            "libraries",
            Verdict.PROBLEM,
            f"not installed: {', '.join(missing)}",
            f"pip install {' '.join(missing)}",
        )
    engine = sqlite_engine()
    if engine.is_sound:
        yield Finding("sqlite", Verdict.OK, f"{engine.version} ({engine.driver}): sound, WAL mode is safe")
    else:
        yield Finding(
            "sqlite",
            Verdict.WARNING,
            f"{engine.version} ({engine.driver}) has the WAL-reset bug; journal mode DELETE avoids it",
            "pip install pysqlite3",
        )


def _pipeline(config: Config, pipeline: Pipeline) -> Iterable[Finding]:
    """That it could be made says that its code can be imported, and that metric and space are sound."""
    if config.pipeline.kind == "command":
        pipeline.load()  # looks for the program only
    what = f"{config.pipeline.kind} optimises {pipeline.metric} ({pipeline.direction})"
    yield Finding("pipeline", Verdict.OK, what)
    size = pipeline.space.size()
    many = f", {size} configurations" if size is not None else ""
    yield Finding("search space", Verdict.OK, f"{len(pipeline.space)} parameters{many}")


def _data(config: Config) -> Iterable[Finding]:
    name = config.pipeline.data
    if name is None or name in BUILT_IN_DATA:
        return
    path = config.root / name
    if not path.is_file():
        near = did_you_mean(path.name, [*(each.name for each in path.parent.glob("*")), *BUILT_IN_DATA])
        said = f"there is no {path}{'.' * bool(near)}{near}"
        yield Finding("data", Verdict.PROBLEM, said, "Mend `data` under [pipeline].")
    elif not os.access(path, os.R_OK):
        yield Finding("data", Verdict.PROBLEM, f"{path} cannot be read", f"chmod u+r {path}")
    else:
        from retrain.data import check_readable

        check_readable(config)
        yield Finding("data", Verdict.OK, f"{path}, {_size(path.stat().st_size)}")


def _leakage(config: Config, pipeline: Pipeline | None) -> Iterable[Finding]:
    """Whether the table can be trained on, and what in it is of no use or may make scores too good."""
    if pipeline is None or config.pipeline.kind not in OF_TABLES or not _is_there(config):
        return
    from retrain.data import words_of_row_names
    from retrain.pipelines.tabular import TabularPipeline

    assert isinstance(pipeline, TabularPipeline)
    loaded, leaks = pipeline.look()
    words = words_of_row_names(loaded.table)
    if words is not None:
        yield Finding("columns", Verdict.WARNING, *words)
    for leak in leaks:
        yield Finding("leakage", Verdict.WARNING, leak.what, leak.remedy)
    if not leaks:
        rows = f"{len(loaded.train)} rows to train on and {len(loaded.holdout)} held out"
        yield Finding("leakage", Verdict.OK, f"none seen between {rows}")


def _ratings(config: Config, pipeline: Pipeline | None) -> Iterable[Finding]:
    """Whether ratings and items go together, and how many there are to rank."""
    from retrain.pipelines.ranking import RankingPipeline

    if isinstance(pipeline, RankingPipeline) and _is_there(config):
        loaded = pipeline.load()
        rows = f"{len(loaded.train)} ratings to train on, {len(loaded.asked)} held out to be ranked"
        yield Finding("ratings", Verdict.OK, rows)


def _is_there(config: Config) -> bool:
    name = config.pipeline.data
    return name in BUILT_IN_DATA or (name is not None and (config.root / name).is_file())


def _target(config: Config, pipeline: Pipeline | None) -> Iterable[Finding]:
    from retrain.deploy.target_file import TargetFile

    target = TargetFile.of(config)
    if target is None:
        yield Finding("deploy target", Verdict.OK, "none: versions and current.json only")
        return
    data = target.read()
    if data is None:
        yield Finding(
            "deploy target", Verdict.OK, f"{target.name} does not exist yet; the first apply makes it"
        )
        return
    if pipeline is None:
        return
    space = pipeline.space
    held = target.values(data, space.names)
    if not target.format.has_null:
        for name, param in space.params.items():
            if isinstance(param, CategoricalParam) and None in param.choices:
                held.setdefault(name, None)
    wanted = space.active({**space.defaults(), **held})
    missing = [name for name in wanted if name not in held]
    yield Finding(
        "deploy target",
        Verdict.WARNING if missing else Verdict.OK,
        f"{target.name} holds {len(wanted) - len(missing)} of {len(wanted)} parameters"
        + (f", and lacks {', '.join(missing)}" if missing else ""),
        "Check `section` and `prefix` under [deploy]; the first apply may add what is missing."
        if missing
        else "",
    )


def _phases(config: Config) -> Iterable[Finding]:
    """Whether the later phases can be searched, and deployed."""
    for name in config.space.phases:
        phase = config.in_phase(name)
        try:
            with open_registry(config.db, create=False, read_only=True) as registry:
                phase = searching(phase, registry)
        except NotFoundError:
            yield Finding("phases", Verdict.OK, f"{name} begins once something is deployed")
            continue
        for found in _target(phase, load_pipeline(phase)):
            yield Finding("phases", found.verdict, f"{name}: {found.detail}", found.remedy)


def _registry(
    db: str,
    also: Callable[[RegistryReader], Iterable[Finding]] = lambda _: (),
    *,
    deep: bool,
    tell: Callable[[str], None],
    mounts: Callable[[], str],
) -> Iterable[Finding]:
    if is_postgres(db):
        yield from _on_server(db, also, deep=deep, tell=tell)
        return
    path = locate(db)
    yield from _storage(path.parent, mounts)
    try:
        registry = open_registry(db, create=False, read_only=True)
    except NotFoundError:
        yield Finding("registry", Verdict.OK, f"none yet; the first run makes {path}")
        return
    with registry:
        yield from _registry_file(registry, whole=not deep)
        if deep:
            yield from map(_invariant, deep_check(registry, tell))
        yield from also(registry)


def _on_server(
    db: str, also: Callable[[RegistryReader], Iterable[Finding]], *, deep: bool, tell: Callable[[str], None]
) -> Iterable[Finding]:
    try:
        registry = open_registry(db, create=False, read_only=True)
    except NotFoundError as error:
        yield Finding("registry", Verdict.OK, f"none yet; the first run makes it. {error}")
        return
    from tuner.registry.postgres.doctor import server_info

    with registry:
        info = server_info(registry)
        what = "standby" if info.is_standby else "server"
        yield Finding(
            "registry",
            Verdict.OK,
            f"{info.where}, {_size(info.size_bytes)}, schema {info.schema_version},"
            f" {what} PostgreSQL {info.version}, page checksums {'on' if info.has_checksums else 'off'}",
        )
        off = ", ".join(info.not_durable)
        yield Finding(
            "durability",
            Verdict.PROBLEM if off else Verdict.OK,
            f"a power cut can take results back: {off} off" if off else "what is committed stays",
            "Set them to on in the server's postgresql.conf." if off else "",
        )
        lifted = ", ".join(info.lifted)
        yield Finding(
            "rules",
            Verdict.PROBLEM if lifted else Verdict.OK,
            f"switched off: {lifted}" if lifted else "all constraints and triggers are in force",
            "Switch them on again, then run: retrain doctor --deep" if lifted else "",
        )
        yield _owners(info.owners_alive, info.owners_dead, info.n_held_by_dead)
        if deep:
            yield from map(_invariant, deep_check(registry, tell))
        yield from also(registry)


def _invariant(held: Held) -> Finding:
    if not held.n_broken:
        return Finding(held.id, Verdict.OK, held.rule)
    more = ", ..." if held.n_broken > len(held.examples) else ""
    return Finding(
        held.id,
        Verdict.PROBLEM,
        f"{held.rule}: broken {held.n_broken} times: {', '.join(held.examples)}{more}",
        _GO_BACK,
    )


def _registry_file(registry: RegistryReader, *, whole: bool) -> Iterable[Finding]:
    info = registry_info(registry, whole=whole)
    yield Finding(
        "registry",
        Verdict.OK,
        f"{info.path}, {_size(info.size_bytes)}, schema {info.schema_version}, journal {info.journal_mode}",
    )
    if info.problems:
        yield Finding(
            "integrity",
            Verdict.PROBLEM,
            "; ".join(info.problems),
            _GO_BACK,
        )
    elif whole:
        yield Finding("integrity", Verdict.OK, "no damage found")
    yield _owners(info.owners_alive, info.owners_dead, info.n_held_by_dead)
    if info.n_unknown_locks:
        said = of_unknown_locks(info.n_unknown_locks)
        yield Finding("owners", Verdict.WARNING, said, "orchestrator")


def _owners(n_alive: int, n_dead: int, n_held: int) -> Finding:
    if n_held:
        said = f"{n_alive} alive; {n_dead} dead still holding {n_held} running"
        return Finding("owners", Verdict.WARNING, said, "orchestrator")
    return Finding("owners", Verdict.OK, f"{n_alive} alive, none dead that holds experiments")


def _versions(config: Config, pipeline: Pipeline | None, registry: RegistryReader) -> Iterable[Finding]:
    from retrain.deploy.versions import VersionStore

    store = VersionStore.of(config)
    known = [each for each in registry.versions(config.name) if each.state != VersionState.STAGED]
    n_sound = 0
    for each in known:
        try:
            store.check(each)
        except RetrainError as error:
            if each.state == VersionState.ACTIVE:
                yield Finding("versions", Verdict.PROBLEM, f"active: {error}", "retrain --force")
            else:
                yield Finding("versions", Verdict.WARNING, f"no way back to it: {error}")
        else:
            n_sound += 1
    active = next((each for each in known if each.state == VersionState.ACTIVE), None)
    if active is not None:
        yield from _edited(config, active)
    said = "none is active" if active is None else f"v{active.number} is active"
    if active is not None and pipeline is not None and pipeline.can_fit and not _has_model(active):
        said += " (hyperparameters only)"
    yield Finding("versions", Verdict.OK, f"{n_sound} of {len(known)} match their hashes; {said}")


def _edited(config: Config, active: ModelVersion) -> Iterable[Finding]:
    """Whether what is deployed is still what the target says."""
    from retrain.deploy.pending import edits
    from retrain.deploy.target_file import TargetFile

    target = TargetFile.of(config)
    if target is None:
        return
    for edit in edits(target, target.read(), active):
        yield Finding("deploy target", Verdict.WARNING, edit, "retrain --dry-run")


def _has_model(version: ModelVersion) -> bool:
    return any(name.startswith("model/") for name in version.manifest.get("files", ()))


def _storage(folder: Path, mounts: Callable[[], str]) -> Iterable[Finding]:
    kind = file_system(folder, mounts())
    if is_network(kind):
        yield Finding(
            "file system",
            Verdict.PROBLEM,
            f"{folder} is on a network file system ({kind}), whose locks a registry cannot trust",
            "Keep the registry on a local disk: --db PATH, or use PostgreSQL",
        )
    else:
        yield Finding("file system", Verdict.OK, kind or "unknown")
    free = shutil.disk_usage(folder).free
    low = free < _LEAST_FREE_BYTES
    yield Finding("disk", Verdict.WARNING if low else Verdict.OK, f"{_size(free)} free")


def _size(n_bytes: int) -> str:
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} bytes"
