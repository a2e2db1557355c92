/* What a function may do to the machine that runs it, until it is stopped. `bombs NAME`; says on stdout what it got. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1 << 20)

/* Memory, all of it written to. */
static void eat(void) {
  for (;;) {
    char *block = malloc(MIB);
    if (block) memset(block, 1, MIB);
  }
}

/* In children, one after the other: the first process never goes too far itself. */
static void eat_in_children(void) {
  for (;;) {
    if (fork() == 0) eat();
    wait(NULL);
  }
}

static void fork_bomb(void) {
  for (;;) fork();
}

/* On more processors than it may have. */
static void spin(void) {
  fork();
  fork();
  for (volatile int i = 0;; i++) continue;
}

/* More than any of its folders may take, for a machine where nothing stops it. */
#define ENOUGH 128

static long filled;

static int fill_folder(const char *folder, const struct stat *info, int kind, struct FTW *at) {
  static char block[64 * 1024];
  char path[4096];
  (void)info, (void)at;
  if (strncmp(folder, "/proc", 5) == 0 || strncmp(folder, "/sys", 4) == 0) return FTW_SKIP_SUBTREE;
  if (kind != FTW_D) return FTW_CONTINUE;
  snprintf(path, sizeof path, "%s/filling", folder);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return FTW_CONTINUE;
  memset(block, 1, sizeof block);
  for (long wrote = 1; wrote > 0 && filled < ENOUGH * MIB; filled += wrote > 0 ? wrote : 0)
    wrote = write(fd, block, sizeof block);
  close(fd);
  return FTW_CONTINUE;
}

static void fill_disk(void) {
  nftw("/", fill_folder, 16, FTW_PHYS | FTW_ACTIONRETVAL);
  printf("%ld\n", filled);
}

/* Files without content: they are memory all the same. */
static void make_names(void) {
  char path[64];
  long made = 0;
  for (int fd = 0; fd >= 0 && made < 1000000; made++) {
    snprintf(path, sizeof path, "/tmp/%0*ld", 40, made);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    close(fd);
  }
  printf("%ld\n", made);
}

static void write_all(int fd, const char *block, size_t size) {
  while (size > 0) {
    long wrote = write(fd, block, size);
    if (wrote < 0) exit(1);
    block += wrote;
    size -= (size_t)wrote;
  }
}

/* A gibibyte on stdout, and a sixteenth of that on stderr. */
static void flood(void) {
  static char block[MIB];
  memset(block, '.', MIB);
  for (int i = 0; i < 1024; i++) {
    write_all(1, block, MIB);
    write_all(2, block, MIB / 16);
  }
}

static const struct {
  const char *name;
  void (*bomb)(void);
} BOMBS[] = {{"eat", eat},          {"eat-in-children", eat_in_children}, {"fork", fork_bomb}, {"spin", spin},
             {"fill-disk", fill_disk}, {"make-names", make_names},           {"flood", flood}};

int main(int argc, char **argv) {
  for (size_t i = 0; i < sizeof BOMBS / sizeof *BOMBS; i++)
    if (argc == 2 && strcmp(argv[1], BOMBS[i].name) == 0) {
      BOMBS[i].bomb();
      return 0;
    }
  fprintf(stderr, "no such bomb\n");
  return 64;
}
