/*
 * Tries to get out of a sandbox. `attempts VERB[=ARGUMENT]...` makes each attempt in a process of its own and prints
 * one line of JSON: {"attempt": as given, "denied": whether it failed, "errno": why, "signal": what ended it}.
 * An attempt that gets through changes nothing: files are opened and not written, signals are 0, arguments are wrong.
 *
 * `attempts -neighbour` and the verbs -link, -links, -swap serve until they are killed, or until their input ends.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every attempt returns 0 when it got through, or the errno of what stopped it. */
static int why(long result) { return result == -1 ? errno : 0; }

/* Reached is also what failed for its arguments: a filter answers one of these three before it looks at them. */
static int refused(long result) {
  int code = why(result);
  return code == EPERM || code == ENOSYS || code == EAFNOSUPPORT ? code : 0;
}

static int open_as(const char *path, int flags) { return why(open(path, flags | O_NOCTTY | O_NONBLOCK)); }
static int open_read(const char *path) { return open_as(path, O_RDONLY); }
static int open_write(const char *path) { return open_as(path, O_WRONLY); }

/* A file without a name, which goes with this process. */
static int make_file(const char *folder) { return why(open(folder, O_TMPFILE | O_WRONLY, 0600)); }

/* NUMBER, with -1 for each argument, or NUMBER:VALUE. */
static int make_call(const char *arg) {
  char *end;
  long nr = strtol(arg, &end, 0);
  long value = *end == ':' ? strtol(end + 1, NULL, 0) : -1;
  return refused(syscall(nr, value, value, value, value, value, value));
}

static int make_clone(const char *flags) {
  long pid = syscall(SYS_clone, strtoul(flags, NULL, 0) | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return why(pid);
}

static int make_clone3(const char *arg) {
  (void)arg;
  return refused(syscall(SYS_clone3, NULL, 0));
}

static int leave_namespace(const char *flags) { return why(unshare((int)strtoul(flags, NULL, 0))); }

static int enter_namespace(const char *path) {
  int fd = open(path, O_RDONLY);
  return fd < 0 ? errno : why(setns(fd, 0));
}

/* DOMAIN:TYPE:PROTOCOL */
static int make_socket(const char *arg) {
  int domain, type, protocol;
  sscanf(arg, "%d:%d:%d", &domain, &type, &protocol);
  return why(socket(domain, type, protocol));
}

/* Input is no terminal: without the filter, ENOTTY. */
static int control_terminal(const char *request) {
  char nothing[8] = "";
  return refused(ioctl(0, strtoul(request, NULL, 0), nothing));
}

/* getpid, as a program of 32 bits asks. */
static int call_as_32_bit(const char *arg) {
  (void)arg;
#ifdef __x86_64__
  long result; /* where the kernel has no such calls, a fault */
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "r8", "r9", "r10", "r11", "memory");
  return result < 0 ? (int)-result : 0;
#else
  return ENOSYS;
#endif
}

static int trace(const char *arg) {
  (void)arg;
  return why(ptrace(PTRACE_TRACEME, 0, 0, 0));
}

static int signal_process(const char *pid) { return why(kill(atoi(pid), 0)); }

static int connect_to(const struct sockaddr *address, socklen_t size) {
  int fd = socket(address->sa_family, SOCK_STREAM, 0);
  return fd < 0 ? errno : why(connect(fd, address, size));
}

static int connect_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return connect_to((struct sockaddr *)&address, sizeof address);
}

static socklen_t abstract_address(struct sockaddr_un *address, const char *name) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  strncpy(address->sun_path + 1, name, sizeof address->sun_path - 2);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int connect_abstract(const char *name) {
  struct sockaddr_un address;
  socklen_t size = abstract_address(&address, name);
  return connect_to((struct sockaddr *)&address, size);
}

static int connect_tcp(const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return connect_to((struct sockaddr *)&address, sizeof address);
}

/* Where there is nothing to mount on. */
static int mount_nowhere(const char *arg) {
  (void)arg;
  return refused(mount("none", "/nowhere-at-all", "tmpfs", 0, NULL));
}

/* In a mount namespace of its own: who may not make one may not mount either, so the machine's stay as they are. */
static int remount_root(const char *arg) {
  (void)arg;
  if (unshare(CLONE_NEWNS) < 0 && errno != EPERM) return errno;
  return why(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

/* The rights that a user namespace of its own gives. */
static int mount_as_own_root(const char *arg) {
  (void)arg;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return errno;
  return why(mount("none", "/tmp", "tmpfs", 0, NULL));
}

/* What it makes is a null device. */
static int make_device(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/made-device", folder);
  int code = why(mknod(path, S_IFCHR | 0600, makedev(1, 3)));
  if (code == 0) unlink(path);
  return code;
}

/* The same name again. */
static int set_hostname(const char *arg) {
  char name[256] = "";
  (void)arg;
  gethostname(name, sizeof name - 1);
  return why(sethostname(name, strlen(name)));
}

/* PATH of a copy of this program that belongs to root and is to run as root. */
static int run_as_root(const char *path) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    execl(path, path, "-am-i-root", (char *)NULL);
    _exit(EACCES);
  }
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

static int become_root(const char *arg) {
  (void)arg;
  return why(setresuid(0, 0, 0));
}

static int take_capability(const char *arg) {
  (void)arg;
  struct {
    unsigned version;
    int pid;
  } header = {0x20080522, 0};
  struct {
    unsigned effective, permitted, inheritable;
  } all[2] = {{1u << 21, 1u << 21, 0}, {0, 0, 0}}; /* CAP_SYS_ADMIN */
  return why(syscall(SYS_capset, &header, all));
}

/* LINE of /proc/self/status: got through when it says anything else. */
static int check_status(const char *line) {
  char text[512];
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(text, sizeof text, file)) {
    for (char *c = text; *c; c++)
      if (*c == '\t') *c = ' ';
    text[strcspn(text, "\n")] = 0;
    if (strcmp(text, line) == 0) return EPERM;
  }
  return 0;
}

static int is_nothing(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
}

/* Got through when any besides 0, 1, 2 and the one that reads the list leads anywhere. */
static int find_descriptors(const char *arg) {
  (void)arg;
  DIR *folder = opendir("/proc/self/fd");
  if (!folder) return errno;
  for (struct dirent *entry; (entry = readdir(folder));) {
    int fd = atoi(entry->d_name);
    if (fd > 2 && fd != dirfd(folder) && !is_nothing(fd)) {
      fprintf(stderr, "descriptor %d\n", fd);
      return 0;
    }
  }
  return ENOENT;
}

static int find_variable(const char *name) { return getenv(name) ? 0 : ENOENT; }

static const char *DEVICES[] = {"console", "core", "fd",     "full",   "null", "ptmx",    "pts",  "random",
                                "shm",     "stderr", "stdin", "stdout", "tty",  "urandom", "zero", NULL};

static int is_known_device(const char *name) {
  for (const char **known = DEVICES; *known; known++)
    if (strcmp(*known, name) == 0) return 1;
  return 0;
}

static int find_devices(const char *arg) {
  (void)arg;
  DIR *folder = opendir("/dev");
  if (!folder) return errno;
  for (struct dirent *entry; (entry = readdir(folder));)
    if (entry->d_name[0] != '.' && !is_known_device(entry->d_name)) {
      fprintf(stderr, "device %s\n", entry->d_name);
      return 0;
    }
  return ENOENT;
}

static int is_own_process(const char *path) {
  return strncmp(path, "/proc/self", 10) == 0 || strncmp(path, "/proc/thread-self", 17) == 0 ||
         (strncmp(path, "/proc/", 6) == 0 && path[6] >= '0' && path[6] <= '9');
}

/* Its temporary folder and its shared memory, its own processes and terminals, and the devices that everybody may write. */
static int may_be_writable(const char *path, const struct stat *info) {
  return strcmp(path, "/tmp") == 0 || is_own_process(path) ||
         (strncmp(path, "/dev/", 5) == 0 && S_ISCHR(info->st_mode) && is_known_device(path + 5)) ||
         strcmp(path, "/dev/pts") == 0 || strcmp(path, "/dev/shm") == 0;
}

/* Of a device, its mode does not say whether it can be opened. */
static int can_write(const char *path, const struct stat *info) {
  if (S_ISLNK(info->st_mode)) return 0;
  if (S_ISDIR(info->st_mode) || S_ISREG(info->st_mode)) return access(path, W_OK) == 0;
  return open_write(path) == 0;
}

static int is_writable(const char *path, const struct stat *info, int kind, struct FTW *at) {
  (void)kind, (void)at;
  if (may_be_writable(path, info)) return FTW_SKIP_SUBTREE;
  if (!can_write(path, info)) return FTW_CONTINUE;
  fprintf(stderr, "writable: %s\n", path);
  return FTW_STOP;
}

/* Got through when anything below FOLDER could be written. */
static int find_writable(const char *folder) {
  return nftw(folder, is_writable, 16, FTW_PHYS | FTW_ACTIONRETVAL) == FTW_STOP ? 0 : EROFS;
}

static int raise_limit(const char *arg) {
  struct rlimit low = {100, 100}, high = {200, 200};
  (void)arg;
  setrlimit(RLIMIT_NOFILE, &low);
  return why(setrlimit(RLIMIT_NOFILE, &high));
}

static int raise_priority(const char *arg) {
  (void)arg;
  return why(setpriority(PRIO_PROCESS, 0, -5));
}

static int hide_from_memory_killer(const char *arg) {
  (void)arg;
  int fd = open("/proc/self/oom_score_adj", O_WRONLY);
  return fd < 0 ? errno : why(write(fd, "-1000", 5));
}

static int read_kernel_log_size(const char *arg) {
  (void)arg;
  return why(klogctl(10, NULL, 0));
}

/* FOLDER:MIB */
static int fill(const char *arg) {
  static char block[1 << 20];
  char path[4096];
  const char *colon = strrchr(arg, ':');
  snprintf(path, sizeof path, "%.*s/filling", (int)(colon - arg), arg);
  int fd = open(path, O_WRONLY | O_CREAT, 0600), code = fd < 0 ? errno : 0;
  memset(block, 1, sizeof block);
  for (long left = atol(colon + 1); left > 0 && code == 0; left--) {
    long wrote = write(fd, block, sizeof block);
    code = wrote == (long)sizeof block ? 0 : wrote < 0 ? errno : ENOSPC;
  }
  unlink(path);
  return code;
}

/* NUMBER of processes at once. */
static int fork_many(const char *number) {
  int code = 0, made = 0;
  pid_t group = getpid();
  while (made < atoi(number) && code == 0) {
    pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, group);
      pause();
      _exit(0);
    }
    if (pid < 0) code = errno;
    else made++;
  }
  signal(SIGTERM, SIG_IGN);
  kill(-group, SIGTERM);
  while (wait(NULL) > 0) kill(-group, SIGTERM);
  return code;
}

static int watch_files(const char *arg) {
  (void)arg;
  return why(inotify_init1(0));
}

/* With as large a core as it may leave. */
static int crash(const char *arg) {
  struct rlimit limit;
  (void)arg;
  getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_CORE, &limit);
  abort();
}

static const struct {
  const char *name;
  int (*attempt)(const char *arg);
} VERBS[] = {
    {"abstract", connect_abstract},
    {"call", make_call},
    {"capability", take_capability},
    {"clone", make_clone},
    {"clone3", make_clone3},
    {"crash", crash},
    {"descriptors", find_descriptors},
    {"device", make_device},
    {"devices", find_devices},
    {"fill", fill},
    {"forks", fork_many},
    {"hostname", set_hostname},
    {"int80", call_as_32_bit},
    {"ioctl", control_terminal},
    {"kernel-log", read_kernel_log_size},
    {"kill", signal_process},
    {"make-file", make_file},
    {"memory-killer", hide_from_memory_killer},
    {"mount", mount_nowhere},
    {"own-mount", mount_as_own_root},
    {"priority", raise_priority},
    {"ptrace", trace},
    {"raise-limit", raise_limit},
    {"read", open_read},
    {"write", open_write},
    {"remount", remount_root},
    {"root", become_root},
    {"setns", enter_namespace},
    {"setuid", run_as_root},
    {"socket", make_socket},
    {"status", check_status},
    {"tcp", connect_tcp},
    {"unix", connect_unix},
    {"unshare", leave_namespace},
    {"variable", find_variable},
    {"watch", watch_files},
    {"writable", find_writable},
};

static int run(const char *attempt) {
  size_t length = strcspn(attempt, "=");
  const char *arg = attempt[length] ? attempt + length + 1 : "";
  for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
    if (strlen(VERBS[i].name) == length && strncmp(VERBS[i].name, attempt, length) == 0)
      return VERBS[i].attempt(arg);
  fprintf(stderr, "no such attempt: %s\n", attempt);
  return 0;
}

/* In a session of its own: without a terminal, and the leader of a group. */
static void try_in_child(const char *attempt) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    alarm(20);
    _exit(run(attempt));
  }
  if (pid < 0) return;
  waitpid(pid, &status, 0);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0, ended_by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  printf("{\"attempt\":\"%s\",\"denied\":%s,\"errno\":%d,\"signal\":%d}\n", attempt,
         code || ended_by ? "true" : "false", code, ended_by);
  fflush(stdout);
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  bind(fd, (struct sockaddr *)&address, sizeof address);
  listen(fd, 8);
  return fd;
}

/* Has what others want: a file, a name, and all of the inotify instances that its user gets. */
static int be_neighbour(void) {
  struct sockaddr_un address;
  char byte;
  int file = open("/tmp/canary", O_WRONLY | O_CREAT, 0644), fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (file < 0 || write(file, "canary", 6) != 6) return 1;
  socklen_t size = abstract_address(&address, "sluice-neighbour");
  if (bind(fd, (struct sockaddr *)&address, size) == 0) listen(fd, 8);
  while (inotify_init1(0) >= 0) continue;
  printf("ready\n");
  fflush(stdout);
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}

/*
 * In place of a socket, links to TARGET: one, a chain of two, or in turns with a socket of its own that says "own",
 * by the name that is looked for and by the name that this links to.
 */
static int offer_links(const char *how, const char *target) {
  if (chdir("/tmp/iofs") < 0) return 1;
  if (strcmp(how, "-link") == 0) return symlink(target, "lsnr.sock") < 0 ? 1 : pause();
  if (strcmp(how, "-links") == 0)
    return symlink(target, "step") < 0 || symlink("step", "lsnr.sock") < 0 ? 1 : pause();
  int fd = listen_at("own");
  if (symlink(target, "other") < 0) return 1;
  for (int turn = 0;; turn = !turn) {
    unlink("next");
    if (symlink(turn ? target : "own", "next") < 0 || rename("next", "lsnr.sock") < 0) return 1;
    if (renameat2(AT_FDCWD, "own", AT_FDCWD, "other", RENAME_EXCHANGE) < 0) return 1;
    int caller = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
    if (caller < 0) continue;
    send(caller, "own", 3, MSG_NOSIGNAL); /* who only looks has gone */
    close(caller);
  }
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "-am-i-root") == 0) return geteuid() == 0 ? 0 : EPERM;
  if (argc == 2 && strcmp(argv[1], "-neighbour") == 0) return be_neighbour();
  if (argc == 3 && argv[1][0] == '-') return offer_links(argv[1], argv[2]);
  for (int i = 1; i < argc; i++) try_in_child(argv[i]);
  return 0;
}
