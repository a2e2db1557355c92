#!/bin/sh
# Tests what builds on control groups under a kernel that has cgroup v2 and nothing else: `sh scripts/cgroup-v2.sh`, or
# with a command to run there instead. Not a part of CI: emulated, it takes a quarter of an hour. Needs root and an
# x86 Debian with the packages below; the newest kernel of that Debian is fetched besides, and never installed. The
# virtual machine sees the files of this one, which it cannot change, and no network; it has thirty minutes.
#   apt-get install --no-install-recommends qemu-system-x86 busybox-static cpio bubblewrap gcc libc6-dev
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
say() { echo "cgroup-v2: $*" >&2; }

[ "$(id -u)" = 0 ] || { say "run this as root"; exit 1; }
for program in qemu-system-x86_64 busybox cpio bwrap gcc apt-get; do
  command -v "$program" >/dev/null || { say "no $program: install the packages that this script names"; exit 1; }
done
sh "$root/scripts/setup.sh"

dir=$(mktemp -d /tmp/sluice-cgroup-v2.XXXXXX)
machine_pid=
clean() {
  trap - EXIT INT TERM
  if [ -n "$machine_pid" ]; then kill "$machine_pid" 2>/dev/null && wait "$machine_pid" || true; fi
  rm -rf "$dir"
}
trap clean EXIT
trap 'clean; exit 130' INT TERM

# What is run there by itself. A node's group may be the first of all, a service's own, or one with others in it.
commands() {
  cat <<'END'
status=0
tests() { node --test --test-timeout=600000 "$@" || status=1; }
groups=/sys/fs/cgroup
hand_down() { mkdir -p "$1"; echo "+memory +cpu +pids +io" >"$1/cgroup.subtree_control"; }
enter() { mkdir -p "$1"; echo $$ >"$1/cgroup.procs"; }

echo "cgroup-v2: control groups, sandbox and escapes, from the root of the tree"
tests "src/drivers/cgroup/*.test.ts"
tests src/drivers/sandbox/sandbox.contract.test.ts src/drivers/sandbox/sandbox.test.ts
# Less those that make a nameless file in an overlay, which this kernel cannot do outside of a sandbox either.
tests --test-skip-pattern='/^a new file in \/(bin|etc|lib|lib64)?$/' "test/escapes/*.test.ts"

hand_down $groups
hand_down $groups/system.slice
echo "cgroup-v2: control groups, in a service"
enter $groups/system.slice/node.service
tests src/drivers/cgroup/cgroup.test.ts

hand_down $groups/user.slice
echo "cgroup-v2: control groups, in a session beside others"
enter $groups/user.slice/session.scope
sleep 3600 &
tests src/drivers/cgroup/cgroup.test.ts
exit $status
END
}

fetch_kernel() { # into $dir/kernel
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || { say "no kernel is known here: apt-get update"; exit 1; }
  say "fetching $package"
  (cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download "$package")
  dpkg-deb -x "$dir/$package"_*.deb "$dir/kernel"
}

# In the order in which they need one another; a kernel may have some of them built in.
modules='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p overlay'

make_initramfs() { # what mounts this machine's files, so that changes stay in memory, and goes on in them
  base=$dir/base
  mkdir -p "$base/bin" "$base/changes" "$base/dev" "$base/host" "$base/modules" "$base/root"
  cp "$(command -v busybox)" "$base/bin/busybox"
  for module in $modules; do
    find "$dir/kernel/lib/modules" -name "$module.ko" -exec cp {} "$base/modules/" \;
  done
  cat >"$base/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
for module in $modules; do
  [ ! -e /modules/\$module.ko ] || insmod /modules/\$module.ko
done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
mount -t tmpfs changes /changes
mkdir -m 755 /changes/files /changes/work
mount -t overlay -o lowerdir=/host,upperdir=/changes/files,workdir=/changes/work root /root
mount -t tmpfs -o mode=755 run /root/run
mount -t tmpfs -o mode=1777 tmp /root/tmp
cp /guest /commands /root/run/
exec switch_root /root /bin/sh /run/guest
END
  chmod 755 "$base/init"
  make_guest >"$base/guest"
  if [ $# -gt 0 ]; then echo "$*"; else commands; fi >"$base/commands"
  (cd "$base" && find . | cpio -o -H newc --quiet) >"$dir/initramfs"
}

make_guest() { # the first process, once the files are there; the second serial port takes the exit code
  cat <<END
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
busybox ip link set lo up
cd "$root"
export HOME=/root CI=1
export PATH="$root/toolchain/node_modules/.bin:$root/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
echo "cgroup-v2: Linux \$(uname -r), Node \$(node --version), controllers \$(cat /sys/fs/cgroup/cgroup.controllers)"
sh /run/commands </dev/null
echo \$? >/dev/ttyS1
busybox poweroff -f
END
}

run_machine() {
  if [ -w /dev/kvm ]; then accel=kvm; else accel=tcg; fi
  say "starting a virtual machine, by $accel"
  nice -n 10 timeout -k 10 1800 qemu-system-x86_64 -accel $accel -cpu max,la57=off -smp 1 -m 2G \
    -no-reboot -display none -monitor none -nic none \
    -kernel "$dir"/kernel/boot/vmlinuz-* -initrd "$dir/initramfs" \
    -append 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all' \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    -chardev stdio,id=console,signal=off -serial chardev:console -serial "file:$dir/status" </dev/null &
  machine_pid=$!
  wait "$machine_pid" || say "the virtual machine ended with $?, where 124 is its limit of time"
  machine_pid=
}

fetch_kernel
make_initramfs "$@"
run_machine
status=$(tr -dc 0-9 <"$dir/status")
exit "${status:-1}"
