/*
 * Reads lines `PROTOCOL ADDRESS PORT [DEVICE]` and answers each with `ok` once a byte has come back from there, or with
 * the errno of what stopped it. With a device the socket is bound to it, which asks for routes in another way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int address_of(const char *text, int port, struct sockaddr_storage *to, socklen_t *length) {
  struct sockaddr_in *four = (struct sockaddr_in *)to;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
  memset(to, 0, sizeof *to);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    *length = sizeof *four;
    return 0;
  }
  if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) return EINVAL;
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(port);
  *length = sizeof *six;
  return 0;
}

static int ask(int fd, const struct sockaddr_storage *to, socklen_t length, const char *device) {
  struct timeval patience = {.tv_usec = 250000};
  int on = 1;
  char answer;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  if (*device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)) != 0) return errno;
  if (connect(fd, (const struct sockaddr *)to, length) != 0) return errno;
  if (send(fd, "?", 1, MSG_NOSIGNAL) < 0) return errno;
  ssize_t got = recv(fd, &answer, 1, 0);
  return got == 1 ? 0 : got == 0 ? EPIPE : errno;
}

int main(void) {
  char line[256], protocol[8], address[64], device[32];
  int port;
  while (fgets(line, sizeof line, stdin)) {
    struct sockaddr_storage to;
    socklen_t length;
    *device = 0;
    if (sscanf(line, "%7s %63s %d %31s", protocol, address, &port, device) < 3) continue;
    int error = address_of(address, port, &to, &length);
    if (error == 0) {
      int fd = socket(to.ss_family, strcmp(protocol, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM, 0);
      error = fd < 0 ? errno : ask(fd, &to, length, device);
      close(fd);
    }
    if (error) printf("%d\n", error);
    else puts("ok");
    fflush(stdout);
  }
  return 0;
}
