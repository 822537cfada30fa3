"""A glance at configured data: whether they can be opened, without reading them."""

from typing import TYPE_CHECKING

from retrain.config.naming import OF_TABLES
from retrain.config.pipeline import BUILT_IN_DATA
from retrain.data.read import column_names
from retrain.data.table import check_columns

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["check_readable"]


def check_readable(config: "Config") -> None:
    """Insist that the files of a configuration can be opened, and that tables have the columns it names.

    Of each no more than the header is read; a pipeline of the user's own reads its data itself.

    Raises:
        DataError: they cannot, or a column is missing.
    """
    settings, splits = config.pipeline, config.splits
    sources = [each for each in (settings.data, settings.items) if each not in (None, *BUILT_IN_DATA)]
    named = {each: column_names(config.root / str(each)) for each in sources}
    if settings.kind in OF_TABLES and settings.data in named:
        by = [gate.by for gate in config.gate if gate.by is not None]
        target = settings.target or next(iter(settings.spans), "target")
        roles = (splits.group, splits.time, by, settings.text, settings.spans, settings.about)
        check_columns(named[settings.data], target, settings.drop, *roles)
