"""A user's own Python object, named in the configuration: a function, a Pipeline class or an instance of one.

It travels to a worker by its name and is imported again there: nothing of the user's is pickled, and what he
imports from beside his file is found.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from retrain.comparable import given_besides
from retrain.metrics import METRICS
from retrain.pipeline import Detail, Pipeline, Report, Scores, evaluate_in_detail
from retrain.pipelines.constants import without_constants
from retrain.pipelines.objective import ObjectivePipeline
from retrain.pipelines.user_code import stdout_to_stderr, strict_report
from tuner.errors import ConfigError, RetrainError, did_you_mean
from tuner.experiment import Direction, Evaluation, Params, Provenance, Value

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["ImportedObjective", "ImportedPipeline", "Reference", "load_python"]


@dataclass(frozen=True, slots=True)
class Reference:
    """`module:attribute` as seen from the folder `root`; a module may be a path to a file.

    `key` is the key of the configuration that names it.
    """

    root: Path
    module: str
    attribute: str
    key: str = "pipeline.kind"

    @classmethod
    def parse(cls, text: str, root: Path, key: str = "pipeline.kind") -> "Reference":
        """Read `package.module:attr` or `path/to/file.py:attr`."""
        module, _, attribute = text.rpartition(":")
        return cls(root.resolve(), module, attribute, key)

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    def load(self) -> Any:
        """Import the module and return the attribute.

        Raises:
            ConfigError: no such module or attribute (names the closest), or the import itself failed.
        """
        try:
            with stdout_to_stderr():
                module = self._import()
        except RetrainError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"Importing {self.module!r} for {self.key} failed: {type(error).__name__}: {error}.",
                f"See all of it with: cd {self.root} && {Path(sys.executable).name} -c 'import {self._name}'",
            ) from error
        try:
            return getattr(module, self.attribute)
        except AttributeError:
            names = [name for name in vars(module) if not name.startswith("_")]
            raise ConfigError(
                f"{self.module!r} has no {self.attribute!r}.{did_you_mean(self.attribute, names)}",
                f"It defines: {', '.join(names) or 'nothing'}.",
            ) from None

    @property
    def file(self) -> Path | None:
        """Where its module lies; None where it cannot be told without importing it."""
        if self._is_path:
            return (self.root / self.module).resolve()
        place = self.root.joinpath(*self.module.split("."))
        return next(
            (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None
        )

    @property
    def _is_path(self) -> bool:
        return self.module.endswith(".py") or "/" in self.module

    @property
    def _name(self) -> str:
        return Path(self.module).stem if self._is_path else self.module

    def _import(self) -> ModuleType:
        if self._is_path:
            return _import_file(self.root / self.module, self.key)
        _add_to_path(self.root)
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise  # it is there, but something that it imports is not
            raise ConfigError(
                f"There is no module {self.module!r}, as {self.key} names it, in {self.root} or installed."
                + did_you_mean(self.module, (path.stem for path in self.root.glob("*.py"))),
                "Write package.module:attr, or path/to/file.py:attr.",
            ) from None


def _import_file(path: Path, key: str) -> ModuleType:
    """Import a file under a name of its own, so that `random.py` shadows nothing; search its folder, too."""
    try:
        found = path.is_file()
    except OSError:  # too long a name, or a folder that is closed to us
        found = False
    if not found:
        near = did_you_mean(path.name, (other.name for other in path.parent.glob("*.py")))
        raise ConfigError(
            f"There is no file {str(path)!r}, as {key} names it.{near}",
            "Write path/to/file.py:attr, from the folder of the configuration; or package.module:attr.",
        )
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{str(path)!r} is not a Python file.", "Its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    _add_to_path(path.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _add_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


class ImportedObjective:
    """A user's function that is pickled as its name."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.__wrapped__ = reference.load()
        self.__name__ = reference.attribute

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call the user's function."""
        return self.__wrapped__(*args, **named)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ImportedObjective, (self.reference,))


class ImportedPipeline(Pipeline):
    """A user's Pipeline, pickled as its name and the configuration it was built from.

    The configuration's `[space]`, `fixed` and `name` win over the pipeline's own.
    """

    def __init__(self, reference: Reference, config: "Config") -> None:
        self._reference, self._config = reference, config
        self.inner = _build(reference, config)
        self.name = config.name
        self.metric = self.inner.metric
        self.direction = Direction(self.inner.direction)
        self.space = config.search_space() if config.has_space else self.inner.space
        self.goals = config.goals
        self._fixed = config.pipeline.fixed

    def __reduce__(self) -> tuple[Any, ...]:
        return (ImportedPipeline, (self._reference, self._config))

    def load(self) -> object:
        """As the user's pipeline does; so do the others below."""
        with stdout_to_stderr():
            return self.inner.load()

    def use(self, data: object) -> None:
        """Hand it the data."""
        with stdout_to_stderr():
            self.inner.use(data)

    def provenance(self) -> Provenance:
        """What it says of itself, and the fixed parameters."""
        with stdout_to_stderr():
            own = self.inner.provenance()
        return replace(own, code=own.code + given_besides(self._fixed))

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Score the parameters and the fixed ones."""
        with stdout_to_stderr():
            return self.inner.evaluate({**params, **self._fixed}, strict_report(report), seed)

    def evaluate_for_tuning(self, params: Params, report: Report, seed: int) -> Evaluation:
        """The same for a search."""
        with stdout_to_stderr():
            given = {**params, **self._fixed}
            return self.inner.evaluate_for_tuning(given, strict_report(report), seed)

    @property
    def steps(self) -> str:
        """As the configuration says, else as it says itself."""
        return self._config.pruning.steps or self.inner.steps

    @property
    def splits_follow_seed(self) -> bool:
        """Whether its splits do."""
        return self.inner.splits_follow_seed

    def evaluate_in_detail(
        self, params: Params, report: Report, seed: int, by: Mapping[str, Collection[str]]
    ) -> tuple[Evaluation, Detail]:
        """Score the parameters and the fixed ones in detail."""
        with stdout_to_stderr():
            given = {**params, **self._fixed}
            return evaluate_in_detail(self.inner, given, strict_report(report), seed, by)

    @property
    def can_fit(self) -> bool:
        """Whether it can."""
        return self.inner.can_fit

    def fit(self, params: Params, seed: int) -> Any:
        """Fit the parameters and the fixed ones."""
        with stdout_to_stderr():
            return self.inner.fit({**params, **self._fixed}, seed)

    def fit_rule(self, model: Any) -> Mapping[str, Any]:
        """How it fitted."""
        with stdout_to_stderr():
            return self.inner.fit_rule(model)

    def suspicions(self) -> Sequence[str]:
        """What it suspects."""
        with stdout_to_stderr():
            return self.inner.suspicions()

    def test(self, model: Any) -> Scores:
        """Test on its holdout."""
        with stdout_to_stderr():
            return self.inner.test(model)

    def test_in_detail(self, model: Any, by: Mapping[str, Collection[str]]) -> tuple[Scores, Detail]:
        """Test on its holdout in detail."""
        with stdout_to_stderr():
            return self.inner.test_in_detail(model, by)

    def costs_of(self, model: Any, names: Collection[str]) -> Mapping[str, float]:
        """Measure its model."""
        with stdout_to_stderr():
            return self.inner.costs_of(model, names)

    def save(self, model: Any, folder: Path) -> Sequence[Path]:
        """Save in its own format."""
        with stdout_to_stderr():
            return self.inner.save(model, folder)

    @property
    def can_predict(self) -> bool:
        """Whether it can."""
        return self.inner.can_predict

    def load_model(self, folder: Path) -> Any:
        """Load in its own format."""
        with stdout_to_stderr():
            return self.inner.load_model(folder)

    def sample_rows(self, n: int) -> list[dict[str, Value]]:
        """Rows of its own data."""
        with stdout_to_stderr():
            return self.inner.sample_rows(n)

    def predict_rows(self, model: Any, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        """Predict in its own way."""
        with stdout_to_stderr():
            return self.inner.predict_rows(model, rows)


def load_python(config: "Config") -> Pipeline:
    """Build the pipeline that a configuration names as a Python object.

    Raises:
        ConfigError: it cannot be imported, or is neither a function nor a Pipeline.
    """
    reference = Reference.parse(config.pipeline.kind, config.root)
    found = reference.load()
    if isinstance(found, Pipeline) or (inspect.isclass(found) and issubclass(found, Pipeline)):
        return ImportedPipeline(reference, config)
    if not callable(found) or inspect.isclass(found):
        raise ConfigError(
            f"pipeline.kind must name a function, a Pipeline class or a Pipeline, but {reference} is "
            + ("a class of another kind." if inspect.isclass(found) else f"a {type(found).__name__}."),
            "The smallest pipeline is a function: def train(params) that returns a number.",
        )
    _refuse(config, "a Python function")
    settings = config.pipeline
    metric = settings.metric or "value"
    direction = settings.direction or (METRICS[metric].direction if metric in METRICS else None)
    if direction is None:
        raise ConfigError(
            f"pipeline.direction must be given: the metric {metric!r} is none of the known ones.",
            'Add direction = "minimize" or direction = "maximize" to [pipeline].',
        )
    space = config.search_space()
    return ObjectivePipeline(
        ImportedObjective(reference),
        space,
        metric,
        direction,
        name=config.name,
        fixed=dict(settings.fixed),
        root=config.root,
        contents=without_constants(config, [*space.names, *settings.fixed]),
    )


def _build(reference: Reference, config: "Config") -> Pipeline:
    """Make the user's pipeline: a class is called with the configuration when it takes an argument."""
    found: Any = reference.load()
    built: Pipeline
    if not inspect.isclass(found):
        built = found
        _refuse(config, "a Pipeline that is already built")
    else:
        make: Any = found
        try:
            with stdout_to_stderr():
                built = make(config) if inspect.signature(make).parameters else make()
        except TypeError as error:
            raise ConfigError(
                f"{reference} cannot be built: {error}.",
                "Its __init__ takes nothing, or one argument: the configuration.",
            ) from error
    for name in ("space", "metric", "direction"):
        if not hasattr(built, name):
            raise ConfigError(
                f"{reference} must set the attribute {name!r}.",
                f"Set it in the class, or as self.{name} in its __init__.",
            )
    for name in ("metric", "direction"):
        wanted, own = getattr(config.pipeline, name), getattr(built, name)
        if wanted is not None and wanted != own:
            raise ConfigError(
                f"pipeline.{name} is {str(wanted)!r}, but {reference} says {str(own)!r}.", "Leave it out."
            )
    return built


def _refuse(config: "Config", what: str) -> None:
    from retrain.config.pipeline import OF_MODELS

    given = [key for key in OF_MODELS if getattr(config.pipeline, key)]
    if given:
        raise ConfigError(
            f"{', '.join(f'pipeline.{key}' for key in given)} has no meaning for {what}.",
            "Take it out of [pipeline]: the code loads its own data.",
        )
