from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from doc_examples import code_words, example_in, table
from noting_relay import NotingRelay
from python_jobs import run_job, silent_relay
from relay_process import REPOSITORY

import pushrelay
from pushrelay import run
from pushrelay.wrapper.job_run import JobRun
from pushrelay.wrapper.spool import Spool

SERVER = ["pushrelay.relay", "pushrelay.web", "pushrelay.store", "pushrelay.view"]
HEAVY = [*SERVER, "click", "flask", "sqlalchemy", "gunicorn", "re2", "google.protobuf"]


def test_the_package_is_imported_without_the_library() -> None:
    program = "import sys, pushrelay; print([m for m in sys.modules if 'relay.' in m])"
    told = subprocess.check_output(
        [sys.executable, "-c", program], cwd=REPOSITORY, text=True
    )
    assert told == "[]\n"


def test_the_package_has_run_and_no_other_name() -> None:
    assert callable(pushrelay.run)
    assert pushrelay.__version__
    assert not hasattr(pushrelay, "Run")
    with pytest.raises(ImportError, match="cannot import name 'Run'"):
        exec("from pushrelay import Run")  # noqa: S102 - nothing of others


def test_nothing_of_the_server_and_nothing_beside_the_job_is_imported(
    tmp_path: Path,
) -> None:
    # While a thread imports, a fork leaves locks that nobody frees.
    program = f"""
        import sys
        from pushrelay import run
        before = set(sys.modules)
        with run("imports", instance="") as r:
            r.gauge("rows", 5)
        print(set(sys.modules) - before)
        print([name for name in {HEAVY} if name in sys.modules])
    """
    with NotingRelay() as server:
        for url in ("http://localhost:1", server.url):
            # The second run also delivers what the first one left.
            done = run_job(program, url, tmp_path)
            assert (done.returncode, done.stdout) == (0, "set()\n[]\n"), done.stderr
        assert len(server.ends()) == 1


def test_a_fork_does_not_report_the_run_of_its_parent(tmp_path: Path) -> None:
    program = """
        import os, sys
        from pushrelay import run
        with run("forking", instance="") as r:
            r.counter("processes")
            if (pid := os.fork()) == 0:
                r.counter("processes")
                r.fail()
                sys.exit(7)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            r.gauge("status", status)
    """
    # From Python 3.12 on, forks are warned of where there are threads.
    python = ("-W", "error::ResourceWarning", "-W", "ignore::DeprecationWarning")
    with NotingRelay() as server:
        done = run_job(program, server.url, tmp_path, python=python)
        assert done.returncode == 0, done.stderr
        end = server.end()
    assert (end["outcome"], done.stderr) == ("success", "")
    assert "processes 1\n" in end["metrics"]
    assert "status 7\n" in end["metrics"]


def test_forked_workers_have_runs_of_their_own(tmp_path: Path) -> None:
    program = """
        from multiprocessing import get_context
        from pushrelay import run

        @run("worker")
        def double(number):
            return 2 * number

        with run("pool"), get_context("fork").Pool(2) as pool:
            print(pool.map(double, range(4)))
    """
    with NotingRelay() as server:
        done = run_job(program, server.url, tmp_path)
        assert (done.returncode, done.stdout) == (0, "[0, 2, 4, 6]\n"), done.stderr
        jobs = sorted(end["job"] for end in server.ends())
    assert jobs == ["pool", *["worker"] * 4]


def test_a_process_that_ends_at_once_waits_for_nothing(tmp_path: Path) -> None:
    program = """
        import os
        from pushrelay import run
        with run("gone", report_timeout=1000):
            os._exit(5)
    """
    with silent_relay() as url:
        assert run_job(program, url, tmp_path).returncode == 5


def test_an_interrupt_ends_the_waiting_and_keeps_the_report(tmp_path: Path) -> None:
    program = """
        import signal
        from pushrelay import run
        with run("impatient", report_timeout=1000):
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, 1)
    """
    with silent_relay() as url:
        done = run_job(program, url, tmp_path)
    assert "impatient: " in done.stderr
    assert "KeyboardInterrupt" in done.stderr
    [entry] = Spool([str(tmp_path)]).waiting()
    assert entry.report.document["state"] == "finished"


def test_a_fork_does_not_keep_the_spool_locked(tmp_path: Path) -> None:
    program = f"""
        import os
        from pushrelay.wrapper.spool import Spool
        from pushrelay.wrapper.reports import Report
        id_ = "0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00"
        spool, other = Spool([{str(tmp_path)!r}]), Spool([{str(tmp_path)!r}])
        times = {{"state": "finished", "started_at": 1.0, "finished_at": 1.0}}
        spool.keep(Report(id_, times), "http://x", 1.0)
        reader, writer = os.pipe()
        with spool.locked() as is_ours:
            if os.fork() == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
        with other.locked() as is_theirs:
            print(is_ours, is_theirs)
    """
    assert run_job(program, "http://x", tmp_path).stdout == "True True\n"


def test_a_finish_says_so_where_logging_is_not_set_up(tmp_path: Path) -> None:
    program = "from pushrelay import run\nwith run('down'): print('done')"
    done = run_job(program, "http://127.0.0.1:1", tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n")
    [line] = done.stderr.splitlines()
    assert line.startswith("down: ")
    assert "no answer from http://127.0.0.1:1: " in line


def test_the_example_of_the_docs_reports_two_runs(tmp_path: Path) -> None:
    program = example_in("docs/library.md", "python")
    with NotingRelay() as server:
        done = run_job(program, server.url, tmp_path)
        assert (done.returncode, done.stdout) == (0, "importing\n"), done.stderr
        ends = server.ends()
    assert [end["job"] for end in ends] == ["nightly-report", "import"]
    assert "report_rows 3\n" in ends[0]["metrics"]


def test_all_that_may_be_said_is_documented() -> None:
    rows = table("library.md", "## What a job says of itself")
    documented = [word for row in rows for word in code_words(row[0])]
    assert sorted(documented) == sorted(inspect.signature(run).parameters)
    methods = {name for name in vars(JobRun) if not name.startswith("_")} - {"end"}
    shown = table("library.md", "## What a run says")
    words = {code_words(row[0])[0].partition("(")[0] for row in shown}
    assert words == {f"r.{name}" for name in (*methods, "run_id", "trace_id")}
