#!/bin/sh
# Runs a command beside container engines of its own: `sh scripts/with-engines.sh npm test`.
# Starts dockerd and podman's service in a temporary folder, names their sockets in SLUICE_TEST_DOCKER and
# SLUICE_TEST_PODMAN, and ends both afterwards. One that is not installed, or cannot start, is left out with a line;
# with CI set that is a failure. Needs root. Debian has both: apt-get install docker.io podman
set -eu

dir=$(mktemp -d /tmp/sluice-engines.XXXXXX)
docker_pid= podman_pid=

end() { # pid: ends a process that was started here, and waits for it, ten seconds at the most
  [ -n "$1" ] && kill "$1" 2>/dev/null || return 0
  tries=0
  while kill -0 "$1" 2>/dev/null && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
  kill -9 "$1" 2>/dev/null || true
}
clean() {
  trap - EXIT INT TERM
  end "$docker_pid"
  end "$podman_pid"
  grep " $dir/" /proc/mounts | cut -d' ' -f2 | sort -r | while read -r mount; do umount -l "$mount"; done
  rm -rf "$dir" || echo "with-engines: $dir could not be removed" >&2
}
trap clean EXIT
trap 'clean; exit 130' INT TERM

missing() { # name package
  echo "with-engines: no $1 for the tests: $2" >&2
  [ -z "${CI:-}" ] || { cat "$dir"/*.log >&2 2>/dev/null; exit 1; }
}
answers() { # socket: waits until an engine answers, thirty seconds at the most
  tries=0
  while [ $tries -lt 150 ]; do
    [ -S "$1" ] && return 0
    tries=$((tries + 1)); sleep 0.2
  done
  return 1
}

if [ "$(id -u)" != 0 ]; then
  missing "container engines" "run this as root"
else
  if command -v dockerd >/dev/null 2>&1; then
    dockerd --data-root "$dir/docker" --exec-root "$dir/docker-exec" --pidfile "$dir/docker.pid" \
      -H "unix://$dir/docker.sock" --iptables=false --bridge=none >"$dir/docker.log" 2>&1 &
    docker_pid=$!
    if answers "$dir/docker.sock"; then export SLUICE_TEST_DOCKER="unix://$dir/docker.sock"
    else missing docker "dockerd did not start"; fi
  else missing docker "apt-get install docker.io"; fi

  if command -v podman >/dev/null 2>&1; then
    # Registries of the tests speak plain HTTP on loopback, which Docker allows by itself.
    printf '[[registry]]\nprefix = "127.0.0.1"\nlocation = "127.0.0.1"\ninsecure = true\n' >"$dir/registries.conf"
    # runc, because crun refuses a machine that has both kinds of cgroups. In the folder, because podman makes a file
    # `oom` where it was started when a container runs out of memory.
    (cd "$dir" && CONTAINERS_REGISTRIES_CONF="$dir/registries.conf" exec podman --root "$dir/podman" --runroot "$dir/podman-run" --tmpdir "$dir/podman-tmp" --runtime runc \
      --cgroup-manager=cgroupfs --events-backend file --network-config-dir "$dir/podman-net" \
      system service --time=0 "unix://$dir/podman.sock") >"$dir/podman.log" 2>&1 &
    podman_pid=$!
    if answers "$dir/podman.sock"; then export SLUICE_TEST_PODMAN="unix://$dir/podman.sock"
    else missing podman "podman system service did not start"; fi
  else missing podman "apt-get install podman runc"; fi
fi

status=0
"$@" || status=$?
exit $status
