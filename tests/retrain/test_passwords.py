import pytest

from retrain.passwords import without_password


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:hunter2@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:hun@t/er:2@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://:hunter2@host/db", "postgresql://:***@host/db"),
        ("postgresql://me@host/db?password=hunter2&x=1", "postgresql://me@host/db?password=***&x=1"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("sqlite:////home/a@b/x:y.db", "sqlite:////home/a@b/x:y.db"),
        ("experiments.db", "experiments.db"),
    ],
)
def test_a_password_is_never_shown(given: str, shown: str) -> None:
    assert without_password(given) == shown
