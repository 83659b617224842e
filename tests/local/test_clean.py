"""`make clean` forgets everything, and nothing while somebody uses it."""

from pathlib import Path

import pytest

from deploy.local.clean import clean, main
from deploy.local.errors import ServerFailed
from deploy.local.servers import Valkey


def test_goes_with_what_it_points_at(tmp_path: Path) -> None:
    elsewhere, state = tmp_path / "elsewhere", tmp_path / "state"
    (elsewhere / "base").mkdir(parents=True)
    state.mkdir()
    (state / "keys.env").write_text("secret")
    (state / "postgres").symlink_to(elsewhere)
    assert clean(state) == [elsewhere, state]
    assert not list(tmp_path.iterdir())


def test_refuses_while_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    with Valkey(state):
        (state / "keys.env").write_text("secret")
        with pytest.raises(ServerFailed):
            clean(state)
        assert main({"LAPWING_STATE_DIR": str(state)}) == 1
        assert (state / "keys.env").exists()
    assert "Nothing was deleted" in capsys.readouterr().err


def test_nothing_there_is_no_fault(tmp_path: Path) -> None:
    assert main({"LAPWING_STATE_DIR": str(tmp_path / "none")}) == 0
