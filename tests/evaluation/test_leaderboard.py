"""What may stand in one table, what is ranked, and what is said of runs without a result."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import numpy as np
import pytest

from fusionbench.app import cli, sweep
from fusionbench.errors import DataError
from fusionbench.evaluation.aggregate import bootstrap, paired
from fusionbench.evaluation.exports import as_csv, as_latex, as_markdown
from fusionbench.evaluation.leaderboard import leaderboard
from tests.evaluation.runs import EXP, GSA, write_failed, write_run


def entry(board, name):
    return next(e for e in board.entries if e.row.name == name)


def test_seeds_are_one_row_with_two_kinds_of_spread(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0], seed=0)
    write_run(tmp_path, "b", [1.2, 2.2, 3.2], seed=1)
    (board,) = leaderboard(tmp_path).boards
    net = entry(board, "net")
    assert net.seeds == (0, 1)
    assert net.row.values["ERGAS"].mean == pytest.approx(2.1)
    assert net.row.values["ERGAS"].std_scenes == pytest.approx(1.0)  # of 1.1, 2.1, 3.1
    assert net.std_seeds["ERGAS"] == pytest.approx(0.2 / 2**0.5)  # of 2.0, 2.2
    assert [e.row.name for e in board.entries] == ["net", "gsa", "exp"]


def test_simulated_and_real_never_share_a_table(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    write_run(tmp_path, "b", [0.1, 0.2, 0.3], simulated=True, trained_on_simulated=True)
    found = leaderboard(tmp_path)
    assert [board.simulated for board in found.boards] == [False, True]
    page = (found.write(tmp_path)[-1]).read_text()
    assert page.index("Real images") < page.index("Simulated images") < page.index("not to be set beside")


def test_other_scenes_other_table(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    write_run(tmp_path, "b", [1.0, 2.0])
    assert sorted(len(board.scenes) for board in leaderboard(tmp_path).boards) == [2, 3]


def test_equal_budget_and_published_recipe_are_two_tables_with_the_classical_rows_in_both(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0], recipe="demo")
    write_run(tmp_path, "b", [0.9, 1.9, 2.9], recipe="paper")
    write_run(tmp_path, "c", [1.4, 2.4, 2.5], method="bt_h", kind="classical")
    boards = leaderboard(tmp_path).boards
    assert [board.recipe for board in boards] == ["equal budget", "published recipe"]
    for board in boards:
        assert {e.row.name for e in board.entries} == {"net", "exp", "gsa", "bt_h"}


def test_a_transfer_is_a_row_of_its_own_under_its_label(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    write_run(tmp_path, "b", [1.1, 2.1, 3.1], trained_on_simulated=True)
    (board,) = leaderboard(tmp_path).boards
    assert any("(simulated -> real)" in e.row.title for e in board.entries)
    assert len([e for e in board.entries if e.row.kind == "network"]) == 2


def test_one_scene_has_no_interval_and_no_ranking(tmp_path):
    write_run(tmp_path, "a", [1.0])
    found = leaderboard(tmp_path)
    (board,) = found.boards
    assert board.mean_ranks() == {}
    assert board.podium("ERGAS") == (set(), set())
    assert all(d.low is None and d.n == 1 and not d.decided for d in paired(board, "ERGAS"))
    page = found.write(tmp_path)[-1].read_text()
    assert "One scene: no interval" in page
    assert 'class="best"' not in page.split("</table>")[0]
    assert "n = 1 scene" in page


def test_an_unconverged_network_of_another_budget_is_not_ranked(tmp_path):
    write_run(tmp_path, "a", [0.5, 0.6, 0.7], method="fast", converged=False, samples=10)
    write_run(tmp_path, "b", [1.0, 2.0, 2.5], method="slow", converged=True, samples=99)
    (board,) = leaderboard(tmp_path).boards
    assert "fast" not in board.mean_ranks()
    assert board.podium("ERGAS")[0] == {"slow"}
    assert "Fast †" in as_markdown([board], [])


def test_a_network_below_the_floor_is_flagged_per_index(tmp_path):
    write_run(tmp_path, "a", [1.9, 2.9, 3.9])
    (board,) = leaderboard(tmp_path).boards
    assert board.below(entry(board, "net"), "ERGAS")
    assert not board.below(entry(board, "gsa"), "ERGAS")


def test_paired_differences_by_hand(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    (board,) = leaderboard(tmp_path).boards
    found = {(d.first, d.second): d for d in paired(board, "ERGAS")}
    gsa_exp = found["gsa", "exp"]
    differences = np.subtract(GSA, EXP)
    assert gsa_exp.mean == pytest.approx(differences.mean())
    assert gsa_exp.n == 3
    assert gsa_exp.decided  # -0.5, -0.5, -1.4: every resample is negative
    assert gsa_exp.low == pytest.approx(differences.min())
    assert gsa_exp.high == pytest.approx(-0.5)


def test_bootstrap_agrees_with_scipy():
    from scipy.stats import bootstrap as reference

    values = np.random.default_rng(3).normal(0.3, 1.0, 30)
    ((low, high),) = bootstrap(values[None])
    other = reference((values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1))
    assert low == pytest.approx(other.confidence_interval.low, abs=0.02)
    assert high == pytest.approx(other.confidence_interval.high, abs=0.02)


def test_failed_runs_are_rows_with_their_reason_in_every_form(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    write_failed(tmp_path, "b", "skipped", "it takes 2 to 4 bands, the data set has 8")
    write_failed(tmp_path, "c", "failed", "RuntimeError: out of memory")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "status.json").write_text("{broken")
    found = leaderboard(tmp_path)
    assert [run.state for run in found.results.others] == ["skipped", "failed", "unreadable"]
    for file in found.write(tmp_path):
        text = file.read_text()
        assert "it takes 2 to 4 bands" in text
        assert "out of memory" in text
    lines = list(csv.DictReader(io.StringIO(as_csv(found.boards, found.results.others))))
    assert {line["state"] for line in lines} == {"finished", "skipped", "failed", "unreadable"}
    net = next(line for line in lines if line["method"] == "net" and line["index"] == "ERGAS")
    assert float(net["mean"]) == 2.0
    assert net["n_scenes"] == "3"


def test_latex_is_balanced_booktabs_with_escapes(tmp_path):
    write_run(tmp_path, "a_b", [1.0, 2.0, 3.0], method="net_x")
    text = as_latex(leaderboard(tmp_path).boards, [])
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"Net\_X" in text
    assert r"\textbf{2.000}" in text
    assert text.count("{") == text.count("}")


def test_a_repeated_run_counts_once_and_is_said(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    write_run(tmp_path, "a-2", [1.0, 2.0, 3.0])
    (board,) = leaderboard(tmp_path).boards
    assert entry(board, "net").seeds == (0,)
    assert any("left out" in text for text in board.remarks)


def test_the_verb(tmp_path, capsys):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    assert cli.main(["leaderboard", str(tmp_path)]) == 0
    assert "QuickBird · Reduced resolution · equal budget" in capsys.readouterr().out
    assert {f.suffix for f in tmp_path.glob("leaderboard.*")} == {".html", ".csv", ".md", ".tex"}


def test_no_folder_and_no_runs_are_mistakes_of_the_user(tmp_path, capsys):
    assert cli.main(["leaderboard", str(tmp_path / "none")]) == 2
    assert cli.main(["leaderboard", str(tmp_path)]) == 2
    assert "no run below this folder" in capsys.readouterr().err
    with pytest.raises(DataError):
        leaderboard(tmp_path)


def test_a_sweep_ends_with_its_leaderboard(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    write_failed(tmp_path, "b", "failed", "out of memory")
    assert sweep.finish(tmp_path) == 1
    assert "out of memory" in (tmp_path / "leaderboard.html").read_text()


def test_reading_needs_no_torch(tmp_path):
    write_run(tmp_path, "a", [1.0, 2.0, 3.0])
    code = (
        "import sys; from fusionbench.app.cli import main; "
        f"assert main(['leaderboard', {str(tmp_path)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
