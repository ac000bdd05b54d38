"""The comparison of two checkouts: each trains the same network in a process of its own."""

from pathlib import Path

import pytest

from benchmarks import compare

ROOT = Path(__file__).parents[2]


def test_a_checkout_compared_with_itself_gives_a_row_per_thread_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "ROUNDS", 2)
    monkeypatch.setattr(compare, "MEMORY_ROUNDS", 1)
    assert compare.main(str(ROOT), str(ROOT), "LINE") == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1:3] for row in rows] == [["1-1, batch 5, SGD", "1"], ["1-1, batch 5, SGD", "2"]]
    assert all(float(row[3]) > 0 and float(row[4]) > 0 for row in rows)


def test_an_unknown_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(".", ".", "NO_NET") == 2
    assert "LENET" in capsys.readouterr().err


def test_a_folder_that_is_no_checkout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="cannot be trained there"), compare._contestant(tmp_path, "LINE", 1):
        pass
