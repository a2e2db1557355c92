/* The smallest hot function: the container contract in static C, so that a start costs little but the container. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/* Reads one request with a Content-Length; 0 when the peer has gone. */
static int read_request(int peer) {
  static char buffer[65536];
  size_t have = 0;
  for (;;) {
    ssize_t got = read(peer, buffer + have, sizeof buffer - 1 - have);
    if (got <= 0) return 0;
    have += (size_t)got;
    buffer[have] = 0;
    char *end = strstr(buffer, "\r\n\r\n");
    if (!end) continue;
    char *length = strcasestr(buffer, "content-length:");
    size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
    if (have >= (size_t)(end + 4 - buffer) + body) return 1;
  }
}

int main(void) {
  const char *listener = getenv("FN_LISTENER");
  if (!listener || strncmp(listener, "unix:", 5)) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s.tmp", listener + 5);
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 16)) return 3;
  chmod(address.sun_path, 0666);
  if (symlink(strrchr(address.sun_path, '/') + 1, listener + 5)) return 3;
  for (;;) {
    int peer = accept(server, NULL, NULL);
    if (peer < 0) continue;
    while (read_request(peer) && write(peer, reply, sizeof reply - 1) > 0) {}
    close(peer);
  }
}
