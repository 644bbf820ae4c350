"""Luigi with file targets, the scheduler in the process, one worker without multiprocessing."""

# Luigi is annotated in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from pathlib import Path

import luigi
from measuring import Reading, peak_rss_mb, timed
from shapes import STEPS_PER_RUN

_SETTINGS = "one file per step, renamed, never fsynced"


class Link(luigi.Task):
    """One step of a chain: its file says that it is done."""

    folder = luigi.Parameter()
    run_name = luigi.Parameter()
    index = luigi.IntParameter()

    def requires(self) -> list[luigi.Task]:
        return [self.clone(index=self.index - 1)] if self.index else []

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(f"{self.folder}/{self.run_name}-{self.index}")

    def run(self) -> None:
        _touch(self.output())


class Leaf(luigi.Task):
    """One of the thousand in the middle."""

    folder = luigi.Parameter()
    index = luigi.IntParameter()

    def requires(self) -> luigi.Task:
        return Link(folder=self.folder, run_name="root", index=0)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(f"{self.folder}/leaf-{self.index}")

    def run(self) -> None:
        _touch(self.output())


class Join(luigi.Task):
    """The one that needs all leaves."""

    folder = luigi.Parameter()
    n = luigi.IntParameter()

    def requires(self) -> list[luigi.Task]:
        return [Leaf(folder=self.folder, index=index) for index in range(self.n)]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(f"{self.folder}/join")

    def run(self) -> None:
        _touch(self.output())


def chain(n: int, folder: Path) -> Reading:
    with timed() as watch:
        _build(Link(folder=str(folder), run_name="chain", index=n - 1))
    return Reading(n, watch.seconds, peak_rss_mb(), _SETTINGS)


def fan(n: int, folder: Path) -> Reading:
    with timed() as watch:
        _build(Join(folder=str(folder), n=n))
    return Reading(n + 2, watch.seconds, peak_rss_mb(), _SETTINGS)


def runs(n: int, folder: Path) -> Reading:
    with timed() as watch:
        for run in range(n):
            _build(Link(folder=str(folder), run_name=f"run{run}", index=STEPS_PER_RUN - 1))
    return Reading(n, watch.seconds, peak_rss_mb(), _SETTINGS)


def _build(task: luigi.Task) -> None:
    done = luigi.build([task], local_scheduler=True, workers=1, log_level="ERROR")
    assert done
    assert task.complete()


def _touch(target: luigi.LocalTarget) -> None:
    with target.open("w"):
        pass


SUBJECTS = {"luigi-chain": chain, "luigi-fan": fan, "luigi-runs": runs}
