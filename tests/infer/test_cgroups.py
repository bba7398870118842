"""Files as the kernel's documentation shows them, in trees of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgqa_infer import cgroups, system
from dgqa_infer.cgroups import Limits

V2 = "25 20 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
ROOT_FS = "20 1 8:1 / / rw - ext4 /dev/sda1 rw"


def tree(root: Path, groups: str, mounts: list[str], files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text("\n".join([ROOT_FS, *mounts]) + "\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("cpu", "cores"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1000000 50000", 20),
        ("nonsense", None),
        ("", None),
        ("100000 0", None),
    ],
)
def test_the_quota_of_version_2_is_cores(tmp_path: Path, cpu: str, cores: int | None) -> None:
    root = tree(tmp_path, "0::/app\n", [V2], {"app/cpu.max": cpu})
    assert cgroups.limits(root) == Limits(cores, None)


def test_the_least_of_a_group_and_those_around_it_holds(tmp_path: Path) -> None:
    files = {
        "kubepods/cpu.max": "400000 100000",
        "kubepods/memory.max": "1000000000",
        "kubepods/pod/cpu.max": "100000 100000",
        "kubepods/pod/memory.max": "2000000000",
        "kubepods/pod/app/cpu.max": "max 100000",
        "kubepods/pod/app/memory.max": "max",
        "kubepods/pod/app/memory.high": "3000000000",
    }
    root = tree(tmp_path, "0::/kubepods/pod/app\n", [V2], files)
    assert cgroups.limits(root) == Limits(1, 1_000_000_000)


def test_the_soft_limit_of_version_2_holds_too(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/app\n", [V2], {"app/memory.high": "700000000", "app/memory.max": "900000000"})
    assert cgroups.limits(root).memory == 700_000_000


def test_a_container_with_a_name_space_of_its_own_sees_its_limits_at_the_top(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/\n", [V2], {"cpu.max": "300000 100000", "memory.max": "536870912"})
    assert cgroups.limits(root) == Limits(3, 536_870_912)


V1 = [
    "30 25 0:27 /docker/0123 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct",
    "31 25 0:28 /docker/0123 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
]
V1_GROUPS = "4:cpu,cpuacct:/docker/0123\n3:memory:/docker/0123\n1:name=systemd:/docker/0123\n"


def test_version_1_in_a_container_whose_group_alone_is_mounted(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "1073741824",
    }
    assert cgroups.limits(tree(tmp_path, V1_GROUPS, V1, files)) == Limits(3, 1_073_741_824)


def test_version_1_without_limits(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert cgroups.limits(tree(tmp_path, V1_GROUPS, V1, files)) == Limits(None, None)


def test_version_1_on_the_machine_itself_with_groups_around_it(tmp_path: Path) -> None:
    mounts = ["31 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"]
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/user/memory.limit_in_bytes": "2000000000",
        "memory/user/me/memory.limit_in_bytes": "4000000000",
    }
    assert cgroups.limits(tree(tmp_path, "3:memory:/user/me\n", mounts, files)).memory == 2_000_000_000


def test_both_versions_at_once(tmp_path: Path) -> None:
    mounts = [
        "25 20 0:22 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
        "31 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    ]
    files = {"memory/app/memory.limit_in_bytes": "800000000", "unified/app/cpu.max": "100000 100000"}
    assert cgroups.limits(tree(tmp_path, "3:memory:/app\n0::/app\n", mounts, files)) == Limits(1, 800_000_000)


def test_a_group_whose_name_leads_out_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/memory.max").write_text("1\n")
    root = tree(tmp_path, "0::/../x\n", [V2], {"memory.max": "500000000"})
    assert cgroups.limits(root).memory == 500_000_000


def test_a_system_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    assert cgroups.limits(tmp_path) == Limits(None, None)


def test_this_machine_has_cores_and_memory() -> None:
    assert 1 <= system.cores() <= system.visible_cores()
    memory = system.memory()
    assert memory is None or memory > 100_000_000


def test_a_container_s_limits_hold_for_what_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "limits", lambda: Limits(1, 300_000_000))
    assert (system.cores(), system.memory()) == (1, 300_000_000)
