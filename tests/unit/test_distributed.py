import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment

from mri_cyclegan import distributed, slurm

VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "NODE_RANK",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_STEP_ID",
    "SLURM_JOB_NAME",
)


@pytest.fixture
def environment(monkeypatch):
    """Set what launchers set, and nothing else."""

    def replace(terminal=False, **variables):
        monkeypatch.setattr(slurm, "has_terminal", lambda: terminal)
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    replace()
    return replace


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),  # torchrun, the first of the second host
        ({"RANK": "0", "SLURM_PROCID": "3"}, True),  # torchrun within SLURM
        ({"NODE_RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "10"}, False),
    ],
)
def test_launchers_tell_which_process_is_first(environment, variables, expected):
    environment(**variables)
    assert distributed.is_rank_zero() is expected


def test_a_further_process_has_a_folder_that_goes_away(environment):
    with distributed.rank_overrides() as words:
        assert words == []
    environment(RANK="1")
    with distributed.rank_overrides() as words:
        key, _, folder = words[0].partition("=")
        folder = folder.strip("'")
        assert key == "hydra.run.dir"
        assert distributed.os.path.isdir(folder)
        assert "hydra.output_subdir=null" in words
    assert not distributed.os.path.exists(folder)


@pytest.mark.parametrize(
    ("variables", "world_size", "fits"),
    [
        ({}, 1, True),
        ({}, 2, True),  # Lightning starts them
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, 2, True),
        ({"RANK": "0", "WORLD_SIZE": "4"}, 4, True),
        ({"RANK": "0", "WORLD_SIZE": "4"}, 1, False),
        ({"RANK": "0", "WORLD_SIZE": "2", "SLURM_NTASKS": "1", "SLURM_STEP_ID": "0"}, 2, True),
        ({"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0"}, 8, True),
        ({"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0"}, 4, False),
        ({"SLURM_NTASKS": "1", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "bash"}, 4, True),
        ({"SLURM_NTASKS": "8"}, 1, True),  # a batch script that starts python without srun
        ({"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "bash"}, 4, False),  # srun within a shell
        ({"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "terminal": True}, 1, True),  # srun --pty
        ({"SLURM_NTASKS": "8", "SLURM_STEP_ID": "4294967290"}, 4, True),  # salloc
    ],
)
def test_launcher_and_trainer_must_count_alike(environment, variables, world_size, fits):
    environment(**variables)
    trainer = SimpleNamespace(world_size=world_size)
    if fits:
        distributed.check_world_size(trainer)
    else:
        with pytest.raises(ValueError, match=f"trainer.devices.*trainer.num_nodes: expected .*got {world_size}"):
            distributed.check_world_size(trainer)


TASK = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}


@pytest.mark.parametrize("name", ["bash", "interactive", "my shell"])
def test_lightning_is_told_who_started_the_processes_whatever_a_job_is_called(environment, name):
    def told(**variables):
        environment(SLURM_JOB_NAME=name, **variables)
        cluster = slurm.environment(num_nodes=1)
        trainer = pl.Trainer(accelerator="cpu", devices=2, logger=False, plugins=[] if cluster is None else [cluster])
        distributed.check_world_size(trainer)
        return type(trainer.strategy.cluster_environment)

    for shell in ({}, {"terminal": True, **TASK}, {**TASK, "SLURM_STEP_ID": "4294967290"}):
        assert told(SLURM_NTASKS="4", **shell) is LightningEnvironment
    assert told(SLURM_NTASKS="2", SLURM_NTASKS_PER_NODE="2", **TASK) is SLURMEnvironment
    assert told() is LightningEnvironment


def test_what_slurm_can_not_do_is_told_with_the_way_out(environment):
    environment(SLURM_NTASKS="4", **TASK)
    with pytest.raises(ValueError, match="srun started 4 processes.* --ntasks-per-node"):
        slurm.environment(num_nodes=2)
    environment(SLURM_NTASKS="2", terminal=True)
    with pytest.raises(ValueError, match=r"trainer.num_nodes=2: .*Put srun before the command"):
        slurm.environment(num_nodes=2)
    environment(SLURM_NTASKS="1")
    assert slurm.environment(num_nodes=1) is None
    environment(SLURM_NTASKS="2", RANK="0")
    assert slurm.environment(num_nodes=2) is None, "torchrun counts for itself"


@pytest.mark.parametrize(("local_rank", "expected"), [(0, ["prepared"]), (1, [])])
def test_with_lightnings_launcher_the_first_prepares_before_there_are_others(local_rank, expected):
    done = []
    strategy = SimpleNamespace(cluster_environment=LightningEnvironment())
    trainer = SimpleNamespace(world_size=2, local_rank=local_rank, strategy=strategy)
    distributed.run_on_rank_zero_first(trainer, lambda: done.append("prepared"))
    assert done == expected


class Hosts:
    """Two hosts with two processes each, of which this is one; the others prepare without mishap, or as told."""

    def __init__(self, monkeypatch, rank, failures=({}, {})):
        self.calls, self.turn, self.rank = [], 0, rank
        self.failures = failures
        import torch.distributed as dist

        for name in ("new_group", "all_gather_object", "barrier", "destroy_process_group"):
            monkeypatch.setattr(dist, name, getattr(self, name))
        self.trainer = SimpleNamespace(
            world_size=4,
            local_rank=rank % 2,
            is_global_zero=rank == 0,
            strategy=SimpleNamespace(setup_environment=lambda: self.calls.append("join")),
        )

    def new_group(self, **options):
        return "group"

    def all_gather_object(self, messages, own, group):
        self.calls.append("exchange")
        for rank in range(4):
            messages[rank] = own if rank == self.rank else self.failures[self.turn].get(rank)
        self.turn += 1

    def barrier(self, group):
        self.calls.append("wait")
        raise RuntimeError("Connection closed by peer")

    def destroy_process_group(self, group):
        self.calls.append("done")

    def prepare(self):
        self.calls.append("prepare")


@pytest.mark.parametrize(
    ("rank", "expected"),
    [
        (0, ["join", "prepare", "exchange", "exchange", "done"]),
        (1, ["join", "exchange", "exchange", "done"]),
        (2, ["join", "exchange", "prepare", "exchange", "done"]),
        (3, ["join", "exchange", "exchange", "done"]),
    ],
)
def test_one_process_of_each_host_prepares_the_first_before_all_others(monkeypatch, rank, expected):
    hosts = Hosts(monkeypatch, rank)
    distributed.run_on_rank_zero_first(hosts.trainer, hosts.prepare)
    assert hosts.calls == expected


def test_the_first_process_tells_what_failed_elsewhere(monkeypatch):
    hosts = Hosts(monkeypatch, 0, ({}, {2: "OSError: disk full"}))
    with pytest.raises(ValueError, match=r"Process 2 could not prepare the data\. OSError: disk full"):
        distributed.run_on_rank_zero_first(hosts.trainer, hosts.prepare)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_others_end_when_the_first_failed_and_is_gone(monkeypatch, rank):
    hosts = Hosts(monkeypatch, rank, ({0: "UnfitData: all"}, {}))
    with pytest.raises(SystemExit) as stop:
        distributed.run_on_rank_zero_first(hosts.trainer, hosts.prepare)
    assert stop.value.code == 1
    assert hosts.calls == ["join", "exchange", "wait"]


def test_its_own_failure_is_raised_as_it_is(monkeypatch):
    hosts = Hosts(monkeypatch, 0)

    def prepare():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        distributed.run_on_rank_zero_first(hosts.trainer, prepare)
    assert hosts.calls == ["join", "exchange"], "the others are told first"


def test_children_that_do_not_end_are_killed():
    ended, waiting = (subprocess.Popen([sys.executable, "-c", code]) for code in ("", "import time; time.sleep(60)"))
    ended.wait()
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=SimpleNamespace(procs=[ended, waiting])))
    distributed.end_child_ranks(trainer, patience_s=0.1)
    assert waiting.wait(5) == -signal.SIGKILL
    assert ended.returncode == 0


def test_a_single_process_has_no_children():
    distributed.end_child_ranks(SimpleNamespace(strategy=SimpleNamespace(launcher=None)))


def test_the_command_names_itself_to_processes_that_it_starts(monkeypatch):
    """``mri-cyclegan train`` has no file of that name to start again."""
    from mri_cyclegan import __main__, train

    main_module = SimpleNamespace(__spec__=None)
    monkeypatch.setitem(sys.modules, "__main__", main_module)
    monkeypatch.setattr(sys, "argv", ["mri-cyclegan", "train", "seed=1"])
    monkeypatch.setattr(train, "main", lambda: None)
    __main__.main()
    assert main_module.__spec__.name == "mri_cyclegan.train"
