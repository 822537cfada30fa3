"""The file that `[deploy] target` names: read, compared, rendered and replaced as a whole."""

import keyword
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from retrain.config import Config
from retrain.deploy.files import read_bytes, remove_leftovers, safe_path, write_atomic
from retrain.deploy.target import Target
from tuner.errors import ConfigError, StorageError, did_you_mean
from tuner.experiment import Params, Value

__all__ = ["TargetFile", "make_target"]

SUFFIXES = (".py", ".json", ".toml", ".yaml", ".yml")


def make_target(file: str, section: str | None = None, prefix: str = "") -> Target:
    """Return the format of a file by its suffix.

    Raises:
        ConfigError: no such format, a prefix for one without constants, or a prefix or section that it cannot
            spell.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"The deploy target must be one of {', '.join(SUFFIXES)}, but got {file!r}."
            + did_you_mean(suffix, SUFFIXES),
            "Mend `target` under [deploy].",
        )
    if prefix and suffix != ".py":
        raise ConfigError(
            f"`prefix` under [deploy] is for Python constants, but the target is {file!r}.",
            "Leave it out; `section` says where in the file the hyperparameters stand.",
        )
    _check_spelling(section, prefix, is_python=suffix == ".py")
    match suffix:
        case ".py":
            from retrain.deploy.target_python import PythonTarget

            return PythonTarget(file, section, prefix)
        case ".json":
            from retrain.deploy.target_json import JsonTarget

            return JsonTarget(file, section)
        case ".toml":
            from retrain.deploy.target_toml import TomlTarget

            return TomlTarget(file, section)
        case _:
            from retrain.deploy.target_yaml import YamlTarget

            return YamlTarget(file, section)


def _check_spelling(section: str | None, prefix: str, *, is_python: bool) -> None:
    """Refuse what would make a new file one that nobody can read."""
    if not f"{prefix}x".isidentifier():
        raise ConfigError(
            f"`prefix` under [deploy] begins the names of Python constants, but {prefix!r} begins none.",
            'Mend it: letters, digits and underscores, no digit first, such as "XGB_".',
        )
    if is_python and section is not None and (not section.isidentifier() or keyword.iskeyword(section)):
        raise ConfigError(
            f"`section` under [deploy] must name a dictionary in the Python module, but got {section!r}.",
            'Mend it, such as "PARAMS", or leave it out for one constant each.',
        )
    if section and not all(section.split(".")):
        raise ConfigError(
            f"`section` under [deploy] must be names with one dot between them, but got {section!r}.",
            'Mend it, such as "model.params".',
        )


class TargetFile:
    """The user's own file with the hyperparameters in production.

    Args:
        root: the project folder; nothing outside it is ever written.
        name: path of the file relative to it.
        section: see `Target`.
        prefix: see `Target`.

    Raises:
        ConfigError: an unknown format, or a place that must not be written to.
    """

    def __init__(self, root: Path, name: str, section: str | None = None, prefix: str = "") -> None:
        self.root = root
        self.name = name
        self.format = make_target(name, section, prefix)
        safe_path(root, Path(name))

    @classmethod
    def of(cls, config: Config) -> "TargetFile | None":
        """The target that the configuration names, or None."""
        deploy = config.deploy
        if deploy.target is None:
            return None
        return cls(config.root, deploy.target, deploy.section, deploy.prefix)

    def read(self) -> bytes | None:
        """The file's bytes; None where there is no file."""
        return read_bytes(safe_path(self.root, Path(self.name)))

    def values(self, data: bytes | None, names: Collection[str]) -> dict[str, Value]:
        """The values of those `names` that the content holds.

        Raises:
            ConfigError: the content does not parse, or is ambiguous.
        """
        return {} if data is None else self.format.find(self.format.decode(data), names)

    def holds(self, data: bytes | None, params: Params) -> bool:
        """Whether the content holds exactly these values; 1 and 1.0 are alike here, True and 1 are not.

        Raises:
            ConfigError: the content does not parse, or is ambiguous.
        """
        if data is None:
            return False
        found = self.values(data, params.keys())
        return all(
            found.get(name) == value and isinstance(found.get(name), bool) == isinstance(value, bool)
            for name, value in params.items()
        )

    def rendered(
        self, data: bytes | None, params: Params, inactive: Mapping[str, Value], order: Sequence[str] = ()
    ) -> bytes:
        """Return the content with `params` in it; a whole new file where there is none.

        Args:
            data: the present content.
            params: what it must hold.
            inactive: defaults of the parameters that are not active.
            order: names as they follow each other in a new file; what is not named comes last.

        Raises:
            ConfigError: the content has no place for a parameter.
        """
        target = self.format
        if data is None:
            values = {**inactive, **params} if target.keeps_inactive else params
            names = [name for name in order if name in values]
            return target.create({name: values[name] for name in dict.fromkeys([*names, *values])}).encode()
        codec = target.encoding(data)
        text = target.render(target.decode(data), params, [*params, *inactive])
        try:
            return text.encode(codec)
        except UnicodeEncodeError as error:
            raise target.refuse(
                f"is {codec} text, which cannot spell {error.object[error.start]!r}", "Save it as UTF-8."
            ) from error

    def write(self, data: bytes | None, point: str) -> None:
        """Replace the file in one step; None removes it. `point` prefixes the crash points on the way."""
        write_atomic(safe_path(self.root, Path(self.name)), data, point)

    def check_writable(self) -> None:
        """Find out before a deployment, not in the middle of it.

        Raises:
            StorageError: the folder of the file does not allow to replace it.
        """
        if not os.access(safe_path(self.root, Path(self.name)).parent, os.W_OK):
            raise StorageError(
                f"The deploy target {self.name!r} must be writable, but its folder is read-only.",
                "Change its permissions, then type the same command again.",
            )

    def clean(self) -> None:
        """Remove temporary files that a killed `write` left. Only under the deploy lock."""
        remove_leftovers(safe_path(self.root, Path(self.name)))
