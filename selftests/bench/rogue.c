// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rogue - a peer that has the secret and means harm, or is broken
 *
 *   rogue ADDRESS PORT NODE_ID PEER_ID SECRET <bytes
 *
 * Dials the agent PEER_ID as NODE_ID, authenticates, sends what is on its standard
 * input as if it were frames, and reads until the other side closes (60 s at most).
 * Says what happened, one word a line: "authenticated", "closed", or "refused" with
 * the reason. Exit code 0 when the other side closed after the bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"

#define WAIT_MS	60000

static int dial(const char *address, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &in.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
		perror("rogue: connect");
		exit(2);
	}
	return fd;
}

/* Wait as @t wants; false: too long. */
static bool again(struct tls *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = tls_events(t) };

	return poll(&p, 1, WAIT_MS) > 0;
}

static int refused(struct tls *t)
{
	printf("refused %s\n", tls_error(t));
	return 1;
}

int main(int argc, char **argv)
{
	static char in[1 << 20];
	struct tls_keys *keys;
	struct tls_secret secret;
	size_t len = 0, done = 0;
	struct tls *t;
	ssize_t n;
	int fd;

	if (argc != 6) {
		fputs("usage: rogue ADDRESS PORT NODE_ID PEER_ID SECRET <bytes\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	fd = dial(argv[1], argv[2]);
	secret = (struct tls_secret){ argv[5], strlen(argv[5]) };
	keys = tls_keys_new(argv[3], &secret, 1, NULL);
	t = keys ? tls_new(keys, fd, argv[4], NULL, NULL) : NULL;
	if (!t)
		return 2;
	while ((n = tls_handshake(t)) == -EAGAIN && again(t, fd))
		;
	if (n)
		return refused(t);
	puts("authenticated");
	while ((n = read(STDIN_FILENO, in + len, sizeof(in) - len)) > 0)
		len += n;
	while (done < len) {
		n = tls_write(t, in + done, len - done);
		if (n > 0)
			done += n;
		else if (n != -EAGAIN || !again(t, fd))
			break; /* it had enough already */
	}
	while ((n = tls_read(t, in, sizeof(in))) > 0 || (n == -EAGAIN && again(t, fd)))
		;
	if (n == -EAGAIN) {
		puts("still open");
		return 1;
	}
	puts("closed");
	tls_free(t);
	tls_keys_free(keys);
	close(fd);
	return 0;
}
