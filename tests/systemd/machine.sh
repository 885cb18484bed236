# shellcheck shell=bash
# Sourced by tests/systemd/run: a Debian system with a real systemd as its first process, in
# namespaces of its own (systemd-nspawn), with nothing but a loopback device for a network.

machine=$scratch/machine
machine_pid=

# Mounts an overlay over the cached system, so that each run begins with the same, and boots it.
# Hosts whose own first process is no systemd, or that mount the old control groups, get the new
# ones in a mount namespace.
machine_boot() {
    local rootfs
    rootfs=$(bash tests/systemd/rootfs) || left_out "there is no Debian system to boot"
    mkdir -p "$machine" "$scratch/upper" "$scratch/work"
    cat >"$scratch/boot" <<END
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$scratch/upper"
mkdir "$scratch/upper/upper" "$scratch/upper/work"
mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$scratch/upper/upper,workdir=$scratch/upper/work" "$machine"
if [ "\$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mkdir -p "/sys/fs/cgroup/$machine_name"
echo \$\$ >"/sys/fs/cgroup/$machine_name/cgroup.procs"
exec systemd-nspawn --quiet --directory="$machine" --machine="$machine_name" --boot \
    --register=no --keep-unit --private-network --console=pipe --link-journal=no \
    --bind-ro="$scratch/shared:/shared"
END
    mkdir -p "$scratch/shared"
    start "$scratch/boot.log" unshare --mount bash "$scratch/boot"
    nspawn=$started
    wait_for 30 "machine" machine_find
    wait_for 60 "booted machine" machine_is_up
}

machine_name=credvend-$$

machine_find() {
    # unshare and bash become systemd-nspawn itself; the machine's first process is its child.
    machine_pid=$(pgrep -P "$nspawn" -x systemd | head -n 1)
    [ -n "$machine_pid" ]
}

machine_is_up() {
    case $(in_machine systemctl is-system-running 2>/dev/null) in
    running | degraded) true ;;
    *) false ;;
    esac
}

# in_machine COMMAND…
in_machine() {
    nsenter --target "$machine_pid" --mount --uts --ipc --net --pid --cgroup --root --wd -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root "$@"
}

# on_network COMMAND…: one of the host's, on the machine's network.
on_network() { nsenter --target "$machine_pid" --net -- "$@"; }

# What the machine's files are called from outside.
inside() { printf '/proc/%s/root%s' "$machine_pid" "$1"; }

machine_halt() {
    [ -n "$machine_pid" ] || return 0
    kill -s SIGRTMIN+4 "$machine_pid" 2>/dev/null || true # power off
    wait "$nspawn" 2>/dev/null || true
    rmdir "/sys/fs/cgroup/$machine_name" "/sys/fs/cgroup/unified/$machine_name" 2>/dev/null || true
}
