"""From a file, or a data set that scikit-learn carries, to arrays that travel to workers without a copy."""

from retrain.data.columns import Columns
from retrain.data.evidence import EvidenceTable, make_evidence
from retrain.data.features import meta_features
from retrain.data.glance import check_readable
from retrain.data.leakage import Leak, Roles, find_leaks
from retrain.data.ratings import Ratings, make_ratings
from retrain.data.read import column_names, read_table
from retrain.data.table import (
    Table,
    check_columns,
    known_rows,
    make_table,
    warn_of_row_names,
    words_of_row_names,
)
from retrain.data.texts import copied_texts, make_texts

__all__ = [
    "Columns",
    "EvidenceTable",
    "Leak",
    "Ratings",
    "Roles",
    "Table",
    "check_columns",
    "check_readable",
    "column_names",
    "copied_texts",
    "find_leaks",
    "known_rows",
    "make_evidence",
    "make_ratings",
    "make_table",
    "make_texts",
    "meta_features",
    "read_table",
    "warn_of_row_names",
    "words_of_row_names",
]
