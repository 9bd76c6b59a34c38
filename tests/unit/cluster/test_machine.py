"""Trees of /proc, /sys and /dev as real machines and containers show them."""

import os

import pytest

from vidcompute.cluster.machine import detect
from vidcompute.domain.task import Resources

GIB = 2**30


@pytest.fixture
def machine(tmp_path):
    """A machine of 16 GiB without control groups; `write` adds files to it."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write("proc/meminfo", f"MemTotal:       {16 * GIB // 1024} kB\nMemFree: 1 kB\n")
    write.root = tmp_path
    return write


def test_bare_machine_gives_all_it_has(machine):
    assert detect(root=machine.root, cpus=8) == Resources(8.0, 0.0, 16 * GIB)


def test_affinity_of_this_process_counts(machine):
    assert detect(root=machine.root).cpu == len(os.sched_getaffinity(0))


def test_v2_quota_and_memory_limit_hold(machine):
    machine("proc/self/cgroup", "0::/\n")
    machine("sys/fs/cgroup/cpu.max", "150000 100000\n")
    machine("sys/fs/cgroup/memory.max", f"{2 * GIB}\n")

    assert detect(root=machine.root, cpus=8) == Resources(1.5, 0.0, 2 * GIB)


def test_v2_without_limits_gives_all(machine):
    machine("proc/self/cgroup", "0::/user.slice\n")
    machine("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n")
    machine("sys/fs/cgroup/user.slice/memory.max", "max\n")

    assert detect(root=machine.root, cpus=8) == Resources(8.0, 0.0, 16 * GIB)


def test_v2_limit_of_an_ancestor_holds(machine):
    machine("proc/self/cgroup", "0::/kube/pod/container\n")
    machine("sys/fs/cgroup/kube/pod/container/cpu.max", "max 100000\n")
    machine("sys/fs/cgroup/kube/pod/cpu.max", "200000 100000\n")
    machine("sys/fs/cgroup/kube/memory.max", f"{GIB}\n")

    assert detect(root=machine.root, cpus=8) == Resources(2.0, 0.0, GIB)


def test_v1_quota_and_memory_limit_hold(machine):
    machine("proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    machine("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "250000\n")
    machine("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n")
    machine("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", f"{3 * GIB}\n")

    assert detect(root=machine.root, cpus=8) == Resources(2.5, 0.0, 3 * GIB)


def test_v1_path_of_the_host_falls_back_to_what_is_mounted_here(machine):
    machine("proc/self/cgroup", "4:memory:/docker/abc\n")
    machine("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{GIB}\n")

    assert detect(root=machine.root, cpus=8).memory_bytes == GIB


def test_v1_without_limits_gives_all(machine):
    machine("proc/self/cgroup", "4:memory:/\n1:cpu:/\n")
    machine("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    machine("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    machine("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")

    assert detect(root=machine.root, cpus=8) == Resources(8.0, 0.0, 16 * GIB)


def test_hybrid_machine_takes_v2_limits_from_the_unified_mount(machine):
    machine("proc/self/cgroup", "1:cpu:/\n0::/app\n")
    machine("sys/fs/cgroup/unified/app/cpu.max", "50000 100000\n")

    assert detect(root=machine.root, cpus=8).cpu == 0.5


@pytest.mark.parametrize("text", ["", "garbage\n", "1 0\n", "x y\n"])
def test_nonsense_in_a_quota_is_no_limit(machine, text):
    machine("proc/self/cgroup", "0::/\n")
    machine("sys/fs/cgroup/cpu.max", text)

    assert detect(root=machine.root, cpus=8).cpu == 8.0


def test_path_that_climbs_out_of_the_mount_is_not_followed(machine):
    machine("proc/self/cgroup", "0::/../../elsewhere\n")
    machine("sys/elsewhere/cpu.max", "100000 100000\n")
    machine("sys/fs/cgroup/cpu.max", "300000 100000\n")

    assert detect(root=machine.root, cpus=8).cpu == 3.0


def test_visible_gpus_count_and_control_devices_do_not(machine):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-modeset"):
        machine(f"dev/{name}", "")

    assert detect(root=machine.root, cpus=8).gpu == 2.0


def test_this_machine_has_something():
    found = detect()

    assert found.cpu > 0
    assert found.memory_bytes > 2**26
