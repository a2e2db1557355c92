/*
 * Which system calls a sandbox may make, as a classic BPF program: an allow list, after the container engines' default
 * profile (docs/decisions/004-seccomp-allow-list.md). Rows are `name x64 arm64`, `-` where an architecture has none.
 */

type Arch = 'x64' | 'arm64'

/** Name → number, by `process.arch`. */
type Calls = Readonly<Record<Arch, Readonly<Record<string, number>>>>

/**
 * Allowed whatever the arguments. What is in no list answers ENOSYS, so that a libc falls back to an older call.
 * Among them are watches on files: those of the runtime are everybody's, and would tell when others start.
 */
export const ALLOWED_CALLS: Calls = table(`
  accept 43 202, accept4 288 242, access 21 -, alarm 37 -, arch_prctl 158 -, bind 49 200, brk 12 214,
  cachestat 451 451, capget 125 90, capset 126 91, chdir 80 49, chmod 90 -, chown 92 -,
  clock_getres 229 114, clock_gettime 228 113, clock_nanosleep 230 115, close 3 57, close_range 436 436,
  connect 42 203, copy_file_range 326 285, creat 85 -, dup 32 23, dup2 33 -, dup3 292 24,
  epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21, epoll_pwait 281 22, epoll_pwait2 441 441,
  epoll_wait 232 -, eventfd 284 -, eventfd2 290 19, execve 59 221, execveat 322 281, exit 60 93,
  exit_group 231 94, faccessat 269 48, faccessat2 439 439, fallocate 285 47,
  fchdir 81 50, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, fchown 93 55, fchownat 260 54,
  fdatasync 75 83, fgetxattr 193 10, flistxattr 196 13, flock 73 32, fork 57 -,
  fremovexattr 199 16, fsetxattr 190 7, fstat 5 80, fstatfs 138 44, fsync 74 82, ftruncate 77 46,
  futex 202 98, futex_requeue 456 456, futex_wait 455 455, futex_waitv 449 449, futex_wake 454 454,
  futimesat 261 -, get_robust_list 274 100, getcpu 309 168, getcwd 79 17, getdents 78 -,
  getdents64 217 61, getegid 108 177, geteuid 107 175, getgid 104 176, getgroups 115 158,
  getitimer 36 102, getpeername 52 205, getpgid 121 155, getpgrp 111 -, getpid 39 172, getppid 110 173,
  getpriority 140 141, getrandom 318 278, getresgid 120 150, getresuid 118 148, getrlimit 97 163,
  getrusage 98 165, getsid 124 156, getsockname 51 204, getsockopt 55 209, gettid 186 178,
  gettimeofday 96 169, getuid 102 174, getxattr 191 8, getxattrat 464 464,
  io_cancel 210 3, io_destroy 207 1,
  io_getevents 208 4, io_pgetevents 333 292, io_setup 206 0, io_submit 209 2, ioprio_get 252 31,
  ioprio_set 251 30, kill 62 129, landlock_add_rule 445 445, landlock_create_ruleset 444 444,
  landlock_restrict_self 446 446, lchown 94 -, lgetxattr 192 9, link 86 -, linkat 265 37, listen 50 201,
  listxattr 194 11, listxattrat 465 465, llistxattr 195 12, lremovexattr 198 15, lseek 8 62,
  lsetxattr 189 6, lstat 6 -, madvise 28 233, map_shadow_stack 453 453, membarrier 324 283,
  memfd_create 319 279, mincore 27 232, mkdir 83 -, mkdirat 258 34, mknod 133 -, mknodat 259 33,
  mlock 149 228, mlock2 325 284, mlockall 151 230, mmap 9 222, mprotect 10 226, mq_getsetattr 245 185,
  mq_notify 244 184, mq_open 240 180, mq_timedreceive 243 183, mq_timedsend 242 182, mq_unlink 241 181,
  mremap 25 216, mseal 462 462, msgctl 71 187, msgget 68 186, msgrcv 70 188, msgsnd 69 189, msync 26 227,
  munlock 150 229, munlockall 152 231, munmap 11 215, nanosleep 35 101, newfstatat 262 79, open 2 -,
  openat 257 56, openat2 437 437, pause 34 -, pidfd_open 434 434, pidfd_send_signal 424 424, pipe 22 -,
  pipe2 293 59, pkey_alloc 330 289, pkey_free 331 290, pkey_mprotect 329 288, poll 7 -, ppoll 271 73,
  prctl 157 167, pread64 17 67, preadv 295 69, preadv2 327 286,   process_mrelease 448 448, pselect6 270 72, pwrite64 18 68, pwritev 296 70, pwritev2 328 287, read 0 63,
  readahead 187 213, readlink 89 -, readlinkat 267 78, readv 19 65, recvfrom 45 207, recvmmsg 299 243,
  recvmsg 47 212, remap_file_pages 216 234, removexattr 197 14, removexattrat 466 466, rename 82 -,
  renameat 264 38, renameat2 316 276, restart_syscall 219 128, rmdir 84 -, rseq 334 293,
  rt_sigaction 13 134, rt_sigpending 127 136, rt_sigprocmask 14 135, rt_sigqueueinfo 129 138,
  rt_sigreturn 15 139, rt_sigsuspend 130 133, rt_sigtimedwait 128 137, rt_tgsigqueueinfo 297 240,
  sched_get_priority_max 146 125, sched_get_priority_min 147 126, sched_getaffinity 204 123,
  sched_getattr 315 275, sched_getparam 143 121, sched_getscheduler 145 120,
  sched_rr_get_interval 148 127, sched_setaffinity 203 122, sched_setattr 314 274, sched_setparam 142 118,
  sched_setscheduler 144 119, sched_yield 24 124, seccomp 317 277, select 23 -, semctl 66 191,
  semget 64 190, semop 65 193, semtimedop 220 192, sendfile 40 71, sendmmsg 307 269, sendmsg 46 211,
  sendto 44 206, set_robust_list 273 99, set_tid_address 218 96, setfsgid 123 152, setfsuid 122 151,
  setgid 106 144, setgroups 116 159, setitimer 38 103, setpgid 109 154, setpriority 141 140,
  setregid 114 143, setresgid 119 149, setresuid 117 147, setreuid 113 145,   setsid 112 157, setsockopt 54 208, setuid 105 146, setxattr 188 5, setxattrat 463 463, shmat 30 196,
  shmctl 31 195, shmdt 67 197, shmget 29 194, shutdown 48 210, sigaltstack 131 132, signalfd 282 -,
  signalfd4 289 74, splice 275 76, stat 4 -, statfs 137 43, statx 332 291, symlink 88 -, symlinkat 266 36,
  sync 162 81, sync_file_range 277 84, syncfs 306 267, sysinfo 99 179, tee 276 77, tgkill 234 131,
  time 201 -, timer_create 222 107, timer_delete 226 111, timer_getoverrun 225 109, timer_gettime 224 108,
  timer_settime 223 110, timerfd_create 283 85, timerfd_gettime 287 87, timerfd_settime 286 86,
  times 100 153, tkill 200 130, truncate 76 45, umask 95 166, uname 63 160, unlink 87 -, unlinkat 263 35,
  utime 132 -, utimensat 280 88, utimes 235 -, vfork 58 -, wait4 61 260, waitid 247 95, write 1 64,
  writev 20 66`)

/**
 * Answer EPERM whatever the arguments: what changes or shows the machine beyond the sandbox (mounts, namespaces, other processes' memory,
 * modules, clocks, swap, handles of files), and large rarely used doors into the kernel (bpf, perf, io_uring,
 * userfaultfd, keyrings, local descriptor tables, vmsplice, memory policies, secret memory).
 */
export const DENIED_CALLS: Calls = table(`
  _sysctl 156 -, acct 163 89, add_key 248 217, adjtimex 159 171, bpf 321 280, chroot 161 51,
  clock_adjtime 305 266, clock_settime 227 112, create_module 174 -, delete_module 176 106,
  fanotify_init 300 262, fanotify_mark 301 263, finit_module 313 273, fsconfig 431 431, fsmount 432 432,
  fsopen 430 430, fspick 433 433, get_kernel_syms 177 -, get_mempolicy 239 236, init_module 175 105,
  io_uring_enter 426 426, io_uring_register 427 427, io_uring_setup 425 425, ioperm 173 -, iopl 172 -,
  kcmp 312 272, kexec_file_load 320 294, kexec_load 246 104, keyctl 250 219, lookup_dcookie 212 18,
  mbind 237 235, memfd_secret 447 447, migrate_pages 256 238, modify_ldt 154 -, mount 165 40,
  mount_setattr 442 442, move_mount 429 429, move_pages 279 239, name_to_handle_at 303 264,
  nfsservctl 180 42, open_by_handle_at 304 265, open_tree 428 428, open_tree_attr 467 467,
  perf_event_open 298 241, pidfd_getfd 438 438, pivot_root 155 41, process_madvise 440 440,
  process_vm_readv 310 270, process_vm_writev 311 271, ptrace 101 117, query_module 178 -,
  quotactl 179 60, quotactl_fd 443 443, reboot 169 142, request_key 249 218, set_mempolicy 238 237,
  set_mempolicy_home_node 450 450, setdomainname 171 162, sethostname 170 161, setns 308 268,
  settimeofday 164 170, swapoff 168 225, swapon 167 224, sysfs 139 -, syslog 103 116, umount2 166 39,
  unshare 272 97, uselib 134 -, userfaultfd 323 282, ustat 136 -, vhangup 153 58, vmsplice 278 75`)

/** By their arguments, see {@link conditions}. */
const CONDITIONAL = table(
  'clone 56 220, clone3 435 435, fadvise64 221 223, fcntl 72 25, ioctl 16 29, personality 135 92, ' +
    'prlimit64 302 261, setrlimit 160 164, socket 41 198, socketpair 53 199',
)

/**
 * A program of `struct sock_filter`s (8 bytes each, little endian) over `struct seccomp_data`: the form that
 * `bwrap --seccomp` reads.
 * @param arch as `process.arch` has it
 * @returns undefined for an architecture without a table
 */
export function seccompFilter(arch: string): Uint8Array | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined
  return assemble([
    load(ARCH_OFFSET),
    jump(JEQ, AUDIT_ARCH[arch], 1, 0),
    give(KILL_PROCESS),
    load(NR_OFFSET),
    // The x32 calls share x64's architecture and come with this bit.
    ...(arch === 'x64' ? [jump(JGE, X32_BIT, 0, 1), give(errno(EPERM))] : []),
    ...conditions(CONDITIONAL[arch]),
    ...oneOf(Object.values(ALLOWED_CALLS[arch]), ALLOW),
    ...oneOf(Object.values(DENIED_CALLS[arch]), errno(EPERM)),
    give(errno(ENOSYS)),
  ])
}

/** Of `struct seccomp_data`: the number, the architecture, and the lower half of an argument. */
const NR_OFFSET = 0
const ARCH_OFFSET = 4
const argument = (index: number): number => 16 + 8 * index

const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
const X32_BIT = 0x40000000

const KILL_PROCESS = 0x80000000
const ALLOW = 0x7fff0000
const errno = (code: number): number => 0x00050000 | code

const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97

/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. NEWTIME is for clone3 and unshare only. */
const CLONE_NAMESPACES = 0x7e020000

/** Both put characters into a terminal's input, as if its user had typed them. */
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c

/** Takes a file out of the page cache: the runtime's is everybody's, and comes from the disk again for everybody. */
const POSIX_FADV_DONTNEED = 4

/** Limits are a function's own to lower, but that of core files stays none: they are written outside. */
const RLIMIT_CORE = 4

/** A watch on a folder, from before inotify. */
const F_NOTIFY = 1026

/** The plain personality, and the question which one it is. Others switch off address randomization. */
const PERSONALITIES = [0, 0xffffffff]

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const AF_NETLINK = 16
const NETLINK_ROUTE = 0

/**
 * The kernel reads these arguments as 32 bits (flags of clone: its higher half means nothing), so their lower
 * halves decide.
 */
function conditions(calls: Readonly<Record<string, number>>): Instruction[] {
  const on = (name: string, then: readonly Instruction[]): Instruction[] => [
    jump(JEQ, calls[name] as number, 0, then.length),
    ...then,
  ]
  return [
    // Its flags are in memory, where a filter cannot look. With ENOSYS a libc uses clone.
    ...on('clone3', [give(errno(ENOSYS))]),
    ...on('clone', [load(argument(0)), jump(JSET, CLONE_NAMESPACES, 0, 1), give(errno(EPERM)), give(ALLOW)]),
    ...on('fadvise64', [load(argument(3)), ...oneOf([POSIX_FADV_DONTNEED], errno(EPERM)), give(ALLOW)]),
    ...on('fcntl', [load(argument(1)), ...oneOf([F_NOTIFY], errno(EPERM)), give(ALLOW)]),
    ...on('ioctl', [load(argument(1)), ...oneOf([TIOCSTI, TIOCLINUX], errno(EPERM)), give(ALLOW)]),
    ...on('personality', [load(argument(0)), ...oneOf(PERSONALITIES, ALLOW), give(errno(EPERM))]),
    ...on('prlimit64', [
      load(argument(1)),
      jump(JEQ, RLIMIT_CORE, 1, 0),
      give(ALLOW),
      // Without a new limit it only asks.
      load(argument(2)),
      jump(JEQ, 0, 0, 3),
      load(argument(2) + 4),
      jump(JEQ, 0, 0, 1),
      give(ALLOW),
      give(errno(EPERM)),
    ]),
    ...on('setrlimit', [load(argument(0)), ...oneOf([RLIMIT_CORE], errno(EPERM)), give(ALLOW)]),
    ...on('socket', sockets()),
    ...on('socketpair', [load(argument(0)), ...oneOf([AF_UNIX], ALLOW), give(errno(EAFNOSUPPORT))]),
  ]
}

/**
 * Unix and internet sockets, and of netlink the family by which libc lists network interfaces. The others are old or
 * special code in the kernel (raw packets, CAN, TIPC, crypto), and vsock leads past every network namespace to the
 * host of a virtual machine.
 */
function sockets(): Instruction[] {
  return [
    load(argument(0)),
    ...oneOf([AF_UNIX, AF_INET, AF_INET6], ALLOW),
    jump(JEQ, AF_NETLINK, 0, 3),
    load(argument(2)),
    jump(JEQ, NETLINK_ROUTE, 0, 1),
    give(ALLOW),
    give(errno(EAFNOSUPPORT)),
  ]
}

/** Gives `result` when what is loaded is one of `values`, and goes on otherwise. */
function oneOf(values: readonly number[], result: number): Instruction[] {
  return rangesOf(values).flatMap(({ first, last }) =>
    first === last
      ? [jump(JEQ, first, 0, 1), give(result)]
      : [jump(JGE, first, 0, 2), jump(JGT, last, 1, 0), give(result)],
  )
}

interface Range {
  readonly first: number
  readonly last: number
}

function rangesOf(values: readonly number[]): Range[] {
  const ranges: Range[] = []
  for (const value of values.toSorted((a, b) => a - b)) {
    const before = ranges.at(-1)
    if (before && value <= before.last + 1) ranges[ranges.length - 1] = { first: before.first, last: value }
    else ranges.push({ first: value, last: value })
  }
  return ranges
}

interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

/** BPF_JMP with BPF_K, unsigned. `jt` and `jf`: instructions to skip. */
const JEQ = 0x15
const JGT = 0x25
const JGE = 0x35
const JSET = 0x45

const load = (offset: number): Instruction => ({ code: 0x20, jt: 0, jf: 0, k: offset })
const give = (result: number): Instruction => ({ code: 0x06, jt: 0, jf: 0, k: result })
const jump = (code: number, k: number, jt: number, jf: number): Instruction => ({ code, jt, jf, k })

function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * program.length))
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.setUint16(8 * index, code, true)
    bytes.setUint8(8 * index + 2, jt)
    bytes.setUint8(8 * index + 3, jf)
    bytes.setUint32(8 * index + 4, k, true)
  })
  return new Uint8Array(bytes.buffer)
}

function table(text: string): Calls {
  const rows = text.split(',').map((row) => row.trim().split(' ') as [string, string, string])
  const column = (index: 1 | 2) =>
    Object.fromEntries(rows.filter((row) => row[index] !== '-').map((row) => [row[0], Number(row[index])]))
  return { x64: column(1), arm64: column(2) }
}
