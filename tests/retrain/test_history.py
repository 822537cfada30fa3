import json

from retrain.history import history_text


def test_history() -> None:
    row = {
        "id": 2,
        "at": 1_795_251_672.0,
        "action": "apply",
        "from": 1,
        "to": 2,
        "active": "*",
        "metric": "auc",
        "value": 0.98765432,
        "who": "ann@host",
        "reason": "=1+1",
        "experiment": None,
        "gates": "met",
        "overridden": "",
    }
    assert history_text([row]) == (
        "to  at (UTC)          action  from    value  experiment\n"
        "--  ----------------  ------  ----  -------  ----------\n"
        "2*  2026-11-21 09:01  apply      1  0.98765"
    )
    assert "ann@host" not in history_text([row])
    assert "ann@host" in history_text([row], verbose=True)
    assert (
        history_text([row], "csv").splitlines()[1]
        == "2,2026-11-21T09:01:12Z,apply,1,2,*,auc,0.98765432,ann@host,,'=1+1,met,"
    )
    assert json.loads(history_text([row], "json"))[0]["reason"] == "=1+1"
    long = {
        **row,
        "to": 1234,
        "from": 1233,
        "action": "rollback",
        "experiment": "bayesian_20261121_090131_001",
    }
    lines = history_text([row, long]).splitlines()
    assert len(lines) == 4, "one table, not two beneath each other"
    assert max(map(len, lines)) <= 80
    reason = "the audit of last quarter found that deep trees cannot be explained to our customers"
    text = history_text([{**row, "reason": reason}, long], verbose=True)
    assert reason in " ".join(text.split()), "nothing of it is cut"
    assert max(map(len, text.splitlines())) <= 80
