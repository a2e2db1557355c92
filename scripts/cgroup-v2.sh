#!/bin/sh
# Tests what builds on control groups under a kernel that has nothing but cgroup v2: `sh scripts/cgroup-v2.sh`,
# or with a command of yours to run there instead. Not a part of CI: emulated, it takes many minutes. Needs root, the
# packages below, and one that is only fetched, never installed: Debian's kernel. The virtual machine sees this one's
# files, which it cannot change, and no network; it has thirty minutes.
#   apt-get install --no-install-recommends qemu-system-x86 busybox-static cpio bubblewrap gcc libc6-dev
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
limit=1800
for program in qemu-system-x86_64 busybox cpio bwrap gcc; do
  command -v "$program" >/dev/null || { echo "cgroup-v2: no $program: install the packages that this script names" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "cgroup-v2: run this as root" >&2; exit 1; }
sh "$root/scripts/setup.sh"

dir=$(mktemp -d /tmp/sluice-cgroup-v2.XXXXXX)
qemu_pid=
clean() {
  trap - EXIT INT TERM
  [ -z "$qemu_pid" ] || kill "$qemu_pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean EXIT
trap 'clean; exit 130' INT TERM

kernel() { # leaves the newest kernel in $dir/kernel
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
  echo "cgroup-v2: fetching $package"
  (cd "$dir" && apt-get -q -o APT::Sandbox::User=root download "$package")
  dpkg-deb -x "$dir/$package"_*.deb "$dir/kernel"
}

# In the order in which they need one another.
modules='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p overlay'

initramfs() { # what mounts this machine's files and goes on in them: $dir/initramfs
  base=$dir/base
  mkdir -p "$base/bin" "$base/modules" "$base/dev" "$base/proc" "$base/root"
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
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=524288 host /root
mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/run/var /root/run/work
mount -t overlay -o lowerdir=/root/var,upperdir=/root/run/var,workdir=/root/run/work var /root/var
mount -t tmpfs -o mode=1777 tmp /root/tmp
cp /guest /command /root/run/
exec switch_root /root /bin/sh /run/guest
END
  cp "$dir/guest" "$dir/command" "$base/"
  chmod 755 "$base/init"
  (cd "$base" && find . | cpio -o -H newc --quiet) >"$dir/initramfs"
}

# What the virtual machine does. Its second serial port takes the exit code.
cat >"$dir/guest" <<END
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
busybox ip link set lo up
ulimit -c 0
cd $root
export HOME=/tmp TMPDIR=/tmp CI=1
export PATH=$root/toolchain/node_modules/.bin:$root/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo "cgroup-v2: Linux \$(uname -r), node \$(node --version), controllers: \$(cat /sys/fs/cgroup/cgroup.controllers)"
sh /run/command </dev/null
echo \$? >/dev/ttyS1
busybox poweroff -f
END

if [ $# -gt 0 ]; then printf '%s\n' "$*" >"$dir/command"; else cat >"$dir/command" <<'END'; fi
echo TODO
END

kernel
initramfs
echo "cgroup-v2: starting a virtual machine"
# With KVM where there is, which takes a tenth of the time.
nice -n 10 qemu-system-x86_64 -accel kvm -accel tcg -cpu max,la57=off -smp 1 -m 2G -no-reboot -display none -monitor none -nic none \
  -kernel "$dir"/kernel/boot/vmlinuz-* -initrd "$dir/initramfs" -append 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all' \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -chardev stdio,id=console,signal=off -serial chardev:console -serial "file:$dir/status" </dev/null &
qemu_pid=$!
wait $qemu_pid
cat $dir/status
